# SPDX-License-Identifier: Apache-2.0
"""The tile lab: what is drawn is what the experiment computes, and its state goes out and comes back."""

from __future__ import annotations

import csv as csv_format
import io
import math

import numpy as np
import panel as pn
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.tiles import IOParameters, periphery_presets
from explorer.experiments.mvm_error import MvmError
from explorer.labs import link
from explorer.labs.tile_lab import TileLab
from explorer.labs.tile_state import FlatProduct, TileState
from explorer.views import product_data, theme
from explorer.views.bits_field import FEWEST, MOST, OFF, bits_of, resolution, text_of, value_of
from explorer.views.parameters import ParameterPanel
from explorer.views.periphery_picker import PeripheryPicker
from explorer.views.product import ProductView
from explorer.views.product_data import check_live_size, multiply
from explorer.views.product_plots import tinted
from explorer.views.product_share import ProductShare, csv, snippet

SMALL = {"out_features": 20, "in_features": 30, "n_vectors": 10}
ROWS = "0.5, -0.25, 0\n1; 0.125; 0.75\n"


@pytest.fixture
def state() -> TileState:
    return TileState(**SMALL)


@pytest.fixture
def view(state: TileState) -> ProductView:
    return ProductView(state)


@pytest.fixture
def panel(state: TileState) -> ParameterPanel:
    return TileLab(state=state)._side()[1]


# the state


def test_flat_product_has_every_parameter_once():
    names = FlatProduct.fields()
    assert len(names) == len(set(names))
    assert set(names) == {*MvmError.fields(), *IOParameters.fields()}
    for name in names:
        assert FlatProduct.describe(name)["name"] == name


def test_flat_product_copy_changes_both_parts_and_not_itself():
    flat = FlatProduct(MvmError(**SMALL))
    other = flat.copy(out_noise=0.5, n_vectors=3)
    assert (other.out_noise, other.n_vectors, other.experiment.forward.out_noise) == (0.5, 3, 0.5)
    assert (flat.out_noise, flat.n_vectors) == (0.06, 10)
    assert other != flat == FlatProduct(MvmError(**SMALL))


def test_state_refused_edit_names_parameter_and_rule(state):
    assert not state.set(inp_bound=2.0)
    assert "must be 1 while inputs are scaled" in state.problem_of("inp_bound")
    assert state.product.inp_bound == 1


def test_state_preset_keeps_tile_and_vectors(state):
    state.load_preset("eight_bits")
    assert state.experiment.n_vectors == 10
    assert state.experiment.forward == periphery_presets.load("eight_bits")
    assert not state.edited
    assert "aihwkit" in state.value_sources()["out_bound"]
    state.undo()
    assert state.preset == "default"


@pytest.mark.parametrize("name", periphery_presets.names())
def test_preset_is_valid_and_tells_its_source(name):
    assert periphery_presets.load(name).values()
    assert periphery_presets.info(name).source


def test_preset_unknown_names_near_miss():
    with pytest.raises(ParameterError, match="eight_bits"):
        periphery_presets.load("eight_bit")


def test_link_restores_the_whole_state():
    state = TileState()
    state.load_preset("pcm_read")
    state.set(out_res=0.0, n_vectors=7, weights="uniform")
    other = TileState()
    assert link.restore(other, link.encode(state)) == ""
    assert other.product == state.product
    assert other.preset == "pcm_read"
    assert other.edited_fields() == state.edited_fields()


def test_link_carries_a_matrix(state):
    state.load_experiment(state.experiment.copy(weights="matrix", matrix=[[0.1, 0.2]]))
    other = TileState()
    assert link.restore(other, link.encode(state)) == ""
    assert other.experiment.shape == (1, 2)


@given(st.text(max_size=60))
def test_link_of_any_text_changes_nothing(text):
    state = TileState(**SMALL)
    before = state.to_query()
    assert bool(link.restore(state, text)) == bool(text)
    assert state.to_query() == before


# bits


@pytest.mark.parametrize("bits", range(FEWEST, MOST + 1))
def test_bits_to_resolution_and_back(bits):
    assert resolution(bits) == 1 / (2**bits - 2)
    assert round(bits_of(resolution(bits))) == bits
    assert text_of(resolution(bits)) == f"{bits} bit"
    assert value_of(f"{bits} bit") == value_of(str(bits)) == resolution(bits)


@pytest.mark.parametrize("text", ["", "many", "1", "-3", "99", "1/0", "nan", "inf", "7 bytes", "-0.5", "1/2 bit"])
def test_bits_nonsense_means_nothing(text):
    assert value_of(text) is None


@given(st.floats(1e-6, 0.99))
def test_bits_any_resolution_typed_as_shown_is_the_same(value):
    assert value_of(text_of(value)) == pytest.approx(value, rel=1e-8)  # 1/n and bits are written for what is that close


def test_bits_field_slider_and_box_set_resolution(state, panel):
    field = panel.fields["out_res"]
    assert (field.slider.value, field.box.value) == (9, "9 bit")
    field.slider.value = 4
    assert state.product.out_res == 1 / 14
    assert field.box.value == "4 bit"
    field.slider.value = OFF
    assert state.product.out_res == 0
    assert field.box.value == "off"
    field.box.value = "0.03"
    assert state.product.out_res == 0.03
    assert FEWEST < field.slider.value < MOST
    state.reset("out_res")
    assert (field.slider.value, field.box.value) == (9, "9 bit")


def test_bits_field_nonsense_is_refused_in_one_line(state, panel):
    field = panel.fields["inp_res"]
    field.box.value = "many"
    assert ": is no resolution (allowed: 2 to 64 bit" in field.problem.object
    assert field.box.value == "many"
    assert state.product.inp_res == 1 / 126
    state.set(inp_res=0.1)
    assert not field.problem.visible


def test_panel_has_a_row_for_each_parameter(panel):
    assert list(panel.fields) == FlatProduct.fields()
    assert [title for title, _ in zip(panel.groups._names, panel.groups.objects, strict=True)][:2] == [
        "Tile",
        "Test vectors",
    ]


# what is drawn


def assert_drawn(view: ProductView, experiment: MvmError) -> None:
    ds = experiment.run()
    points = view.transfer.points.data
    np.testing.assert_array_equal(points["ideal"], ds.ideal.values.ravel())
    np.testing.assert_array_equal(points["analog"], ds.analog.values.ravel())
    error = ds.error.values.ravel()
    counts = np.histogram(error, bins=61, range=(error.min(), error.max()))[0]
    assert view.errors.sources[0].data["count"] == counts.tolist()
    assert f"{float(ds.snr):.1f}" in view.tiles.object


def test_product_first_picture_is_the_experiments_result(state, view):
    assert_drawn(view, state.experiment)


def test_product_knob_moved_draws_new_result(state, view):
    before = list(view.transfer.points.data["analog"])
    state.slide(out_noise=0.3)
    assert view.transfer.points.data["analog"] != before
    assert_drawn(view, state.experiment)


def test_product_many_outputs_are_a_picture_of_their_density(state, view):
    state.set(out_features=256, n_vectors=64)
    assert view.transfer.points.data["ideal"] == []
    found = multiply(state.experiment)
    drawn = view.transfer.density.data["image"][0]
    np.testing.assert_array_equal(drawn, tinted(found.density["image"][0]))
    filled = np.argwhere(found.density["image"][0] > 0)
    # rows are analog, columns exact outputs, which differ by far less than the diagonal is long
    assert np.corrcoef(filled.T)[0, 1] > 0.98


def test_tinted_pixels_have_color_and_opacity():
    pixels = tinted(np.array([[0.0, 1.0]]), "#102030").view(np.uint8).reshape(2, 4)
    assert pixels.tolist() == [[16, 32, 48, 0], [16, 32, 48, 255]]


def test_codes_counted_are_those_of_the_converters(state, view):
    ds = state.experiment.run()
    for plot, name, limit in ((view.dac, "dac_code", 63), (view.adc, "adc_code", 255)):
        bars = plot.sources[0].data
        codes = ds[name].values
        assert sum(bars["count"]) == codes.size
        width = bars["right"][0] - bars["left"][0]
        assert bars["left"][0] == -bars["right"][-1] <= -limit
        middle = len(bars["count"]) // 2
        assert bars["count"][middle] == (np.abs(codes) < width / 2).sum()


def test_clipped_codes_are_marked(state, view):
    state.set(out_bound=1.0, bound_management="none")
    ds = state.experiment.run()
    assert sum(view.adc.sources[1].data["count"]) == int(ds.adc_clipped.sum()) > 0
    assert "/ 0 %" not in view.tiles.object


def test_rounds_counted_are_those_of_the_vectors(state, view):
    state.set(out_bound=1.0)
    rounds = state.experiment.run().rounds.values
    bars = view.rounds.sources[0].data
    assert rounds.max() > 1
    assert bars["count"] == np.unique(rounds, return_counts=True)[1].tolist()


@pytest.mark.parametrize(
    ("change", "plot", "word"),
    [({"inp_res": 0.0}, "dac", "bits are off"), ({"out_bound": 0.0}, "adc", "no bound"),
     ({"is_perfect": True}, "adc", "perfect")],
)  # fmt: skip
def test_converter_that_is_off_shows_designed_empty_state(state, view, change, plot, word):
    state.set(**change)
    shown = getattr(view, plot)
    assert shown.empty.visible
    assert not shown.plot.visible
    assert word in shown.empty.object
    state.reset()
    assert shown.plot.visible


@pytest.mark.parametrize("name", periphery_presets.names())
def test_product_every_preset_is_drawn(state, view, name):
    state.load_preset(name)
    assert not view.problem.visible
    assert view.tiles.object.count('class="tile"') == 6
    assert "nan" not in view.tiles.object.lower()


def test_product_zero_weights_show_empty_states_not_numbers(state, view):
    state.set(weight_std=0.0, is_perfect=True)
    assert view.errors.empty.visible
    assert not view.problem.visible
    state.set(is_perfect=False)
    assert view.errors.plot.visible


@pytest.mark.parametrize("inputs", ["uniform", "sparse", "one_hot"])
def test_product_every_input_is_drawn_and_named(state, view, inputs):
    state.set(inputs=inputs)
    assert not view.problem.visible
    assert inputs.replace("_", "-") in view.note.object
    assert_drawn(view, state.experiment)


def test_sources_of_error_add_up_to_the_whole(state):
    found = multiply(state.experiment)
    assert sum(share for _, share, _ in found.shares) == pytest.approx(1, abs=1e-9)
    assert found.shares == sorted(found.shares, key=lambda row: -row[1])
    loudest, share, ratio = found.shares[0]
    assert loudest == "output noise"
    ds = state.experiment.run()
    power = float(ds.predicted_power.sel(source="output noise"))
    assert share * float(ds.error_power) == pytest.approx(power, rel=0.2)  # the estimate may exceed what was measured
    assert ratio == pytest.approx(10 * math.log10(np.square(ds.ideal.values).mean() / power), abs=1e-4)


def test_product_too_large_says_so_and_keeps_the_picture(state, view):
    before = view.transfer.points.data["ideal"]
    state.set(out_features=4096, in_features=4096)
    assert "too many to be live" in view.problem.object
    assert view.transfer.points.data["ideal"] == before
    state.undo()
    assert not view.problem.visible


def test_live_size_tells_how_many_are_allowed():
    limit = product_data.LIVE_PRODUCTS // (1024 * 1024)
    with pytest.raises(ParameterError, match=f"at most {limit} for 1024 x 1024"):
        check_live_size(MvmError(out_features=1024, in_features=1024, n_vectors=limit + 1))
    check_live_size(MvmError(out_features=1024, in_features=1024, n_vectors=limit))


# weights of one's own


def test_matrix_pasted_is_multiplied(state, view):
    assert view.matrix.take(ROWS)
    assert state.experiment.matrix == [[0.5, -0.25, 0.0], [1.0, 0.125, 0.75]]
    assert "2 × 3 weights" in view.note.object
    state.undo()
    assert state.experiment.shape == (20, 30)


@pytest.mark.parametrize(("text", "rule"), [("", "is empty"), ("1 2\n3", "another length"), ("1 x", "no finite")])
def test_matrix_nonsense_is_refused_in_one_line(state, view, text, rule):
    assert not view.matrix.take(text)
    assert rule in view.matrix.said.object
    assert state.experiment.shape == (20, 30)


def test_matrix_file_that_is_no_text_is_refused(view):
    view.matrix._take_file("w.csv", b"\xff\xfe\x00")
    assert "is not text" in view.matrix.said.object


# out of the page


def test_snippet_makes_the_same_numbers(state, capsys):
    state.load_preset("pcm_read")
    state.set(weights="uniform", out_noise=0.02)
    names: dict = {}
    exec(snippet(state.experiment), names)
    np.testing.assert_array_equal(names["ds"].analog, state.experiment.run().analog)
    assert f"measured {float(names['ds'].snr):.1f} dB" in capsys.readouterr().out


def test_numbers_of_a_box_are_whole_where_they_count_things(state, view, panel):
    panel.fields["n_vectors"].box.value = "12"
    assert "12 standard normal vectors" in view.note.object
    assert "n_vectors=12," in snippet(state.experiment)


def test_snippet_of_a_matrix_and_a_device_makes_the_same_numbers(state):
    from engine.devices import get

    state.load_experiment(MvmError(weights="matrix", matrix=[[0.5, 2.0]], device=get("constant_step")()))
    names: dict = {}
    exec(snippet(state.experiment), names)
    np.testing.assert_array_equal(names["ds"].analog, state.experiment.run().analog)


def test_csv_holds_every_output_with_its_unit(state):
    ds = state.experiment.run()
    rows = list(csv_format.reader(io.StringIO(csv(state.experiment).decode())))
    assert rows[0] == ["vector", "output", "ideal (out)", "analog (out)", "error (out)", "adc_code"]
    assert len(rows) == 1 + ds.analog.size
    assert float(rows[1 + 20 * 3 + 7][3]) == pytest.approx(float(ds.analog[3, 7]), rel=1e-8)  # nine digits


def test_share_link_follows_and_long_matrix_has_none(state):
    share = ProductShare(state)
    before = share.link.text
    state.set(out_noise=0.5)
    assert share.link.text != before
    assert "out_noise=0.5" in share.snippet.text
    state.load_experiment(state.experiment.copy(weights="matrix", matrix=[[0.123456789] * 1000]))
    assert share.too_long.visible
    assert not share.link.view.visible


# the lab


def test_lab_is_a_cell_value_that_renders():
    body = TileLab(**SMALL).__panel__()
    assert body.theme_config == theme.THEME_CONFIG
    assert body.get_root() is not None


def test_lab_page_shows_what_went_wrong_with_a_link():
    page = TileLab(**SMALL).page(problem="state = 'x': is no link.")
    texts = [pane.object for pane in page.main[0].select(pn.pane.HTML)]
    assert any("is no link" in text for text in texts)


def test_picker_sets_and_follows(state):
    picker = PeripheryPicker(state)
    picker.select.value = "eight_bits"
    assert state.preset == "eight_bits"
    assert "8-bit DAC" in picker.about.object
    state.undo()
    assert picker.select.value == "default"
    assert "7-bit DAC" in picker.about.object
