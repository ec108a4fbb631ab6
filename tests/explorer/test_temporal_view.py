# SPDX-License-Identifier: Apache-2.0
"""The view of processes in time: what is drawn is the experiment's, and where nothing changes it says so."""

from __future__ import annotations

import numpy as np
import pytest

from engine import devices
from explorer.experiments.retention import Retention
from explorer.labs.state import DeviceState
from explorer.views.temporal import MAX_DEVICES, TemporalView


@pytest.fixture
def state() -> DeviceState:
    return DeviceState(n_devices=20, seed=3)


@pytest.fixture
def view(state: DeviceState) -> TemporalView:
    return TemporalView(state)


def test_temporal_device_that_stays_shows_designed_empty_state(state: DeviceState, view: TemporalView):
    assert view.empty.visible
    assert "drift_nu" in view.empty.object
    assert not any(plot.view.visible for plot in view.plots.values())


@pytest.mark.parametrize(
    ("change", "clock"), [({"drift_nu": 0.1}, "drift"), ({"lifetime": 50}, "batches"), ({"diffusion": 0.01}, "batches")]
)
def test_temporal_process_set_draws_the_experiments_bands(state, view, change: dict, clock: str):
    state.set(**change)
    ds = Retention(device=state.device, clock=clock, n_devices=20, seed=3).run()
    drawn = view.plots[clock].source.data
    np.testing.assert_array_equal(drawn["time"], ds.time.values)
    for k in range(ds.sizes["level"]):
        np.testing.assert_array_equal(drawn[f"median{k}"], ds.band.sel(quantile=0.5).values[k])
        np.testing.assert_array_equal(drawn[f"low{k}"], ds.band.sel(quantile=0.05).values[k])
        np.testing.assert_array_equal(drawn[f"nominal{k}"], ds.nominal.values[k])
    assert [c for c, plot in view.plots.items() if plot.view.visible] == [clock]
    assert not view.empty.visible
    state.undo()
    assert view.empty.visible


def test_temporal_both_clocks_are_shown_side_by_side(state: DeviceState, view: TemporalView):
    state.set(drift_nu=0.1, lifetime=50)
    assert all(plot.view.visible for plot in view.plots.values())


def test_temporal_axes_enclose_what_is_drawn(state: DeviceState, view: TemporalView):
    state.set(drift_nu=-0.1)
    plot = view.plots["drift"]
    drawn = np.concatenate([v for n, v in plot.source.data.items() if n != "time"])
    assert plot.figure.y_range.start <= drawn.min() <= drawn.max() <= plot.figure.y_range.end
    times = plot.source.data["time"]
    assert 0 < plot.figure.x_range.start < times[0] < times[-1] < plot.figure.x_range.end


def test_temporal_number_of_devices_is_limited_and_told(state: DeviceState, view: TemporalView):
    state.param.update(n_devices=2000)
    state.set(drift_nu=0.1)
    assert f"{MAX_DEVICES} devices" in view.note.object


@pytest.mark.parametrize("stem", devices.names())
def test_temporal_every_class_is_drawn_or_said_to_stay(stem: str):
    state = DeviceState(n_devices=5)
    view = TemporalView(state)
    state.load_class(stem)
    state.set(lifetime=50)
    assert view.plots["batches"].view.visible
    assert not view.problem.visible
