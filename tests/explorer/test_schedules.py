# SPDX-License-Identifier: Apache-2.0
"""Orders of pulses (conformance T41), and the step statistics of a response (T42)."""

import numpy as np
import pytest

from engine.devices.soft_bounds import SoftBounds
from engine.errors import ParameterError
from explorer.experiments import schedules
from explorer.experiments.pulse_response import PulseResponse


@pytest.mark.conformance("T41")
@pytest.mark.parametrize("n_steps", [7, 333, 7089])
def test_ramps_have_whole_blocks_over_ten_periods(n_steps):
    """A sine of whole periods, as some simulators use, has wrong signs by rounding from element 2996 on."""
    directions = schedules.ramps(20 * n_steps, n_steps).reshape(20, n_steps)
    assert (directions[0::2] == 1).all()
    assert (directions[1::2] == -1).all()


def test_ramps_cut_short_end_inside_a_ramp():
    assert schedules.ramps(8, 3).tolist() == [1, 1, 1, -1, -1, -1, 1, 1]


@pytest.mark.conformance("T41")
def test_alternation_starts_with_up():
    assert schedules.alternating(5).tolist() == [1, -1, 1, -1, 1]


def test_random_directions_are_even_and_follow_the_seed():
    """N = 1e5: the share of up pulses within 4.5 standard errors of a half; no correlation from pulse to pulse."""
    one = schedules.random(100_000, 3)
    assert set(np.unique(one)) == {-1, 1}
    assert abs((one > 0).mean() - 0.5) < 4.5 * 0.5 / np.sqrt(1e5)
    assert abs((one[1:] * one[:-1].astype(float)).mean()) < 4.5 / np.sqrt(1e5)
    assert (schedules.random(1000, 3) == one[:1000]).all()
    assert (schedules.random(1000, 4) != one[:1000]).any()


@pytest.mark.parametrize("directions", [[], [2], [1, 0.5], [[1, -1]]])
def test_custom_schedule_that_is_none_is_refused(directions):
    with pytest.raises(ParameterError, match=r"PulseResponse\.directions = .*\+1, -1, 0"):
        schedules.custom(directions)


def test_custom_schedule_is_taken_as_it_is():
    assert schedules.custom([1, 0, -1]).tolist() == [1, 0, -1]
    experiment = PulseResponse(schedule="custom", directions=[1, 0, -1], n_devices=2)
    assert experiment.run().direction.values.tolist() == [0, 1, 0, -1]


@pytest.mark.conformance("T42")
def test_step_statistics_of_noise_free_traces_are_the_step_curve():
    """Mean step in every bin within 2 % of the device's step at the bin's mean weight, both directions, no noise."""
    quiet = SoftBounds(dw_min=0.01, w_max=0.8, w_min=-0.6, up_down=0.2).nominal()
    ds = PulseResponse(device=quiet, n_devices=1, n_pulses=2000, ramp_length=250).run()
    for way in (1, -1):
        found = ds.sel(direction_of_step=way)
        filled = found.step_count.values > 2
        assert filled.sum() > 30
        expected = way * quiet.step(found.node_weight.values[filled], way)
        np.testing.assert_allclose(found.step_mean.values[filled], expected, rtol=0.02)


def test_step_statistics_count_every_pulse_once():
    ds = PulseResponse(n_devices=7, n_pulses=300).run()
    assert int(ds.step_count.sum()) == 7 * 300
    assert int(ds.step_count.sel(direction_of_step=1).sum()) == 7 * 150


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_step_statistics_show_the_cycle_noise(sigma):
    """300 equal constant-step devices far from the bounds, 3e4 steps: the spread is sigma times the step within 2 %."""
    from engine.devices.constant_step import ConstantStep

    device = ConstantStep(
        dw_min=0.001, dw_min_std=sigma, w_max=9.0, w_min=-9.0, dw_min_dtod=0, up_down_dtod=0, w_max_dtod=0, w_min_dtod=0
    )
    ds = PulseResponse(device=device, n_devices=300, n_pulses=100, ramp_length=100, start="zero", seed=2).run()
    up = ds.sel(direction_of_step=1)
    busy = up.step_count.values > 500
    pooled = np.sqrt(np.average(up.step_std.values[busy] ** 2, weights=up.step_count.values[busy]))
    assert pooled == pytest.approx(sigma * 0.001, rel=0.02)
