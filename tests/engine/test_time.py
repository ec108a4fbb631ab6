# SPDX-License-Identifier: Apache-2.0
"""Decay, diffusion and reset: drawn values, formulas, bounds (docs/physics/devices.md, section 5).

Numbers marked "peer" were measured on aihwkit 1.2.0 (CPU). Exact means one part in 1e6: single precision.
"""

import any_device
import judge
import numpy as np
import pytest
import torch
from scipy import stats
from weights_in_time import EXACT, WIDE, everywhere, tile_at

from engine import devices
from engine.devices.constant_step import ConstantStep
from engine.devices.floating_point import FloatingPoint
from engine.devices.ideal import Ideal
from engine.errors import ParameterError
from engine.tiles import Tile

PULSED = [s for s in devices.names() if devices.get(s).pulsed]
SEEDS = [1, 2, 3]


def populations(device, seed: int, side: int = 500) -> dict[str, np.ndarray]:
    return {n: c.numpy().astype(float).ravel() for n, c in Tile(side, side, device, seed=seed).cells.items()}


# -- per-device values ---------------------------------------------------------------------------------------------


@pytest.mark.conformance("T10")
@pytest.mark.parametrize("seed", SEEDS)
def test_temporal_values_have_the_stated_moments(seed):
    """N = 250 000. Peer: diffusion 0.01011 +- 0.00483, reset 0.01987 +- 0.04999, lifetime 100.07 +- 29.93, drift
    exponent 0.1003 +- 0.0298."""
    spread = {"diffusion_dtod": 0.5, "reset_dtod": 0.05, "lifetime_dtod": 0.3, "drift_nu_dtod": 0.3}
    device = ConstantStep(diffusion=0.01, reset=0.02, lifetime=100.0, drift_nu=0.1, **spread)
    cells = populations(device, seed)
    z = 0.01 / 0.005
    mean = 0.005 * np.sqrt(2 / np.pi) * np.exp(-z * z / 2) + 0.01 * (1 - 2 * stats.norm.cdf(-z))
    judge.mean(cells["diffusion_rates"], mean)
    judge.std(cells["diffusion_rates"], np.sqrt(0.01**2 + 0.005**2 - mean**2), within=0.01)
    judge.mean(cells["reset_bias"], 0.02)
    judge.std(cells["reset_bias"], 0.05, within=0.01)
    judge.mean(cells["drift_nu"], 0.1)
    judge.std(cells["drift_nu"], 0.03, within=0.01)
    lifetime = 1 / (1 - cells["decay_scales"])
    assert (cells["decay_scales"] == 0).sum() < 250_000 * 1e-3  # Phi(-3.3) = 5e-4 live for less than one batch
    alive = lifetime[cells["decay_scales"] > 0]
    whole = stats.truncnorm(-99 / 30, np.inf, loc=100, scale=30)
    judge.mean(alive, whole.mean())
    judge.std(alive, whole.std(), within=0.01)


@pytest.mark.conformance("T10")
def test_lifetimes_drawn_below_one_batch_decay_at_once():
    """Share Phi(-1/2) for lifetime 2 and spread 1, N = 250 000; such a device is at its reset value after one call."""
    device = any_device.make("constant_step", **WIDE, lifetime=2.0, lifetime_dtod=1.0, reset=0.1)
    tile = tile_at(0.5, device, (500, 500))
    short = tile.cells["decay_scales"] == 0
    judge.fraction(short, stats.norm.cdf(-0.5), within=0.003)
    tile.decay()
    torch.testing.assert_close(tile.hidden[short], tile.cells["reset_bias"][short], rtol=0, atol=0)


@pytest.mark.conformance("T10")
def test_temporal_values_are_independent_of_each_other_and_of_the_step():
    """N = 250 000, correlations within 0.01 (five standard errors)."""
    names = ("diffusion", "reset", "lifetime", "drift_nu")
    spread = {f"{n}_dtod": 0.1 for n in names}
    cells = populations(ConstantStep(**dict(zip(names, (0.01, 0.0, 100.0, 0.1), strict=True)), **spread), 1)
    for one in ("decay_scales", "diffusion_rates", "reset_bias", "drift_nu"):
        for other in set(cells) - {one}:
            judge.correlation(cells[one], cells[other], 0.0, within=0.01, what=f"{one}, {other}")


def test_temporal_values_belong_to_the_construction_seed():
    device = ConstantStep(diffusion=0.01, diffusion_dtod=0.5, reset_dtod=0.1)
    one, same, other = (Tile(5, 6, device, seed=s, construction_seed=c) for s, c in ((1, 4), (2, 4), (1, 5)))
    for name in ("diffusion_rates", "reset_bias"):
        assert torch.equal(one.cells[name], same.cells[name])
        assert not torch.equal(one.cells[name], other.cells[name])


def test_drawn_temporal_values_can_be_overwritten():
    tile = tile_at(0.5, any_device.make("soft_bounds", **WIDE, lifetime=10.0))
    tile.cells["decay_scales"].fill_(0.5)
    tile.cells["reset_bias"].fill_(0.1)
    tile.decay()
    everywhere(tile, 0.3)


# -- decay ---------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("T19")
@pytest.mark.parametrize("stem", PULSED)
def test_decay_goes_to_the_reset_value_by_the_formula(stem):
    """Peer: 0.4700, 0.4430, 0.4187 from 0.5 with lifetime 10 and reset 0.2; then half a step: 0.407765."""
    tile = tile_at(0.5, any_device.make(stem, **WIDE, lifetime=10.0, reset=0.2))
    for expected in (0.47, 0.443, 0.4187):
        tile.decay()
        everywhere(tile, expected)
    tile.decay(0.5)
    everywhere(tile, 0.407765)


@pytest.mark.conformance("T19")
@pytest.mark.parametrize("cls", [Ideal, FloatingPoint])
@pytest.mark.parametrize("share", [1.0, 0.25])
def test_decay_of_digital_devices_scales_the_weight(cls, share):
    tile = tile_at(0.5, cls(lifetime=10.0))
    tile.decay(share)
    everywhere(tile, 0.5 * (1 - share / 10))


@pytest.mark.conformance("T19")
def test_decay_leaves_a_bias_column_but_clips_it():
    tile = tile_at(0.4, ConstantStep(lifetime=2.0, w_max=0.5, w_min=-0.5, **any_device.EQUAL_BOUNDS))
    tile.hidden[0, -1] = 0.7
    tile.decay(skip_last_column=True)
    np.testing.assert_allclose(tile.hidden[:, :-1], 0.2, rtol=EXACT)
    np.testing.assert_allclose(tile.hidden[1:, -1], 0.4, rtol=EXACT)
    assert tile.hidden[0, -1] == 0.5


@pytest.mark.conformance("T19")
@pytest.mark.parametrize("stem", PULSED)
def test_decay_clips_to_each_device_s_bounds(stem):
    """The reset value lies beyond every bound, the lifetime is short."""
    device = any_device.make(stem, lifetime=1.01, reset=5.0, reference_std=0.1)
    tile = Tile(10, 10, device, seed=3)
    tile.decay()
    _, high = (torch.as_tensor(b) for b in device.cell_range(tile.cells))
    torch.testing.assert_close(tile.hidden, high, rtol=0, atol=1e-6)


# -- diffusion -----------------------------------------------------------------------------------------------------


@pytest.mark.conformance("T20")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stem", ["constant_step", "soft_bounds_reference", "ideal"])
def test_diffusion_is_a_random_walk(stem, seed):
    """N = 40 000, 100 calls of rate 0.01: std 0.1 within 2 % (5.6 standard errors). Peer: 0.10003."""
    tile = Tile(200, 200, any_device.make(stem, **WIDE, diffusion=0.01), seed=seed)
    for _ in range(100):
        tile.diffuse()
    judge.mean(tile.hidden, 0.0)
    judge.std(tile.hidden, 0.1, within=0.02)


@pytest.mark.conformance("T20")
def test_diffusion_follows_each_device_s_rate_and_stops_at_its_bounds():
    """10 000 devices, 400 calls; a device's mean square step is its rate's within 4.5 standard errors of 400 draws."""
    device = ConstantStep(diffusion=0.01, diffusion_dtod=0.5, w_max=50.0, w_min=-50.0)
    tile = Tile(100, 100, device, seed=1)
    square = torch.zeros(100, 100)
    for _ in range(400):
        before = tile.hidden.clone()
        tile.diffuse()
        square += (tile.hidden - before) ** 2
    ratio = (square / 400).sqrt() / tile.cells["diffusion_rates"]
    judge.mean(ratio, 1.0, z=6.0)  # the root of a mean square is low by 1 / (4 x 400): 1.2 standard errors here
    judge.std(ratio, 1 / np.sqrt(800), within=0.05)

    tight = Tile(100, 100, ConstantStep(diffusion=0.1, w_max=0.05, w_min=-0.05), seed=1)
    for _ in range(20):
        tight.diffuse()
    assert (tight.hidden <= tight.cells["max_bound"]).all()
    assert (tight.hidden >= tight.cells["min_bound"]).all()
    assert (tight.hidden == tight.cells["max_bound"]).float().mean() > 0.2


# -- reset ---------------------------------------------------------------------------------------------------------


@pytest.mark.conformance("T21")
@pytest.mark.parametrize("seed", SEEDS)
def test_reset_goes_to_the_reset_value_with_noise(seed):
    """N = 40 000. Peer: 0.1000 +- 0.0541 for reset 0.1, noise 0.05, spread 0.02 (theory 0.0539)."""
    device = any_device.make("constant_step", **WIDE, reset=0.1, reset_std=0.05, reset_dtod=0.02)
    tile = tile_at(-0.5, device, (200, 200), seed)
    tile.reset_columns()
    judge.mean(tile.hidden, 0.1)
    judge.std(tile.hidden, np.hypot(0.05, 0.02), within=0.02)
    judge.std(tile.hidden - tile.cells["reset_bias"], 0.05, within=0.02)
    first = tile.hidden.clone()
    tile.reset_columns()
    noise = [(w - tile.cells["reset_bias"]).numpy() for w in (first, tile.hidden)]
    judge.correlation(*noise, 0.0, within=judge.Z / 200)


@pytest.mark.conformance("T21")
@pytest.mark.parametrize(("prob", "seed"), [(0.3, 1), (0.3, 2), (0.3, 3), (0.0, 1), (1.0, 1)])
def test_reset_takes_each_device_with_its_probability(prob, seed):
    """N = 40 000, peer 0.3001; whether a device is taken does not depend on its reset noise."""
    tile = tile_at(-0.5, any_device.make("constant_step", **WIDE), (200, 200), seed)
    tile.reset_columns(prob=prob)
    taken = (tile.hidden != -0.5).numpy()
    judge.fraction(taken, prob, within=0.01 if 0 < prob < 1 else 0.0)
    if taken.sum() > 100:
        judge.mean(tile.hidden.numpy()[taken], 0.0)
        judge.std(tile.hidden.numpy()[taken], 0.01, within=0.04)


@pytest.mark.conformance("T21")
@pytest.mark.parametrize(
    ("start", "count", "columns"),
    [(199, 3, [0, 1, 199]), (5, 1, [5]), (0, 0, []), (7, -1, range(200)), (1, 200, range(200))],
)
def test_reset_of_columns_wraps_around_the_end(start, count, columns):
    tile = tile_at(-0.5, any_device.make("constant_step", **WIDE), (20, 200))
    tile.reset_columns(start, count)
    changed = (tile.hidden != -0.5).all(0) & (tile.hidden != -0.5).any(0)
    assert changed.nonzero().flatten().tolist() == list(columns)
    assert (tile.hidden[:, ~changed] == -0.5).all()


@pytest.mark.conformance("T21")
def test_reset_one_column_after_the_other_reaches_all_once():
    """Cyclic use: a start that moves on by one each time."""
    tile = tile_at(-0.5, any_device.make("constant_step", **WIDE, reset_std=0.0, reset=0.2), (4, 7))
    for k in range(7):
        assert (tile.hidden == -0.5).all(0).sum() == 7 - k
        tile.reset_columns(k % 7, 1)
    everywhere(tile, 0.2)


@pytest.mark.conformance("T21")
@pytest.mark.parametrize("stem", ["soft_bounds_reference", "pow_step_reference"])
def test_reset_with_a_subtracted_symmetry_point_goes_there_too(stem):
    """The reset value grows by the symmetry point of the state, and clipping to the reachable range follows."""
    shared = {**WIDE, "up_down": 0.3, "reset": 0.05, "reset_std": 0.0, "up_down_dtod": 0.05, "dw_min_dtod": 0.2}
    plain, shifted = (
        Tile(20, 20, any_device.make(stem, **shared, subtract_symmetry_point=flag), seed=1) for flag in (False, True)
    )
    move = shifted.cells["reference"] - plain.cells["reference"]
    assert (move.abs() > 0.01).float().mean() > 0.95  # else there is nothing to see
    torch.testing.assert_close(shifted.cells["reset_bias"], 0.05 + move, rtol=0, atol=1e-6)
    shifted.reset_columns()
    low, high = (torch.as_tensor(b) for b in shifted.device.cell_range(shifted.cells))
    expected = shifted.cells["reset_bias"].clamp(low, high)
    torch.testing.assert_close(shifted.hidden, expected, rtol=0, atol=1e-6)


@pytest.mark.conformance("T21")
def test_reset_of_the_ideal_device_scatters_around_zero():
    tile = tile_at(0.7, Ideal(reset_std=0.02), (200, 200))
    tile.reset_columns()
    judge.mean(tile.hidden, 0.0)
    judge.std(tile.hidden, 0.02, within=0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda t: t.reset_columns(5), r"start = 5: .*0 \.\. 4"),
        (lambda t: t.reset_columns(-1), r"start = -1: "),
        (lambda t: t.reset_columns(1.0), r"start = 1: must be a whole number"),
        (lambda t: t.reset_columns(0, 6), r"count = 6: .*-1 \.\. 5"),
        (lambda t: t.reset_columns(0, -2), r"count = -2: "),
        (lambda t: t.reset_columns(prob=1.1), r"prob = 1\.1: .*0 \.\. 1"),
        (lambda t: t.reset_columns(prob=float("nan")), r"prob = nan: "),
        (lambda t: t.decay(-0.1), r"share = -0\.1: .*0 \.\. 1"),
        (lambda t: t.decay("0.1"), r"share = '0\.1': "),
        (lambda t: t.decay(True), r"share = True: "),
        (lambda t: t.drift(-1.0), r"seconds = -1: "),
        (lambda t: t.drift(float("inf")), r"seconds = inf: "),
    ],
)
def test_time_call_with_an_impossible_argument_changes_nothing(call, message):
    tile = tile_at(0.3, ConstantStep(lifetime=5.0, drift_nu=0.1))
    state = tile.state_dict()
    with pytest.raises(ParameterError, match=message):
        call(tile)
    assert torch.equal(tile.hidden, state["hidden"])
    assert tile.state_dict()["steps"] == state["steps"]
