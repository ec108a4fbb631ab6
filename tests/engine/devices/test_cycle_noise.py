# SPDX-License-Identifier: Apache-2.0
"""Noise from pulse to pulse against analytic moments (conformance T13-T16, T34).

N = 10 000 equal devices (no spread) unless said; means within 4.5 standard errors, standard deviations within 3.5 %
(5 standard errors of a normal sample's). The peer's own numbers (aihwkit 1.2.0, CPU) stand beside the theory.
"""

import judge
import numpy as np
import pytest
import torch

from engine import presets
from engine.devices.constant_step import ConstantStep
from engine.devices.exp_step import ExpStep
from engine.devices.linear_step import LinearStep
from engine.devices.soft_bounds import SoftBounds
from engine.devices.soft_bounds_reference import SoftBoundsReference
from engine.tiles import Tile

SEEDS = [1, 2, 3]
EQUAL = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}


def after(device, directions, start: float, *, seed: int, read_every: int = 1, side: int = 100) -> np.ndarray:
    """Return states ``(reads, side * side)`` of equal devices that all start at one weight."""
    tile = Tile(side, side, device, seed=seed)
    tile.set_weights(torch.full((side, side), start))
    return tile.pulse(directions, read_every).hidden.numpy().reshape(-1, side * side).astype(float)


@pytest.mark.conformance("T13")
@pytest.mark.parametrize("seed", SEEDS)
def test_constant_step_noise_grows_with_the_root_of_the_pulses(seed):
    """Mean n s, variance n (s sigma)^2. Peer after 100: 0.09990 +- 0.003015."""
    device = ConstantStep(dw_min=0.001, dw_min_std=0.3, **EQUAL)
    for way in (1, -1):
        states = after(device, [way] * 300, 0.0, seed=seed, read_every=10)
        for n in (10, 100, 300):
            judge.mean(states[n // 10 - 1], way * n * 0.001)
            judge.std(states[n // 10 - 1], np.sqrt(n) * 0.001 * 0.3, within=0.035)


@pytest.mark.conformance("T14")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("mult_noise", [True, False])
def test_linear_step_noise_follows_its_form(mult_noise, seed):
    """gamma 0.5, s 0.002, sigma 0.3, 300 pulses. Peer: 0.51788 +- 0.00762 (mult.), 0.51941 +- 0.00903 (additive)."""
    device = LinearStep(dw_min=0.002, gamma_up=0.5, gamma_up_dtod=0, gamma_down_dtod=0, w_max=1.0, w_min=-1.0,
                        dw_min_std=0.3, mult_noise=mult_noise, **EQUAL)  # fmt: skip
    states = after(device, [1] * 300, 0.0, seed=seed, read_every=100)
    a, s, sigma, fixed = 0.5 * 0.002, 0.002, 0.3, 2.0
    for n in (100, 300):
        mean = fixed - fixed * (1 - a) ** n
        if mult_noise:
            variance = fixed**2 * (((1 - a) ** 2 + (a * sigma) ** 2) ** n - (1 - a) ** (2 * n))
        else:
            variance = (s * sigma) ** 2 * (1 - (1 - a) ** (2 * n)) / (1 - (1 - a) ** 2)
        judge.mean(states[n // 100 - 1], mean)
        judge.std(states[n // 100 - 1], np.sqrt(variance), within=0.035)


SOFT = {"dw_min": 0.01, "dw_min_std": 0.5, "w_max": 1.0, "w_min": -1.0, **EQUAL}


@pytest.mark.conformance("T15")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "device", [SoftBounds(**SOFT), SoftBoundsReference(**SOFT, mult_noise=True)], ids=["own", "ref"]
)
def test_soft_bounds_multiplicative_noise_from_the_lower_bound(device, seed):
    """From -1: b - (b - w0)(1-a)^n, variance (b - w0)^2 {[(1-a)^2 + (a sigma)^2]^n - (1-a)^2n}; std within 4 %."""
    states = after(device, [1] * 300, -1.0, seed=seed, read_every=10)
    table = {10: (-0.80876, 0.02889), 100: (0.26794, 0.03700), 300: (0.90192, 0.00860)}
    for n, (mean, spread) in table.items():
        keep = 0.99
        assert 1 - 2 * keep**n == pytest.approx(mean, abs=1e-5)
        assert 2 * np.sqrt((keep**2 + 0.005**2) ** n - keep ** (2 * n)) == pytest.approx(spread, abs=1e-5)
        judge.mean(states[n // 10 - 1], 1 - 2 * keep**n)
        judge.std(states[n // 10 - 1], spread, within=0.04)


@pytest.mark.parametrize("seed", SEEDS)
def test_reference_additive_noise_does_not_vanish_at_the_bound(seed):
    """Default form: from v = b_max the mean step is 0, the noise is s sigma before the clip; half the draws stay."""
    device = SoftBoundsReference(**SOFT, reference_mean=0.2)
    tile = Tile(100, 100, device, seed=seed)
    tile.set_weights(torch.full((100, 100), 0.8))
    moved = tile.pulse([1]).hidden[0].numpy() - 0.8
    assert moved.max() < 1e-7  # clipped at the bound
    inward = moved[moved < -1e-6]
    judge.fraction(moved < -1e-6, 0.5, within=0.0225)  # 4.5 standard errors of a share at N = 10 000
    judge.std(np.r_[inward, -inward], 0.005, within=0.045)  # 4.5 standard errors at N = 5000


@pytest.mark.conformance("T16")
@pytest.mark.parametrize("seed", SEEDS)
def test_exp_step_extra_noise_terms(seed):
    """sigma (step + add + slope |w|). PCM preset, N = 40 000; peer 0.0882 +- 0.1103 and 0.0325 +- 0.1089."""
    device = presets.load("pcm_gst_2020").copy(**EQUAL)
    for start, mean, spread in ((0.5, 0.0880, 0.1104), (1.0, 0.0324, 0.1094)):
        step = 0.01 * (1 + 27.235 * np.exp(-2.5 * start))
        noise = 0.6 * (step + 0.042 + 0.108 * start)
        assert (round(step, 4), round(noise, 4)) == (mean, spread)
        moved = after(device, [1], start, seed=seed, side=200)[0] - start
        judge.mean(moved, step)
        judge.std(moved, noise, within=0.015)


@pytest.mark.conformance("T16")
@pytest.mark.parametrize("seed", SEEDS)
def test_exp_step_extra_noise_acts_where_the_step_is_zero(seed):
    """A_up = 2 clamps the up step to zero over the whole range; N = 40 000."""
    device = ExpStep(dw_min=0.01, A_up=2.0, gamma_up=0.1, A_down=0.0, dw_min_std=0.5, dw_min_std_add=0.02,
                     dw_min_std_slope=0.1, **EQUAL)  # fmt: skip
    assert device.step(0.2, 1) == 0
    moved = after(device, [1], 0.2, seed=seed, side=200)[0] - 0.2
    judge.mean(moved, 0.0)
    judge.std(moved, 0.5 * (0.02 + 0.1 * 0.2), within=0.015)


@pytest.mark.conformance("T16")
def test_exp_step_without_extra_terms_is_silent_where_the_step_is_zero():
    device = ExpStep(dw_min=0.01, A_up=2.0, gamma_up=0.1, A_down=0.0, dw_min_std=5.0, **EQUAL)
    assert (after(device, [1] * 10, 0.2, seed=1, side=10) == np.float32(0.2)).all()


def test_nominal_noise_is_the_standard_deviation_of_a_step():
    """`Device.step_noise` against the formulas, in units of the step."""
    soft = SoftBounds(**SOFT)
    np.testing.assert_allclose(soft.step_noise([-0.5, 0.5], 1), 0.5 * soft.step([-0.5, 0.5], 1), rtol=1e-6)
    additive = SoftBoundsReference(**SOFT)
    np.testing.assert_allclose(additive.step_noise([-0.5, 0.5], -1), [0.005, 0.005], rtol=1e-6)


@pytest.mark.conformance("T34")
@pytest.mark.parametrize("seed", SEEDS)
def test_soft_bounds_random_pulses_reach_the_stationary_spread(seed):
    """Step 0.02, 1000 random pulses: std b sqrt(a^2 / (1 - (1-a)^2)) = 0.1005; peer 0.0998."""
    device = SoftBounds(dw_min=0.02, dw_min_std=0, w_max=1.0, w_min=-1.0, **EQUAL)
    tile = Tile(100, 100, device, seed=seed)
    directions = np.random.default_rng(seed).choice([-1, 1], (1000, 100, 100)).astype(np.int8)
    states = tile.pulse(directions, 1000).hidden[0].numpy()
    judge.mean(states, 0.0)
    judge.std(states, np.sqrt(0.02**2 / (1 - 0.98**2)), within=0.035)


@pytest.mark.conformance("T34")
@pytest.mark.parametrize("seed", SEEDS)
def test_soft_bounds_alternating_noisy_pulses_reach_the_stationary_moments(seed):
    """Step 0.01, sigma 1, after a down pulse: mean -0.00503, std 0.07142; peer -0.0053 and 0.0717."""
    device = SoftBounds(dw_min=0.01, dw_min_std=1.0, w_max=1.0, w_min=-1.0, **EQUAL)
    states = after(device, [1, -1] * 600, 0.0, seed=seed, read_every=1200)[0]
    mean, square = 0.0, 0.0
    for way in [1, -1] * 2000:  # w' = w + way s (1 - way w)(1 + xi)
        step = 0.01
        expected = way * step * (1 - way * mean)
        cross = way * step * (mean - way * square)
        noisy = 2 * step**2 * (1 - 2 * way * mean + square)
        mean, square = mean + expected, square + 2 * cross + noisy
    assert (mean, np.sqrt(square - mean**2)) == (pytest.approx(-0.00503, abs=1e-5), pytest.approx(0.07142, abs=1e-5))
    judge.mean(states, mean)
    judge.std(states, np.sqrt(square - mean**2), within=0.035)
