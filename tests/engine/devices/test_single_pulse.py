# SPDX-License-Identifier: Apache-2.0
"""One pulse of every class against its formula; clipping; noise-free curves."""

import any_device
import formulas
import numpy as np
import pytest
import torch

from engine import devices, presets
from engine.devices.constant_step import ConstantStep
from engine.devices.exp_step import ExpStep
from engine.devices.floating_point import FloatingPoint
from engine.devices.ideal import Ideal
from engine.devices.linear_step import LinearStep
from engine.devices.lookup_table import LookupTable
from engine.devices.piecewise_step import PiecewiseStep
from engine.devices.pow_step import PowStep
from engine.devices.pow_step_reference import PowStepReference
from engine.devices.soft_bounds import SoftBounds
from engine.devices.soft_bounds_pmax import SoftBoundsPmax
from engine.devices.soft_bounds_reference import SoftBoundsReference
from engine.tiles import Tile

QUIET = {"dw_min": 0.01, "dw_min_std": 0.0}  # d2d spread stays: every crosspoint is another device
MANY = np.linspace(0.2, 2.0, 100).tolist()
CASES = [
    Ideal(dw_min=0.01),
    FloatingPoint(dw_min=0.01),
    ConstantStep(**QUIET, up_down=0.3),
    ExpStep(**QUIET),
    presets.load("reram_exp_hfo2_2018").copy(dw_min_std=0, write_noise_std=0),
    presets.load("pcm_gst_2020").copy(dw_min_std=0),
    LinearStep(**QUIET, gamma_up=0.3, gamma_down=0.7, gamma_up_dtod=0, gamma_down_dtod=0),
    LinearStep(**QUIET, gamma_up=0.3, gamma_down=0.7, gamma_up_dtod=0, gamma_down_dtod=0, mean_bound_reference=False),
    LinearStep(**QUIET, gamma_up=0.5, gamma_up_dtod=0, gamma_down_dtod=0, reverse_up=True, reverse_offset=0.05),
    LinearStep(**QUIET, gamma_down=1.5, gamma_up_dtod=0, gamma_down_dtod=0, reverse_down=True),
    SoftBounds(**QUIET, up_down=-0.4),
    SoftBounds(**QUIET, reverse_up=True, reverse_down=True, reverse_offset=0.2),
    SoftBoundsReference(**QUIET, reference_mean=0.05, reference_std=0.1),
    SoftBoundsReference(**QUIET, up_down=0.3, slope_up_dtod=0.2, slope_down_dtod=0.2, subtract_symmetry_point=True),
    SoftBoundsPmax(dw_min_std=0.0, p_max=50, alpha=0.02, range_min=-0.5, range_max=0.7),
    SoftBoundsPmax(dw_min_std=0.0, peer_compat=True),
    SoftBoundsPmax(dw_min_std=0.0, reverse_up=True, reverse_down=True, reverse_offset=0.2),
    PowStep(**QUIET, pow_gamma=2.0, pow_up_down=0.3, pow_up_down_dtod=0.05, up_down=-0.2),
    PowStep(**QUIET, pow_gamma=0.5),
    PowStepReference(**QUIET, pow_gamma=1.5, reference_mean=0.05, reference_std=0.1),
    PowStepReference(**QUIET, pow_gamma=2.0, up_down=0.3, subtract_symmetry_point=True),
    PiecewiseStep(**QUIET, piecewise_up=[0.5, 1.0, 2.0], piecewise_down=[1.0, 0.0, -0.2]),
    PiecewiseStep(**QUIET, piecewise_up=[0.7], piecewise_down=[1.1], up_down=0.1),
    PiecewiseStep(**QUIET, piecewise_up=MANY, piecewise_down=MANY[::-1]),  # aihwkit's limit on a GPU is 63 nodes
    LookupTable(**QUIET, mean_up=[0.01, 0.03, 0.02], mean_down=[0.02, 0.005], w_max=0.9, w_min=-0.4),
    LookupTable(**QUIET, mean_up=[0.01], mean_down=[0.02]),
]
NOISY = {"dw_min": 0.02, "dw_min_std": 5.0}


def case_id(device) -> str:
    changed = [n for n, v in device.values().items() if v != device.param[n].default and n not in NOISY]
    return f"{device.stem()}-{'-'.join(changed[:4])}"


def across_the_range(tile: Tile) -> np.ndarray:
    """Return 21 weights ``(out=21, in)`` from the lower to the upper bound of each column's device."""
    low, high = tile.device.cell_range(formulas.doubles(tile)) if tile.device.pulsed else (-1.0, 1.0)
    return (low + (high - low) * np.linspace(0, 1, tile.out_features)[:, None]).astype(np.float32)


def same_devices_in_every_row(tile: Tile) -> None:
    for cell in tile.cells.values():
        cell.copy_(cell[:1].expand_as(cell).clone())


def test_every_formula_has_a_device_and_a_case():
    assert set(formulas.STEPS) <= set(devices.names())
    assert {device.stem() for device in CASES} == set(formulas.STEPS)


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("device", CASES, ids=case_id)
def test_one_pulse_moves_by_the_formula_and_stops_at_the_bound(device, way):
    """21 weights by 50 devices; in single precision step and state are rounded: 4 units of 6e-8 of each."""
    tile = Tile(21, 50, device, seed=3)
    same_devices_in_every_row(tile)
    cells = formulas.doubles(tile)
    start = across_the_range(tile)
    tile.hidden.copy_(torch.from_numpy(start))
    tile.weights.copy_(tile.hidden)

    trace = tile.pulse([way])

    w = start.astype(float)
    step = formulas.STEPS[device.stem()](device, cells, w, way)
    low, high = device.cell_range(cells) if device.pulsed else (-np.inf, np.inf)
    expected = np.clip(w + way * step, low, high)
    scale = np.abs(step) + cells["dwmin_up"] + cells["dwmin_down"] + np.abs(w) + np.abs(cells.get("reference", 0.0))
    error = np.abs(trace.hidden[0].numpy() - expected) / scale
    assert error.max() < 4 * 6e-8
    assert (trace.hidden[0].numpy() != start).any()
    torch.testing.assert_close(trace.apparent, trace.hidden, rtol=0, atol=0)


@pytest.mark.parametrize("way", [1, -1])
@pytest.mark.parametrize("device", CASES, ids=case_id)
def test_nominal_step_equals_the_formula(device, way):
    """1e-6 of the larger of step and step scale: single precision, an exponential good to 3e-7 times its size."""
    cell = {n: np.float64(v) for n, v in device.nominal_cell().items()}
    low, high = device.range if device.pulsed else (-1.0, 1.0)
    w = np.linspace(low, high, 21).astype(np.float32)
    exact = formulas.STEPS[device.stem()](device, cell, w.astype(float), way)
    got = device.step(w, way)
    assert (np.abs(got - exact) <= 1e-6 * np.maximum(np.abs(exact), cell["dwmin_up"])).all()


def test_constant_step_half_a_step_from_the_bound_lands_on_it():
    tile = Tile(1, 4, ConstantStep(**QUIET), seed=5)
    low, high = tile.cells["min_bound"], tile.cells["max_bound"]
    tile.set_weights(high - tile.cells["dwmin_up"] / 2)
    torch.testing.assert_close(tile.pulse([1]).hidden[0], high, rtol=0, atol=0)
    tile.set_weights(low + tile.cells["dwmin_down"] / 2)
    torch.testing.assert_close(tile.pulse([-1]).hidden[0], low, rtol=0, atol=0)


@pytest.mark.parametrize("stem", [n for n in devices.names() if devices.get(n).pulsed])
@pytest.mark.parametrize("consistent", [True, False])
def test_bounds_hold_under_10000_noisy_pulses(stem, consistent):
    """100 devices, random directions, noise of five steps; without consistency some bounds are crossed."""
    wild = {"w_max_dtod": 0.8, "w_min_dtod": 0.8, "dw_min_dtod": 0.8, "enforce_consistency": consistent}
    tile = Tile(10, 10, any_device.make(stem, step=0.02, dw_min_std=5.0, **wild), seed=8)
    directions = np.random.default_rng(1).choice([-1, 1], (10_000, 10, 10)).astype(np.int8)
    hidden = tile.pulse(directions).hidden
    low, high = (torch.from_numpy(b) for b in tile.device.cell_range(tile.cells))
    slack = 1e-7 if "reference" in tile.cells else 0.0  # state less reference is rounded once more
    assert torch.isfinite(hidden).all()
    assert (hidden >= low - slack).all()
    assert (hidden <= high + slack).all()
    assert hidden.std(0).gt(0).float().mean() > 0.8  # they did move


# Peer: aihwkit 1.2.0 on its CPU engine, the preset without noise and spread, state after k pulses (measured).
EXP_UP = {10: -0.971023, 100: -0.747824, 300: -0.369738, 1000: 0.655580}
EXP_DOWN = {10: 0.884253, 100: 0.377377, 300: -0.100923, 1000: -0.998150}


@pytest.mark.parametrize(("start", "way", "expected"), [(-1.0, 1, EXP_UP), (1.0, -1, EXP_DOWN)])
def test_exp_step_curve_equals_the_peer(start, way, expected):
    """2e-5: the peer's numbers are single precision, 1000 roundings of 3e-8 each."""
    tile = Tile(1, 1, presets.load("reram_exp_hfo2_2018").nominal())
    tile.set_weights(torch.tensor([[start]]))
    trace = tile.pulse([way] * 1000).hidden[:, 0, 0]
    for k, w in expected.items():
        assert trace[k - 1].item() == pytest.approx(w, abs=2e-5)


def linear_curve(start, step, slope, n):
    """w_inf - (w_inf - w0) (1 + k)^n with the fixed point -s/k."""
    fixed = -step / slope
    return fixed - (fixed - start) * (1 + slope) ** n


COUNTS = np.array([1, 10, 100, 1000])


@pytest.mark.parametrize("way", [1, -1])
def test_constant_step_curve_is_a_ramp_to_the_bound(way):
    device = ConstantStep(dw_min=0.002, up_down=0.25, w_max=0.8, w_min=-0.9).nominal()
    tile = Tile(1, 1, device)
    trace = tile.pulse([way] * 1000).hidden[COUNTS - 1, 0, 0].numpy()
    step, bound = (0.002, 0.8) if way > 0 else (0.0015, 0.9)
    np.testing.assert_allclose(trace, way * np.minimum(COUNTS * step, bound), atol=1e-5)


@pytest.mark.parametrize("way", [1, -1])
def test_linear_step_curve_equals_the_closed_form(way):
    device = LinearStep(dw_min=0.002, gamma_up=0.6, gamma_down=0.3, w_max=1.1, w_min=-0.7).nominal()
    tile = Tile(1, 1, device)
    tile.set_weights(torch.tensor([[-0.2]]))
    trace = tile.pulse([way] * 1000).hidden[COUNTS - 1, 0, 0].numpy()
    slope, bound = (0.6 * 0.002 / 1.1, 1.1) if way > 0 else (0.3 * 0.002 / 0.7, 0.7)
    expected = way * np.minimum(linear_curve(-0.2 * way, 0.002, -slope, COUNTS), bound)
    np.testing.assert_allclose(trace, expected, atol=1e-5)


@pytest.mark.parametrize("reference", [0.0, 0.3])
@pytest.mark.parametrize("way", [1, -1])
def test_soft_bounds_curve_equals_the_closed_form(way, reference):
    """b - (b - v0) (1 - s/b)^n on the state v = w + reference."""
    shared = {"dw_min": 0.004, "up_down": 0.2, "w_max": 1.2, "w_min": -0.8}
    device = SoftBoundsReference(**shared, reference_mean=reference) if reference else SoftBounds(**shared)
    tile = Tile(1, 1, device.nominal())
    tile.set_weights(torch.tensor([[0.1]]))
    trace = tile.pulse([way] * 1000).hidden[COUNTS - 1, 0, 0].numpy()
    bound, step = (1.2, 0.004) if way > 0 else (0.8, 0.0032)
    v0 = way * (0.1 + reference)
    expected = way * (bound - (bound - v0) * (1 - step / bound) ** COUNTS) - reference
    np.testing.assert_allclose(trace, expected, atol=1e-5)
