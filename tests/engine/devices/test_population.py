# SPDX-License-Identifier: Apache-2.0
"""Device-to-device draws against the formulas of docs/physics/devices.md, section 2 (conformance T04-T09, T11).

N = 250 000 devices a population. Peer numbers (aihwkit 1.2.0, CPU, 500 x 500 devices) stand beside the theory.
"""

import itertools

import any_device
import judge
import numpy as np
import pytest
import torch
from scipy import stats

from engine import devices
from engine.devices.constant_step import ConstantStep
from engine.devices.linear_step import LinearStep
from engine.devices.soft_bounds import SoftBounds
from engine.devices.soft_bounds_reference import SoftBoundsReference
from engine.tiles import Tile

SIDE = 500
SEEDS = [1, 2, 3]
NO_SPREAD = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
PULSED = [stem for stem in devices.names() if devices.get(stem).pulsed]


def population(device, seed: int = 1, side: int = SIDE) -> dict[str, np.ndarray]:
    return {n: c.numpy().astype(float).ravel() for n, c in Tile(side, side, device, seed=seed).cells.items()}


def folded(mean: float, spread: float) -> tuple[float, float]:
    """Return mean and standard deviation of |X|, X normal."""
    z = mean / spread
    first = spread * np.sqrt(2 / np.pi) * np.exp(-z * z / 2) + mean * (1 - 2 * stats.norm.cdf(-z))
    return first, np.sqrt(mean**2 + spread**2 - first**2)


@pytest.mark.conformance("T04")
@pytest.mark.parametrize("seed", SEEDS)
def test_step_scales_and_bounds_have_the_stated_moments(seed):
    """Peer: s_up/dw_min 1.0003 +- 0.3155, s_dn 0.8016 +- 0.3124, correlation 0.7983; bounds 0.6003 +- 0.1800."""
    device = ConstantStep(dw_min=0.004, up_down=0.2, dw_min_dtod=0.3, up_down_dtod=0.1, w_max=0.6, w_min=-0.5)
    cells = population(device, seed)
    up, down = cells["dwmin_up"] / 0.004, cells["dwmin_down"] / 0.004
    spread = np.hypot(0.3, 0.1)
    for scale, mean in ((up, 1.0), (down, 0.8)):
        expected = folded(mean, spread)
        judge.mean(scale, expected[0])
        judge.std(scale, expected[1], within=0.01)
    judge.correlation(up, down, (0.3**2 - 0.1**2) / spread**2, within=0.01)
    for bound, mean in ((cells["max_bound"], 0.6), (-cells["min_bound"], 0.5)):
        expected = folded(mean, 0.3 * mean)
        judge.mean(bound, expected[0])
        judge.std(bound, expected[1], within=0.01)


@pytest.mark.conformance("T04")
@pytest.mark.parametrize("seed", SEEDS)
def test_independent_quantities_are_uncorrelated(seed):
    """Bounds, common gain, asymmetry, gammas: seven independent draws of one device."""
    device = LinearStep(dw_min_dtod=0.1, up_down_dtod=0.1, gamma_up=0.5, gamma_down=0.5)
    c = population(device, seed)
    drawn = {
        "b_max": c["max_bound"],
        "b_min": c["min_bound"],
        "gain": c["dwmin_up"] + c["dwmin_down"],
        "asymmetry": c["dwmin_up"] - c["dwmin_down"],
        "gamma_up": c["slope_up"] / c["dwmin_up"],
        "gamma_down": c["slope_down"] / c["dwmin_down"],
    }
    for (a, x), (b, y) in itertools.combinations(drawn.items(), 2):
        judge.correlation(x, y, 0.0, within=0.01, what=f"{a}, {b}")


@pytest.mark.conformance("T05")
@pytest.mark.parametrize(("up_down", "expected"), [(0.2, (1.0, 0.8)), (-0.2, (0.8, 1.0)), (0.0, (1.0, 1.0))])
def test_asymmetry_reduces_one_direction_only(up_down, expected):
    cells = population(ConstantStep(dw_min=0.001, up_down=up_down, **NO_SPREAD), side=20)
    for name, factor in zip(("dwmin_up", "dwmin_down"), expected, strict=True):
        np.testing.assert_allclose(cells[name], 0.001 * factor, rtol=1e-6)


@pytest.mark.conformance("T06")
@pytest.mark.parametrize("seed", SEEDS)
def test_log_normal_spread_shifts_the_mean(seed):
    """Mean gain exp(dtod^2 / 2) = 1.3586; peer 1.3582. The limits are about 5 and 4.5 standard errors."""
    device = ConstantStep(dw_min=1.0, **NO_SPREAD | {"dw_min_dtod": 0.7829}, dw_min_dtod_log_normal=True)
    gain = population(device, seed)["dwmin_up"]
    assert abs(gain.mean() - np.exp(0.7829**2 / 2)) < 0.012
    assert abs(np.log(gain).std() - 0.7829) < 0.005


@pytest.mark.conformance("T07")
@pytest.mark.parametrize("seed", SEEDS)
def test_consistency_folds_scales_and_bounds(seed):
    """Peer: scales 1.0812 +- 0.6859 at spread 0.8, bounds 1.0192 +- 0.5362 at spread 0.5695."""
    wide = {"dw_min_dtod": 0.8, "w_max_dtod": 0.5695, "w_min_dtod": 0.5695}
    cells = population(ConstantStep(dw_min=1.0, w_max=1.0, w_min=-1.0, **NO_SPREAD | wide), seed)
    assert (cells["dwmin_up"] >= 0).all()
    assert (cells["dwmin_down"] >= 0).all()
    assert (cells["min_bound"] <= 0).all()
    assert (cells["max_bound"] >= 0).all()
    for sample, spread in ((cells["dwmin_up"], 0.8), (cells["max_bound"], 0.5695), (-cells["min_bound"], 0.5695)):
        expected = folded(1.0, spread)
        assert sample.mean() == pytest.approx(expected[0], rel=0.01)
        judge.std(sample, expected[1], within=0.01)


@pytest.mark.conformance("T07")
@pytest.mark.parametrize("seed", SEEDS)
def test_without_consistency_steps_reverse_and_crossed_bounds_switch_off(seed):
    """Theory 0.1056 and 0.0385; peer 0.1051 and 0.0389."""
    wide = {"dw_min_dtod": 0.8, "w_max_dtod": 0.8, "w_min_dtod": 0.8}
    device = ConstantStep(w_max=1.0, w_min=-1.0, **NO_SPREAD | wide, enforce_consistency=False)
    cells = population(device, seed)
    judge.fraction(cells["dwmin_up"] < 0, stats.norm.cdf(-1 / 0.8), within=0.003)
    off = cells["min_bound"] == cells["max_bound"]
    judge.fraction(off, stats.norm.cdf(-2 / np.hypot(0.8, 0.8)), within=0.003)
    assert (cells["min_bound"] <= cells["max_bound"]).all()


@pytest.mark.conformance("T08")
@pytest.mark.parametrize("seed", SEEDS)
def test_stuck_devices_have_the_stated_share_and_lie_uniformly(seed):
    """Peer: share 0.1353 of 0.1348, standard deviation of the stuck values 0.00578 of 0.00577."""
    device = ConstantStep(corrupt_devices_prob=0.1348, corrupt_devices_range=0.01)
    cells = population(device, seed)
    stuck = cells["min_bound"] == cells["max_bound"]
    judge.fraction(stuck, 0.1348, within=0.003)
    assert (cells["dwmin_up"][stuck] == 0).all()
    assert (cells["dwmin_down"][stuck] == 0).all()
    assert (cells["dwmin_up"][~stuck] > 0).all()
    values = cells["max_bound"][stuck]
    inside = values[np.abs(values) < 0.01]
    assert inside.size > 0.97 * values.size  # the rest belongs to devices whose own bounds are narrower
    assert stats.kstest(inside[:10_000], stats.uniform(-0.01, 0.02).cdf).pvalue > 1e-4


@pytest.mark.conformance("T08")
@pytest.mark.parametrize("stem", PULSED)
def test_stuck_devices_never_move(stem):
    """40 x 40 devices, half of them stuck, 1000 noisy pulses in random directions, then an update and a write."""
    device = any_device.make(stem, dw_min_std=1.0, corrupt_devices_prob=0.5, corrupt_devices_range=0.3)
    tile = Tile(40, 40, device, seed=4)
    low, high = (torch.as_tensor(b) for b in device.cell_range(tile.cells))
    stuck = low == high
    assert 0.4 < stuck.float().mean() < 0.6
    tile.pulse(np.random.default_rng(2).choice([-1, 1], (1000, 40, 40)))
    tile.update(torch.randn(3, 40), torch.randn(3, 40), 1.0)
    tile.set_weights(torch.full((40, 40), 0.7))
    torch.testing.assert_close(tile.hidden[stuck], low[stuck], rtol=0, atol=0)


@pytest.mark.conformance("T08")
def test_corrupt_probability_of_one_sticks_every_device():
    cells = population(ConstantStep(corrupt_devices_prob=1.0), side=50)
    np.testing.assert_array_equal(cells["min_bound"], cells["max_bound"])


@pytest.mark.conformance("T09")
@pytest.mark.parametrize("stem", PULSED)
def test_perfect_bias_makes_the_last_column_ideal(stem):
    """One part in 1e6: a device given by a curve has rounded bounds."""
    device = any_device.make(stem, step=0.004, high=0.625, low=-0.5, perfect_bias=True)
    cells = Tile(30, 20, device, seed=2).cells
    single = {"dwmin_up": 0.004, "dwmin_down": 0.004, "max_bound": 62.5, "min_bound": -50.0}
    for name, value in single.items():
        assert cells[name][:, -1].numpy() == pytest.approx(value, rel=1e-6)
        assert cells[name][:, :-1].std() > 0


@pytest.mark.conformance("T11")
@pytest.mark.parametrize("seed", SEEDS)
def test_linear_slopes_are_folded_around_gamma(seed):
    """Peer: 0.1158 +- 0.0492 for gamma 0.1153 +- 0.05."""
    device = LinearStep(gamma_up=0.1153, gamma_down=0.5, w_max=1.2, w_min=-0.8)
    cells = population(device, seed)
    slopes = {
        "up": -cells["slope_up"] * 1.2 / cells["dwmin_up"],
        "down": cells["slope_down"] * 0.8 / cells["dwmin_down"],
    }
    for name, gamma in (("up", 0.1153), ("down", 0.5)):
        expected = folded(gamma, 0.05)
        judge.mean(slopes[name], expected[0])
        judge.std(slopes[name], expected[1], within=0.01)
        assert (slopes[name] >= 0).all()


@pytest.mark.conformance("T11")
def test_linear_slopes_allowed_to_increase_are_not_folded():
    cells = population(LinearStep(gamma_up=0.0, gamma_up_dtod=0.2, w_max=1.0, allow_increasing=True))
    slopes = -cells["slope_up"] / cells["dwmin_up"]
    judge.mean(slopes, 0.0)
    judge.std(slopes, 0.2, within=0.01)


@pytest.mark.conformance("T11")
def test_soft_bounds_slopes_equal_scale_over_bound():
    cells = Tile(100, 100, SoftBounds(), seed=3).cells
    for way, bound in (("up", "max_bound"), ("down", "min_bound")):
        torch.testing.assert_close(cells[f"slope_{way}"], -cells[f"dwmin_{way}"] / cells[bound], rtol=0, atol=0)


@pytest.mark.conformance("T11")
@pytest.mark.parametrize("seed", SEEDS)
def test_reference_device_slope_spread_acts_on_the_inverse_bound(seed):
    """Peer: 1/b_max 1.0006 +- 0.3001 for slope_up_dtod 0.3."""
    device = SoftBoundsReference(w_max=1.0, w_min=-0.5, **NO_SPREAD, slope_up_dtod=0.3, slope_down_dtod=0.2)
    cells = population(device, seed)
    for inverse, spread in ((1 / cells["max_bound"], 0.3), (-0.5 / cells["min_bound"], 0.2)):
        expected = folded(1.0, spread)
        judge.mean(inverse, expected[0])
        judge.std(inverse, expected[1], within=0.01)


@pytest.mark.conformance("T11")
@pytest.mark.parametrize("seed", SEEDS)
def test_reference_has_the_stated_moments(seed):
    reference = population(SoftBoundsReference(reference_mean=-0.1, reference_std=0.25), seed)["reference"]
    judge.mean(reference, -0.1)
    judge.std(reference, 0.25, within=0.01)


@pytest.mark.conformance("T11")
def test_reference_with_subtraction_is_the_symmetry_point_of_the_state():
    """One part in 1e5 of the bound: single precision, and 1e-7 / (1 - ratio) where up and down nearly cancel."""
    device = SoftBoundsReference(up_down=0.3, subtract_symmetry_point=True)
    c = population(device, side=100)
    point = (c["dwmin_up"] - c["dwmin_down"]) / (c["dwmin_up"] / c["max_bound"] - c["dwmin_down"] / c["min_bound"])
    np.testing.assert_allclose(c["reference"], point, atol=1e-5 * 0.6)


@pytest.mark.conformance("T11")
def test_reference_with_subtraction_adds_to_the_drawn_reference():
    plain = SoftBoundsReference(up_down=0.3, reference_mean=0.2, reference_std=0.1)
    one, other = population(plain, side=100), population(plain.copy(subtract_symmetry_point=True), side=100)
    both = population(SoftBoundsReference(up_down=0.3, subtract_symmetry_point=True), side=100)
    np.testing.assert_allclose(other["reference"] - one["reference"], both["reference"], atol=1e-6)


@pytest.mark.conformance("T11")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stem", ["pow_step", "pow_step_reference"])
def test_power_exponents_have_the_stated_moments(stem, seed):
    """Peer: up 2.0004 +- 0.2235, down 1.6008 +- 0.2235, correlation 0.6005 (theory 0.6)."""
    device = devices.get(stem)(pow_gamma=2.0, pow_gamma_dtod=0.1, pow_up_down=0.2, pow_up_down_dtod=0.05)
    cells = population(device, seed)
    for name, mean in (("gamma_up", 2.0), ("gamma_down", 1.6)):
        judge.mean(cells[name], mean)
        judge.std(cells[name], 2 * np.hypot(0.1, 0.05), within=0.01)
    judge.correlation(cells["gamma_up"], cells["gamma_down"], 0.6, within=0.01)
    for name in ("dwmin_up", "dwmin_down", "max_bound", "min_bound"):
        judge.correlation(cells["gamma_up"], cells[name], 0.0, within=0.01)


@pytest.mark.conformance("T11")
@pytest.mark.parametrize("pow_up_down", [0.3, -0.3])
def test_power_asymmetry_reduces_one_exponent_only(pow_up_down):
    device = devices.get("pow_step")(pow_gamma=2.0, pow_gamma_dtod=0.0, pow_up_down=pow_up_down)
    cells = population(device, side=10)
    expected = (2.0, 1.4) if pow_up_down > 0 else (1.4, 2.0)
    for name, value in zip(("gamma_up", "gamma_down"), expected, strict=True):
        np.testing.assert_allclose(cells[name], value, rtol=1e-6)


@pytest.mark.conformance("T11")
@pytest.mark.parametrize("fold", [True, False])
def test_power_exponents_are_folded_with_consistency_only(fold):
    device = devices.get("pow_step")(pow_gamma=1.0, pow_gamma_dtod=0.8, enforce_consistency=fold)
    exponents = population(device)["gamma_up"]
    if fold:
        assert (exponents >= 0).all()
        mean, spread = folded(1.0, 0.8)
        judge.mean(exponents, mean)
        judge.std(exponents, spread, within=0.01)
    else:
        judge.fraction(exponents < 0, stats.norm.cdf(-1 / 0.8), within=0.003)


@pytest.mark.conformance("T11")
@pytest.mark.parametrize("stem", [s for s in PULSED if "reference_std" in devices.get(s).fields()])
@pytest.mark.parametrize("seed", SEEDS)
def test_reference_of_any_class_is_normal(stem, seed):
    cells = population(devices.get(stem)(reference_mean=-0.1, reference_std=0.25), seed)
    judge.mean(cells["reference"], -0.1)
    judge.std(cells["reference"], 0.25, within=0.01)
    for name in {"dwmin_up", "max_bound", "gamma_up"} & set(cells):
        judge.correlation(cells["reference"], cells[name], 0.0, within=0.01)


@pytest.mark.conformance("T33")
def test_power_reference_with_subtraction_solves_its_equation():
    """s_up u^g_up = s_dn (1-u)^g_dn to 1e-6 of the step scale, on 10 000 drawn devices."""
    device = devices.get("pow_step_reference")(
        up_down=0.3, pow_gamma=2.0, pow_up_down=0.2, pow_up_down_dtod=0.05, subtract_symmetry_point=True
    )
    c = population(device, side=100)
    u = (c["max_bound"] - c["reference"]) / (c["max_bound"] - c["min_bound"])
    rest = c["dwmin_up"] * u ** c["gamma_up"] - c["dwmin_down"] * (1 - u) ** c["gamma_down"]
    assert (np.abs(rest) <= 1e-6 * np.maximum(c["dwmin_up"], c["dwmin_down"])).all()


@pytest.mark.conformance("T04")
@pytest.mark.parametrize("stem", PULSED)
def test_any_class_draws_the_common_values(stem):
    """40 000 devices, up_down -0.2 where the class takes it: the same moments whatever the step."""
    spread = {"dw_min_dtod": 0.2, "up_down_dtod": 0.05, "w_max_dtod": 0.1, "w_min_dtod": 0.2}
    device = any_device.make(stem, step=0.004, low=-0.5, high=0.8, up_down=-0.2, **spread)
    cells = population(device, side=200)
    nominal = device.nominal_cell()
    if "up_down" in device.fields():
        assert nominal["dwmin_up"] == pytest.approx(0.8 * nominal["dwmin_down"], rel=1e-6)
    for name in ("dwmin_up", "dwmin_down"):
        judge.mean(cells[name], nominal[name])
        judge.std(cells[name], 0.004 * np.hypot(0.2, 0.05), within=0.02)  # 5.7 standard errors
    for name, relative in (("max_bound", 0.1), ("min_bound", 0.2)):
        judge.mean(cells[name], nominal[name])
        judge.std(cells[name], abs(nominal[name]) * relative, within=0.02)
