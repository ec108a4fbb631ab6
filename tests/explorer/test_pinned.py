# SPDX-License-Identifier: Apache-2.0
"""Devices kept for comparison: in the state, in a link, behind the present curves."""

from __future__ import annotations

import numpy as np
import pytest

from engine import presets
from explorer.labs import link
from explorer.labs.state import MAX_PINNED, DeviceState
from explorer.views.pinned import names
from explorer.views.response import ResponseView
from explorer.views.response_data import Request, respond


@pytest.fixture
def state() -> DeviceState:
    return DeviceState("capacitor_14nm_2018", n_devices=10, n_pulses=20)


@pytest.fixture
def view(state: DeviceState) -> ResponseView:
    return ResponseView(state)


def test_pin_keeps_device_while_another_is_shown(state: DeviceState, view: ResponseView):
    kept = state.device
    view.pinned.button.clicks += 1
    state.load_preset("ecram_li_2018")
    assert state.pinned == [("capacitor_14nm_2018", kept)]
    expected = respond(Request(kept, 10, 20, 0))
    np.testing.assert_array_equal(view.curves.pins[0].data["median"], expected.curves["median"])
    np.testing.assert_array_equal(view.steps.pins[0].data["up"], expected.step_lines["up"])
    assert view.pinned.table.visible
    assert "capacitor_14nm_2018" in view.pinned.table.object
    assert "On show" in view.pinned.table.object


def test_pinned_follows_number_of_pulses(state: DeviceState, view: ResponseView):
    state.pin()
    state.n_pulses = 30
    assert len(view.curves.pins[0].data["pulse"]) == 31


def test_unpin_by_its_chip_removes_curves(state: DeviceState, view: ResponseView):
    state.pin()
    state.load_preset("ecram_li_2018")
    state.pin()
    view.pinned.chips[1][1].clicks += 1
    assert [preset for preset, _ in state.pinned] == ["ecram_li_2018"]
    assert len(view.curves.pins[1].data["pulse"]) == 0
    view.pinned.chips[1][1].clicks += 1
    assert not view.pinned.table.visible
    assert len(view.curves.pins[0].data["pulse"]) == 0


def test_pin_same_device_twice_is_not_offered(state: DeviceState, view: ResponseView):
    state.pin()
    assert view.pinned.button.disabled
    state.pin()
    assert len(state.pinned) == 1
    state.set(dw_min=0.01)
    assert not view.pinned.button.disabled


def test_pin_stops_at_most(state: DeviceState, view: ResponseView):
    for k in range(MAX_PINNED + 1):
        state.set(dw_min=0.01 + 0.001 * k)
        state.pin()
    assert len(state.pinned) == MAX_PINNED
    assert view.pinned.button.disabled
    assert "remove one" in view.pinned.button.label


def test_names_of_equal_origin_are_told_apart(state: DeviceState):
    state.pin()
    for value in (0.01, 0.02):
        state.set(dw_min=value)
        state.pin()
    assert names(state) == ["capacitor_14nm_2018", "capacitor_14nm_2018, edited (1)", "capacitor_14nm_2018, edited (2)"]


def test_link_restores_pinned_devices(state: DeviceState):
    state.set(dw_min=0.01)
    state.pin()
    state.load_class("lookup_table")
    state.pin()
    other = DeviceState()
    assert link.restore(other, link.encode(state)) == ""
    assert other.pinned == state.pinned


def test_link_without_pinned_clears_them(state: DeviceState):
    other = DeviceState()
    other.pin()
    assert link.restore(other, link.encode(state)) == ""
    assert other.pinned == []


def test_link_with_too_many_pinned_is_refused(state: DeviceState):
    query = state.to_query()
    with pytest.raises(ValueError, match="pinned"):
        state.from_query(query | {"pinned": [query] * (MAX_PINNED + 1)})
    assert state.pinned == []


def test_ranges_enclose_pinned_curves(state: DeviceState, view: ResponseView):
    state.load_device(presets.load("rpu_baseline_2016").copy(w_max=5.0, dw_min=0.5))
    state.pin()
    state.load_preset("capacitor_14nm_2018")
    assert view.curves.figure.y_range.end >= np.max(view.curves.pins[0].data["high"])
    assert view.steps.figure.y_range.end >= 0.5
