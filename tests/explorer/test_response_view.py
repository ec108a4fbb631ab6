# SPDX-License-Identifier: Apache-2.0
"""The live response: what is drawn is what the experiment computes, and the newest request wins."""

from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import devices, presets
from engine.errors import ParameterError
from explorer.assessment import FAIL, MARGINAL, PASS, limits
from explorer.experiments.pulse_response import PulseResponse
from explorer.fitting import read_measured
from explorer.labs.state import DeviceState
from explorer.views import response_data
from explorer.views.diagnosis import amount, badge
from explorer.views.live import LatestWins
from explorer.views.ranges import round_out
from explorer.views.response import ResponseView
from explorer.views.response_data import Request, measured_columns, respond

PRESET = "reram_exp_hfo2_2018"
MEASURED_CSV = b"up_pulse_response_S,down_pulse_response_S\n1e-6,5e-6\n3e-6,3e-6\n5e-6,1e-6\n"


@pytest.fixture
def state() -> DeviceState:
    return DeviceState(PRESET, n_devices=30, n_pulses=60)


@pytest.fixture
def view(state: DeviceState) -> ResponseView:
    return ResponseView(state)


def computed(state: DeviceState):
    return PulseResponse(device=state.device, n_devices=state.n_devices, n_pulses=state.n_pulses, seed=state.seed).run()


def assert_curves_are_of(view: ResponseView, ds) -> None:
    drawn = view.curves.source.data
    for column, quantile in (("low", 0.05), ("median", 0.5), ("high", 0.95)):
        np.testing.assert_array_equal(drawn[column], ds.band.sel(quantile=quantile).values)
    np.testing.assert_array_equal(drawn["nominal"], ds.nominal.values)
    np.testing.assert_array_equal(drawn["trace0"], ds.apparent.isel(device=0).values)
    np.testing.assert_array_equal(drawn["pulse"], ds.pulse.values)


def test_response_first_picture_is_the_experiments_result(state: DeviceState, view: ResponseView):
    assert_curves_are_of(view, computed(state))


def test_response_parameter_changed_draws_new_result(state: DeviceState, view: ResponseView):
    before = view.curves.source.data["median"].copy()
    state.set(dw_min=0.01)
    assert not np.array_equal(view.curves.source.data["median"], before)
    assert_curves_are_of(view, computed(state))


@pytest.mark.parametrize("change", [{"n_devices": 12}, {"n_pulses": 20}, {"seed": 3}])
def test_response_simulation_changed_draws_new_result(state, view, change: dict):
    state.param.update(**change)
    assert_curves_are_of(view, computed(state))
    for value in change.values():
        assert str(value) in view.note.object


def test_response_refused_edit_draws_nothing(state: DeviceState, view: ResponseView):
    before = view.worker.computed
    state.set(dw_min=float("nan"))
    assert view.worker.computed == before


@pytest.mark.parametrize("name", presets.names())
def test_response_every_preset_is_drawn(view: ResponseView, state: DeviceState, name: str):
    state.load_preset(name)
    assert not view.problem.visible
    assert np.isfinite(view.curves.source.data["median"]).all()
    assert view.tiles.object.count('class="tile"') >= 5


@pytest.mark.parametrize("stem", devices.names())
def test_response_every_class_is_drawn(view: ResponseView, state: DeviceState, stem: str):
    state.load_class(stem)
    assert not view.problem.visible
    assert np.isfinite(view.curves.source.data["nominal"]).all()
    up = view.steps.lines.data["up"]
    # At the bound it is the difference of two numbers as large as the largest step.
    assert min(up) >= -np.finfo(np.float32).eps * max(up)


def test_symmetry_histogram_counts_devices_with_a_point(state: DeviceState, view: ResponseView):
    found = computed(state).symmetry_point.values
    assert sum(view.symmetry.bars.data["count"]) == np.isfinite(found).sum() > 0
    assert view.symmetry.nominal.data["w"] == [state.device.symmetry_point()]
    assert not view.symmetry.empty.visible


@pytest.mark.parametrize(("stem", "word"), [("ideal", "no bounds"), ("constant_step", "everywhere or nowhere")])
def test_symmetry_point_missing_shows_designed_empty_state(state, view, stem: str, word: str):
    # without spread no constant-step device has a single crossing
    state.load_device(devices.get(stem)().nominal())
    assert view.symmetry.empty.visible
    assert word in view.symmetry.empty.object
    assert not view.symmetry.plot.visible
    state.load_preset(PRESET)
    assert not view.symmetry.empty.visible
    assert view.symmetry.plot.visible


def test_tiles_of_ideal_device_tell_infinity_not_a_number(state: DeviceState, view: ResponseView):
    state.load_class("ideal")
    assert "∞" in view.tiles.object
    assert "none" in view.tiles.object
    assert "nan" not in view.tiles.object.lower()


def test_step_points_lie_on_nominal_line_without_noise(state: DeviceState, view: ResponseView):
    # soft bounds without noise: in a bin of weights the mean step is the step at the mean weight, the step being linear
    state.load_device(devices.get("soft_bounds")().nominal())
    points = view.steps.points["up"].data
    expected = np.interp(points["w"], view.steps.lines.data["w"], view.steps.lines.data["up"])
    assert points["w"]
    # float32 weights near 0.6 have a spacing of 6e-8, which is what a step read as their difference carries
    np.testing.assert_allclose(points["mean"], expected, atol=1.2e-7)


def test_long_response_draws_every_nth_pulse(state: DeviceState):
    found = respond(Request(state.device, 5, 5000, 0))
    assert found.stride == 6  # 5001 points, at most 1000 drawn
    assert len(found.curves["pulse"]) <= response_data.MAX_POINTS
    assert np.all(np.diff(found.curves["pulse"]) == 6)


def test_response_too_large_says_so_and_keeps_the_picture(state: DeviceState, view: ResponseView):
    before = view.curves.source.data["median"]
    state.param.update(n_devices=2000, n_pulses=20000)
    assert view.problem.visible
    assert "too many" in view.problem.object
    assert view.curves.source.data["median"] is before
    state.param.update(n_devices=10, n_pulses=20)
    assert not view.problem.visible


def test_respond_too_large_raises(state: DeviceState):
    with pytest.raises(ParameterError, match="too many to be live"):
        respond(Request(state.device, 2000, 20000, 0))


def test_measured_overlay_draws_normalised_traces(state: DeviceState, view: ResponseView):
    assert "measured" not in view.curves.legend.object
    state.measured = read_measured(MEASURED_CSV, "ramps.csv").normalise(-1, 1, 1e-6, 5e-6)
    drawn = view.curves.measured.data["w"]
    assert "measured" in view.curves.legend.object
    # double rounding of 1e-6 S
    np.testing.assert_allclose(drawn[np.isfinite(drawn)], [-1, 0, 1, 1, 0, -1], atol=1e-12)
    state.measured = None
    assert "measured" not in view.curves.legend.object
    assert len(view.curves.measured.data["w"]) == 0


def test_measured_overlay_longer_than_the_model_is_in_sight(state: DeviceState, view: ResponseView):
    many = b"up_pulse_response_S,down_pulse_response_S\n" + b"".join(
        f"{1e-6 * (1 + k)},{1e-6 * (100 - k)}\n".encode() for k in range(100)
    )
    state.measured = read_measured(many, "long.csv").normalise(-3, 3)
    axis = view.curves.figure
    assert axis.x_range.end >= 199
    assert axis.y_range.start <= -3
    assert axis.y_range.end >= 3


@pytest.mark.parametrize("name", presets.names())
def test_ranges_hold_all_that_is_drawn(state: DeviceState, view: ResponseView, name: str):
    state.load_preset(name)
    weight = view.curves.figure.y_range
    for column in ("low", "high", "nominal", "trace0"):
        drawn = view.curves.source.data[column]
        assert weight.start <= drawn.min() <= drawn.max() <= weight.end
    step = view.steps.figure
    for column in ("up", "down"):
        assert step.y_range.start <= min(view.steps.lines.data[column])
        assert step.y_range.end >= max(view.steps.lines.data[column])


def test_range_in_place_keeps_the_users_zoom(state: DeviceState, view: ResponseView):
    axis = view.curves.figure.y_range
    axis.update(start=-0.5, end=-0.4)  # as the zoom tool does
    state.set(dw_min=state.device.dw_min * 1.0001)
    assert (axis.start, axis.end) == (-0.5, -0.4)


@given(st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_round_out_holds_both_numbers_with_little_to_spare(low: float, width: float):
    start, end = round_out(low, low + width)
    spare = 1e-6 * (abs(low) + width + 1)  # a number may lie this little outside: the rounding of a step
    assert start <= low + spare
    assert end >= low + width - spare
    if width > 1e-3 * abs(low) + 1e-3:
        assert end - start <= 1.5 * width  # one step of at most a fifth of the width at either end


def test_measured_columns_without_data_are_empty():
    assert all(column.size == 0 for column in measured_columns(None).values())


def test_latest_wins_burst_computes_first_and_last_only():
    drawn, release, entered = [], threading.Event(), threading.Event()

    def compute(asked: int) -> int:
        entered.set()
        release.wait(10)
        return asked

    async def burst() -> LatestWins:
        worker = LatestWins(compute, drawn.append)
        worker.request(0)
        await asyncio.to_thread(entered.wait, 10)
        for asked in range(1, 50):
            worker.request(asked)
        assert worker.busy
        release.set()
        while worker.busy:
            await asyncio.sleep(0.001)
        return worker

    worker = asyncio.run(burst())
    assert drawn == [0, 49]
    assert worker.computed == 2


def test_latest_wins_failure_is_told_and_next_request_is_answered():
    drawn, told = [], []

    def compute(asked: int) -> float:
        return 1 / asked

    async def both() -> None:
        worker = LatestWins(compute, drawn.append, told.append)
        for asked in (0, 2):
            worker.request(asked)
            while worker.busy:
                await asyncio.sleep(0.001)

    asyncio.run(both())
    assert [type(problem) for problem in told] == [ZeroDivisionError]
    assert drawn == [0.5]


def test_latest_wins_without_event_loop_draws_before_it_returns():
    drawn = []
    LatestWins(lambda asked: asked + 1, drawn.append).request(1)
    assert drawn == [2]


def test_diagnosis_follows_the_device(state: DeviceState, view: ResponseView):
    assert "noise to step" in view.diagnosis.verdict.object
    assert "outside" in view.diagnosis.table.object
    state.load_preset("idealized_symmetric")
    assert "Keeps all" in view.diagnosis.verdict.object
    assert "outside" not in view.diagnosis.table.object
    assert view.diagnosis.table.object.count(">within</span>") == len(limits())


@pytest.mark.parametrize("status", [PASS, MARGINAL, FAIL])
def test_badge_tells_by_sign_and_word_not_by_colour_alone(status: str):
    others = {badge(s).partition(">")[2] for s in (PASS, MARGINAL, FAIL) if s != status}
    assert badge(status).partition(">")[2] not in others
    assert "<svg" in badge(status)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (float("nan"), "%", "–"),
        (float("inf"), "states", "∞"),
        (1250.4, "states", "1\u202f250"),
        (2.6149, "%", "2.61&nbsp;%"),
    ],
)
def test_amount_shows_three_digits(value: float, unit: str, text: str):
    assert amount(value, unit) == text
