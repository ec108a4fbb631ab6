# SPDX-License-Identifier: Apache-2.0
"""Numbers that follow from the parameters: symmetry point, granularity, number of states (T33, T35)."""

import numpy as np
import pytest
import torch

from engine import presets
from engine.devices.constant_step import ConstantStep
from engine.devices.exp_step import ExpStep
from engine.devices.ideal import Ideal
from engine.devices.linear_step import LinearStep
from engine.devices.lookup_table import LookupTable
from engine.devices.piecewise_step import PiecewiseStep
from engine.devices.pow_step import PowStep
from engine.devices.pow_step_reference import PowStepReference
from engine.devices.soft_bounds import SoftBounds
from engine.devices.soft_bounds_pmax import SoftBoundsPmax
from engine.devices.soft_bounds_reference import SoftBoundsReference
from engine.errors import ParameterError
from engine.tiles import Tile

WIDE = {"dw_min": 0.01, "w_max": 1.0, "w_min": -1.0}
SHIFTED = {"dw_min": 0.01, "w_max": 1.25, "w_min": -0.75}
LINEAR = {"dw_min": 0.01, "gamma_up": 0.1153, "gamma_down": 0.5085, "w_max": 1.1724, "w_min": -0.8276}


def settled(device) -> tuple[float, float]:
    """Return the two weights that strict alternation settles on: after the up and after the down pulse."""
    tile = Tile(1, 1, device.nominal())
    trace = tile.pulse([1, -1] * 4000).hidden[-2:, 0, 0]
    return trace[0].item(), trace[1].item()


# Measured on aihwkit 1.2.0, 4000 up/down pairs from 0 without noise, after the down pulse.
@pytest.mark.conformance("T33")
@pytest.mark.parametrize(
    ("device", "peer"),
    [
        (SoftBounds(**WIDE, up_down=0.3), 0.17307),
        (SoftBounds(**SHIFTED, up_down=-0.3), -0.16403),
        (SoftBoundsReference(**WIDE, up_down=0.3), 0.17307),
    ],
    ids=["soft bounds", "shifted bounds", "reference device at zero"],
)
def test_alternating_pulses_settle_on_the_finite_step_values(device, peer):
    """(s_up (1 - a') - s_dn) / D after a down, (s_up - s_dn (1 - a)) / D after an up pulse, D = a + a' - a a'."""
    cell = device.nominal_cell()
    up, down = cell["dwmin_up"], cell["dwmin_down"]
    a, a_down = up / device.w_max, down / -device.w_min
    total = a + a_down - a * a_down
    after_up, after_down = settled(device)
    assert after_down == pytest.approx((up * (1 - a_down) - down) / total, abs=1e-5)
    assert after_up == pytest.approx((up - down * (1 - a)) / total, abs=1e-5)
    assert after_down == pytest.approx(peer, abs=1e-5)
    assert after_down < device.symmetry_point() < after_up


@pytest.mark.conformance("T33")
@pytest.mark.parametrize(
    ("device", "peer_down"),
    [
        (LinearStep(**LINEAR, up_down=0.1), 0.14516),
        (presets.load("reram_exp_hfo2_2018"), -0.21830),
        (PowStep(**WIDE, up_down=0.3, pow_gamma=2.0), 0.08799),
    ],
    ids=["linear", "exponential", "power"],
)
def test_alternating_pulses_settle_within_a_step_of_the_symmetry_point(device, peer_down):
    """The peer's value is rounded to 1e-5; 8000 roundings near a fixed point do not add up."""
    after_up, after_down = settled(device)
    point = device.symmetry_point()
    assert after_down == pytest.approx(peer_down, abs=1.5e-5)
    assert abs(after_down - point) < float(device.step(point, -1))
    assert abs(after_up - point) < float(device.step(point, 1))


@pytest.mark.conformance("T33")
def test_subtracted_reference_settles_within_a_step_of_zero():
    """Peer: -0.0034 after the down pulse, reference 0.17647."""
    device = SoftBoundsReference(**WIDE, up_down=0.3, subtract_symmetry_point=True)
    after_up, after_down = settled(device)
    assert device.nominal_cell()["reference"] == pytest.approx(0.3 / 1.7, abs=1e-6)
    assert after_down == pytest.approx(-0.0034, abs=5e-5)
    assert -0.01 < after_down < 0 < after_up < 0.01
    assert device.symmetry_point() == pytest.approx(0.0, abs=4e-6)  # 2e-6 of the range


@pytest.mark.conformance("T33")
def test_subtracted_power_reference_settles_within_a_step_of_zero():
    """Peer: -0.0009 after the down pulse, reference 0.08893. The step at the symmetry point is about 0.0021."""
    device = PowStepReference(**WIDE, up_down=0.3, pow_gamma=2.0, subtract_symmetry_point=True)
    after_up, after_down = settled(device)
    step = float(device.step(0.0, 1))
    assert device.nominal_cell()["reference"] == pytest.approx(0.08893, abs=5e-6)
    assert after_down == pytest.approx(-0.0009, abs=5e-5)
    assert -step < after_down < 0 < after_up < step
    assert device.symmetry_point() == pytest.approx(0.0, abs=4e-6)


@pytest.mark.conformance("T33")
@pytest.mark.parametrize(
    "device",
    [
        PowStepReference(**WIDE, up_down=0.3, pow_gamma=2.0, reference_mean=0.1),
        PiecewiseStep(**WIDE, piecewise_up=[2.0, 1.0, 0.2], piecewise_down=[0.1, 0.7, 1.5]),
        LookupTable(**WIDE, mean_up=[0.03, 0.01, 0.001], mean_down=[0.001, 0.02, 0.03]),
        SoftBoundsPmax(p_max=100, alpha=0.02, range_min=-0.5, range_max=0.9),
    ],
    ids=lambda d: d.stem(),
)
def test_symmetry_point_of_other_classes_is_where_alternation_settles(device):
    after_up, after_down = settled(device)
    point = device.symmetry_point()
    assert after_down < point < after_up
    assert after_up - after_down < 1.01 * max(float(device.step(point, way)) for way in (1, -1))
    assert float(device.step(point, 1)) == pytest.approx(float(device.step(point, -1)), rel=1e-4)


@pytest.mark.conformance("T33")
@pytest.mark.parametrize(
    ("device", "point"),
    [
        (SoftBounds(**WIDE, up_down=0.3), 0.3 / 1.7),
        (SoftBounds(**SHIFTED, up_down=-0.3), -0.3 / (0.7 / 1.25 + 1 / 0.75)),
        (SoftBounds(**WIDE), 0.0),
        (LinearStep(**LINEAR, up_down=0.1), 0.1 / (0.1153 / 1.1724 + 0.9 * 0.5085 / 0.8276)),
        (SoftBoundsReference(**WIDE, up_down=0.3, reference_mean=0.4), 0.3 / 1.7 - 0.4),
        (SoftBoundsReference(**WIDE, reference_mean=1.5), -1.5),
        (PowStep(**SHIFTED, up_down=0.3, pow_gamma=2.0), 1.25 - 2.0 * 0.7**0.5 / (1 + 0.7**0.5)),
        (PowStep(**WIDE, up_down=-0.2, pow_gamma=0.5), 1.0 - 2.0 * 1.25**2 / (1 + 1.25**2)),
    ],
)
def test_symmetry_point_equals_the_closed_form(device, point):
    """2e-6 of the range: the step curve is single precision (engine/devices/base.py)."""
    assert device.symmetry_point() == pytest.approx(point, abs=2e-6 * (device.w_max - device.w_min))


@pytest.mark.parametrize(
    "device", [ConstantStep(), ConstantStep(up_down=0.2), Ideal()], ids=["even", "uneven", "ideal"]
)
def test_symmetry_point_absent_is_none(device):
    assert device.symmetry_point() is None


@pytest.mark.conformance("T33")
@pytest.mark.parametrize("device", [SoftBounds(up_down=0.2), SoftBoundsReference(up_down=-0.3, reference_std=0.2)])
def test_symmetry_points_of_drawn_devices_equal_the_closed_form(device):
    """300 devices, a tile's arrays as they are; interpolated on 1/200 of the range: exact for straight step curves."""
    tile = Tile(300, 1, device, seed=2)
    cells = {n: c[:, 0] for n, c in tile.cells.items()}
    c = {n: v.numpy().astype(float) for n, v in cells.items()}
    curvature = c["dwmin_up"] / c["max_bound"] - c["dwmin_down"] / c["min_bound"]
    expected = (c["dwmin_up"] - c["dwmin_down"]) / curvature - c.get("reference", 0.0)
    np.testing.assert_allclose(device.symmetry_points(cells), expected, atol=1e-5)


def test_symmetry_points_of_devices_without_one_are_nan():
    tile = Tile(50, 1, ConstantStep(), seed=2)
    assert np.isnan(ConstantStep().symmetry_points({n: c[:, 0].numpy() for n, c in tile.cells.items()})).all()
    assert np.isnan(Ideal().symmetry_points({"dwmin_up": np.ones(3), "dwmin_down": np.ones(3)})).all()


def test_symmetry_points_of_stuck_devices_are_nan():
    device = SoftBounds(corrupt_devices_prob=1.0)
    tile = Tile(50, 1, device, seed=2)
    assert np.isnan(device.symmetry_points({n: c[:, 0].numpy() for n, c in tile.cells.items()})).all()


@pytest.mark.conformance("T35")
@pytest.mark.parametrize("cls", [ConstantStep, LinearStep, SoftBounds, SoftBoundsReference, LookupTable])
def test_granularity_is_dw_min_and_states_fill_the_range(cls):
    device = cls(dw_min=0.003, w_max=0.9, w_min=-0.6, up_down=0.3)
    assert device.granularity == 0.003
    assert device.n_states == pytest.approx(500)


@pytest.mark.conformance("T35")
@pytest.mark.parametrize(
    ("device", "granularity"),
    [
        (PowStep(), 0.0005),
        (PowStep(pow_gamma=2.0, dw_min=0.004), 0.001),
        (PowStepReference(pow_gamma=2.0), 0.00025),
        (PiecewiseStep(), 0.001),
        (PiecewiseStep(piecewise_up=[1.0, 2.0, 3.0], piecewise_down=[5.0, 5.0, 5.0]), 0.002),
        (PiecewiseStep(piecewise_up=[1.0, 2.0], piecewise_down=[5.0, 5.0]), 0.002),
        (SoftBoundsPmax(), 0.0020410),
        (SoftBoundsPmax(peer_compat=True), 0.0025415),
    ],
)
def test_granularity_of_the_other_classes(device, granularity):
    """Numbers of the measured curve are rounded to five digits; all others are exact to 1e-6."""
    rel = 2.5e-5 if isinstance(device, SoftBoundsPmax) else 1e-6
    assert device.granularity == pytest.approx(granularity, rel=rel)
    low, high = device.range
    assert device.n_states == pytest.approx((high - low) / device.granularity)


@pytest.mark.conformance("T35")
def test_exp_step_granularity_of_defaults_is_the_peer_s_in_compat():
    """Peer: 0.00098342 (its down step alone); ours is the mean of both directions. 1e-6: single precision."""
    down = 0.001 * (1 - 0.36833 * np.exp(-12.78785 * 0.2425))
    up = 0.001 * (1 - 0.00081 * np.exp(12.44625 * 0.2425))
    assert round(down, 8) == 0.00098342
    assert ExpStep(peer_compat=True).granularity == pytest.approx(down, rel=1e-6)
    assert ExpStep().granularity == pytest.approx((up + down) / 2, rel=1e-6)


@pytest.mark.conformance("T35")
@pytest.mark.parametrize(
    ("name", "peer", "ours"), [("reram_exp_hfo2_2018", 0.0019914, 0.0017363), ("pcm_gst_2020", 0.03235, 0.15735)]
)
def test_exp_step_presets_granularity_switches_with_peer_compat(name, peer, ours):
    """The two numbers are rounded to their last digit."""
    device = presets.load(name)
    assert device.peer_compat
    assert device.granularity == pytest.approx(peer, abs=6e-8)
    assert device.copy(peer_compat=False).granularity == pytest.approx(ours, abs=6e-8)
    assert device.n_states == pytest.approx((device.w_max - device.w_min) / device.granularity)


@pytest.mark.conformance("T35")
def test_exp_step_granularity_without_a_step_at_zero_is_dw_min():
    device = ExpStep(dw_min=0.004, A_up=2.0, gamma_up=0.0, A_down=1.0, gamma_down=1.0, a=1.0, b=0.0)
    assert device.step(0.0, 1) == device.step(0.0, -1) == 0
    assert device.granularity == 0.004


def test_range_of_the_reference_device_is_that_of_the_weight():
    device = SoftBoundsReference(w_max=1.0, w_min=-0.5, reference_mean=0.2)
    assert device.range == pytest.approx((-0.7, 0.8))
    tile = Tile(1, 1, device.nominal().copy(dw_min=0.1))
    assert tile.pulse([1] * 500).hidden[-1].item() == pytest.approx(0.8, abs=1e-6)
    assert tile.pulse([-1] * 500).hidden[-1].item() == pytest.approx(-0.7, abs=1e-6)


def test_ideal_has_no_bounds_and_endless_states():
    assert Ideal().range == (-np.inf, np.inf)
    assert Ideal().n_states == np.inf


def test_nominal_device_has_no_spread_noise_or_stuck_devices():
    for name in presets.names():
        nominal = presets.load(name).nominal()
        tile = Tile(3, 3, nominal, seed=1)
        for cell in tile.cells.values():
            assert cell.unique().numel() == 1
        trace = tile.pulse([1, 1, -1])
        torch.testing.assert_close(trace.apparent, trace.hidden, rtol=0, atol=0)
        assert trace.hidden[0].unique().numel() == 1


@pytest.mark.parametrize("direction", [0, 2, 0.5, "up"])
def test_step_of_no_direction_is_refused(direction):
    with pytest.raises(ParameterError, match=r"direction = .*\+1, -1"):
        ConstantStep().step(0.0, direction)


def test_step_has_the_shape_of_its_weights():
    assert SoftBounds().step(0.1, 1).shape == ()
    assert SoftBounds().step([[0.1, 0.2, 0.3]], 1).shape == (1, 3)
    assert SoftBounds().step([], 1).shape == (0,)
