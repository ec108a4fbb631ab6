# SPDX-License-Identifier: Apache-2.0
"""The parameter panel, driven as a browser would drive it: by the values of its widgets."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import devices, presets
from engine.devices.constant_step import ConstantStep
from engine.quantity import Choice
from explorer.labs.state import DeviceState
from explorer.views import echo, live, theme
from explorer.views.fields import KINDS, Scale, shown
from explorer.views.parameters import ParameterPanel

PRESET = "reram_exp_hfo2_2018"


class WithChoice(ConstantStep):
    """A device with an option of the kind that no built-in device has yet."""

    mode = Choice("slow", ["slow", "fast"], doc="Speed of the test.")


@pytest.fixture
def state() -> DeviceState:
    return DeviceState(PRESET)


@pytest.fixture
def panel(state: DeviceState) -> ParameterPanel:
    return ParameterPanel(state)


@pytest.fixture(scope="module", params=devices.names())
def every_class(request) -> tuple[DeviceState, ParameterPanel]:
    """Return the panel of a class with its state, for each class in turn; for tests that only look."""
    state = DeviceState()
    panel = ParameterPanel(state)
    state.load_class(request.param)
    assert type(state.device) is devices.get(request.param)
    return state, panel


def test_panel_every_class_has_a_row_for_each_parameter(every_class):
    state, panel = every_class
    assert list(panel.fields) == type(state.device).fields()
    for name, field in panel.fields.items():
        about = state.device.describe(name)
        assert type(field) is KINDS[about["kind"]]
        if about["kind"] == "number":
            assert float(field.box.value) == getattr(state.device, name)
        if about["kind"] == "table":
            assert [float(v) for v in field.box.value.split(",")] == getattr(state.device, name)


def test_panel_every_class_groups_in_order_of_definition(every_class):
    state, panel = every_class
    groups = dict.fromkeys(state.device.describe(name)["group"] for name in state.device.fields())
    assert panel.groups._names == list(groups)


def test_other_class_keeps_its_common_groups_and_those_that_are_open(state: DeviceState, panel: ParameterPanel):
    state.load_class("constant_step")
    names, first = list(panel.groups._names), panel.groups[0]
    panel.groups.active = [len(names) - 1]
    state.load_class("exp_step")
    after = list(panel.groups._names)
    assert after != names  # else the groups would not have been put anew
    assert [after[k] for k in panel.groups.active] == [names[-1]]
    assert panel.groups[after.index(names[0])] is first
    shown_rows = [row for group in panel.groups for row in group]
    assert shown_rows == [field.view for field in panel.fields.values()]


def test_log_slider_moved_sets_power_of_ten(state: DeviceState, panel: ParameterPanel):
    panel.fields["dw_min"].slider.value = -2.0
    assert state.device.dw_min == 0.01
    assert panel.fields["dw_min"].box.value == "0.01"


def test_linear_slider_moved_sets_value(state: DeviceState, panel: ParameterPanel):
    panel.fields["w_max"].slider.value = 0.5
    assert state.device.w_max == 0.5


def test_slider_moved_is_not_moved_back(panel: ParameterPanel):
    slider = panel.fields["dw_min"].slider
    slider.value = -2.12345  # its value is rounded to four digits; the handle stays where the hand is
    assert slider.value == -2.12345


def test_older_text_of_our_own_from_the_page_is_no_edit(state: DeviceState, panel: ParameterPanel):
    field = panel.fields["w_max"]
    for value in (1.1, 1.2, 1.3):
        field.slider.value = value
    field.box.value = "1.1"  # Panel's page repeats what it has drawn, even when that has been replaced
    assert state.device.w_max == 1.3
    assert (field.box.value, field.slider.value) == ("1.3", 1.3)
    field.box.value = "1.15"  # never written here: typed by the user
    assert state.device.w_max == 1.15


def test_older_position_of_our_own_from_the_page_is_no_edit(state: DeviceState, panel: ParameterPanel):
    field = panel.fields["w_max"]
    for text in ("1.1", "1.2"):
        field.box.value = text
    field.slider.value = 1.1
    assert state.device.w_max == 1.2
    assert (field.box.value, field.slider.value) == ("1.2", 1.2)


def test_older_text_typed_again_later_is_an_edit(state: DeviceState, panel: ParameterPanel, monkeypatch):
    field = panel.fields["w_max"]
    for value in (1.1, 1.2):
        field.slider.value = value
    later = time.monotonic() + echo.LIFE_S
    monkeypatch.setattr(echo.time, "monotonic", lambda: later)
    field.box.value = "1.1"
    assert state.device.w_max == 1.1


def test_box_typed_exponent_keeps_all_digits(state: DeviceState, panel: ParameterPanel):
    panel.fields["dw_min"].box.value = "1.23456789e-3"
    assert state.device.dw_min == 1.23456789e-3
    assert float(panel.fields["dw_min"].box.value) == 1.23456789e-3
    assert panel.fields["dw_min"].slider.value == pytest.approx(math.log10(1.23456789e-3), abs=0.005)  # half a step


def test_box_typed_outside_slider_extends_slider(state: DeviceState, panel: ParameterPanel):
    panel.fields["w_max"].box.value = "7"
    assert state.device.w_max == 7
    assert panel.fields["w_max"].slider.end >= 7
    assert panel.fields["w_max"].slider.value == 7


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("dw_min", "nan", "must not be NaN"),
        ("dw_min", "-0.1", "outside its bounds"),
        ("dw_min", "inf", "outside its bounds"),
        ("dw_min", "a lot", "must be a number"),
        ("dw_min", "", "must be a number"),
        ("up_down", "1", "outside its bounds"),
        ("corrupt_devices_prob", "1.5", "outside its bounds"),
    ],
)
def test_box_typed_nonsense_keeps_device_and_says_why(state, panel, name: str, text: str, rule: str):
    before, revision = state.device, state.revision
    panel.fields[name].box.value = text
    field = panel.fields[name]
    assert state.device is before
    assert state.revision == revision
    assert rule in field.problem.object
    assert f".{name} = " in field.problem.object
    assert field.problem.visible
    assert field.box.error_state
    assert field.box.value == text
    assert "Invalid" in panel.chip.label
    others = [f for n, f in panel.fields.items() if n != name]
    assert not any(f.problem.visible for f in others)


def test_problem_is_html_escaped(panel: ParameterPanel):
    panel.fields["dw_min"].box.value = "<img src=x onerror=alert(1)>"
    assert "<img" not in panel.fields["dw_min"].problem.object


def test_box_corrected_clears_problem(state: DeviceState, panel: ParameterPanel):
    field = panel.fields["dw_min"]
    field.box.value = "nan"
    field.box.value = "0.002"
    assert state.device.dw_min == 0.002
    assert not field.problem.visible
    assert not field.box.error_state


def test_box_corrected_to_old_value_clears_problem(state: DeviceState, panel: ParameterPanel):
    field, old = panel.fields["dw_min"], shown(state.device.dw_min)
    field.box.value = "nan"
    field.box.value = old
    assert not field.problem.visible
    assert "Invalid" not in panel.chip.label


def test_other_parameter_changed_puts_refused_text_away(state: DeviceState, panel: ParameterPanel):
    field, old = panel.fields["dw_min"], shown(state.device.dw_min)
    field.box.value = "nan"
    panel.fields["w_max"].box.value = "0.9"
    assert field.box.value == old
    assert not field.problem.visible


def test_reset_of_refused_entry_shows_value_again(state: DeviceState, panel: ParameterPanel):
    field, old = panel.fields["dw_min"], shown(state.device.dw_min)
    field.box.value = "nan"
    field.undo_edit.clicks += 1
    assert field.box.value == old
    assert not state.problem


def test_fields_that_do_not_fit_together_are_refused_beside_the_edited_one(state, panel):
    # both exponentials so large that no pulse moves the device anywhere
    panel.fields["A_up"].box.value = "200"
    panel.fields["A_down"].box.value = "200"
    shown_at = [name for name, field in panel.fields.items() if field.problem.visible]
    assert shown_at == ["A_down"]
    assert "no step is positive" in panel.fields["A_down"].problem.object


def test_edit_marks_row_and_chip_and_reset_takes_back(state: DeviceState, panel: ParameterPanel):
    field = panel.fields["w_max"]
    assert panel.chip.label == "Preset"
    assert field.undo_edit.styles["visibility"] == "hidden"
    field.box.value = "0.5"
    assert panel.chip.label == "Edited: 1 parameter"
    assert field.undo_edit.styles["visibility"] == "visible"
    field.undo_edit.clicks += 1
    assert state.device == presets.load(PRESET)
    assert panel.chip.label == "Preset"
    assert field.box.value == shown(state.device.w_max)


def test_reset_all_takes_back_every_edit(state: DeviceState, panel: ParameterPanel):
    panel.fields["w_max"].box.value = "0.5"
    panel.fields["dw_min"].slider.value = -2
    assert panel.chip.label == "Edited: 2 parameters"
    panel.reset.clicks += 1
    assert state.device == presets.load(PRESET)
    assert panel.reset.disabled


def test_undo_and_redo_show_in_widgets(state: DeviceState, panel: ParameterPanel):
    field = panel.fields["w_max"]
    assert panel.undo.disabled
    field.box.value = "0.5"
    panel.undo.clicks += 1
    assert (state.device.w_max, field.box.value, field.slider.value) == (1.0, "1", 1.0)
    assert panel.undo.disabled
    panel.redo.clicks += 1
    assert (state.device.w_max, field.box.value, field.slider.value) == (0.5, "0.5", 0.5)
    assert panel.redo.disabled


def test_one_slide_is_undone_as_one(state: DeviceState, panel: ParameterPanel):
    slider = panel.fields["w_max"].slider
    for value in (0.9, 0.8, 0.7):
        slider.value = value
    panel.undo.clicks += 1
    assert state.device.w_max == 1.0
    assert not state.can_undo


def test_two_slides_are_undone_one_by_one(state: DeviceState, panel: ParameterPanel):
    slider = panel.fields["w_max"].slider
    slider.value = 0.9
    state.settle()  # the slider was let go
    slider.value = 0.8
    panel.undo.clicks += 1
    assert state.device.w_max == 0.9


def test_slide_without_effect_does_not_swallow_the_next_undo(state: DeviceState):
    state.slide(w_max=state.device.w_max)
    state.slide(w_max=0.5)
    state.undo()
    assert state.device.w_max == 1.0


def test_flag_switched_sets_device(state: DeviceState, panel: ParameterPanel):
    field = panel.fields["dw_min_dtod_log_normal"]
    field.switch.value = True
    assert state.device.dw_min_dtod_log_normal is True
    state.undo()
    assert field.switch.value is False


def test_choice_selected_sets_device(state: DeviceState, panel: ParameterPanel):
    state.load_device(WithChoice())
    panel.fields["mode"].select.value = "fast"
    assert state.device.mode == "fast"
    state.undo()
    assert panel.fields["mode"].select.value == "slow"


@pytest.fixture
def table(state: DeviceState, panel: ParameterPanel):
    state.load_class("lookup_table")
    return panel.fields["mean_up"]


@pytest.mark.parametrize("text", ["0.001, 2e-3, 0.003", "0.001 2e-3 0.003", "[0.001; 2e-3; 0.003],"])
def test_table_typed_sets_list_and_shows_nodes(state: DeviceState, table, text: str):
    table.box.value = text
    assert state.device.mean_up == [0.001, 0.002, 0.003]
    assert table.box.value == "0.001, 0.002, 0.003"
    assert "3 nodes" in table.nodes.object
    state.undo()
    assert table.box.value == "0.001"
    assert "1 node:" in table.nodes.object


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("mean_up", "", "must be a list"),
        ("mean_up", "0.1, much", "mean_up[1]"),
        ("mean_up", "0.1, nan", "is not allowed"),
        ("spread_up", "0.1, -0.1", "not below 0"),
    ],
)
def test_table_typed_nonsense_keeps_device_and_says_why(state, panel, table, name: str, text: str, rule: str):
    before, field = state.device, panel.fields[name]
    field.box.value = text
    assert state.device is before
    assert rule in field.problem.object
    assert field.problem.visible
    assert field.box.error_state
    assert field.box.value == text


def test_table_lengths_that_do_not_fit_are_refused(state: DeviceState, panel: ParameterPanel):
    state.load_class("piecewise_step")
    panel.fields["piecewise_up"].box.value = "1, 0.5"
    assert state.device.piecewise_up == [1.0]
    assert "equally long" in panel.fields["piecewise_up"].problem.object


def test_table_nodes_long_list_is_shown_in_full(state: DeviceState, table):
    values = [0.001 + k * 1e-7 for k in range(500)]
    state.set(mean_up=values)
    assert [float(v) for v in table.box.value.split(",")] == values
    assert "500 nodes" in table.nodes.object


def test_tooltip_tells_meaning_unit_default_and_source(every_class):
    state, panel = every_class
    for name, field in panel.fields.items():
        about = state.device.describe(name)
        widget = {"number": "slider", "flag": "switch", "choice": "select", "table": "box"}[about["kind"]]
        widget = getattr(field, widget)
        assert about["doc"] in widget.description
        assert about["source"] in widget.description
        if about["kind"] == "number":
            assert "pure number" in widget.description.lower() or about["unit"] in widget.description
            assert f"default {shown(about['default'])}" in widget.description


def test_tooltip_of_preset_names_source_of_its_value(state: DeviceState, panel: ParameterPanel):
    source = presets.info(PRESET).parameter_sources["dw_min"]
    assert source in panel.fields["dw_min"].slider.description
    state.load_preset("pcm_gst_2020")  # same class: the rows stay
    assert presets.info("pcm_gst_2020").parameter_sources["dw_min"] in panel.fields["dw_min"].slider.description


def test_preset_loaded_shows_its_values(state: DeviceState, panel: ParameterPanel):
    state.load_preset("pcm_gst_2020")
    assert float(panel.fields["dw_min"].box.value) == state.device.dw_min
    assert panel.chip.label == "Preset"


@given(st.sampled_from(devices.names()), st.data())
def test_scale_position_of_value_returns_value(stem: str, data):
    cls = devices.get(stem)
    names = [n for n in cls.fields() if cls.describe(n)["kind"] == "number"]
    about = cls.describe(data.draw(st.sampled_from(names)))
    low, high = about["softbounds"]
    scale = Scale(about)
    if about["integer"]:  # the class refuses all others, so no value of it lies between two whole numbers
        value = data.draw(st.integers(math.ceil(low), math.floor(high)))
        assert scale.value(scale.position(value)) == value
        return
    value = data.draw(st.floats(low, high))
    # four significant digits are kept, and zero has none to lose
    assert scale.value(scale.position(value)) == pytest.approx(value, rel=5.1e-4, abs=1e-12)


def test_sliders_wait_for_nothing():
    from panel.reactive import Syncable

    assert hasattr(Syncable, "_debounce")  # private: when it goes, look for the new name
    assert theme.Slider._debounce == live.SLIDER_DEBOUNCE_MS
    assert Syncable._debounce != live.SLIDER_DEBOUNCE_MS  # only our class has changed
