# SPDX-License-Identifier: Apache-2.0
"""The filter behind a fit: exact where theory is exact, held against a particle filter where it is not."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from engine import devices, ops
from engine.errors import ParameterError
from engine.likelihood import Readings, filtered

PULSED = [n for n in devices.names() if devices.get(n).pulsed and n not in ("floating_point", "ideal")]
QUIET = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}


def readings(pulses, mean, reads=None, squares=None, start=None) -> Readings:
    n = len(mean)
    first = np.eye(1, n, dtype=np.int8)[0] if start is None else start
    ones = np.ones(n)
    return Readings(
        pulses, ones if reads is None else reads, mean, 0 * ones if squares is None else squares, first, ones
    )


def block(stem: str, **values) -> np.ndarray:
    return devices.get(stem)(**{**QUIET, **values}).pack()


def test_constant_step_far_from_bounds_equals_joint_normal_density():
    """A random walk with drift read with noise is jointly normal: the density of all readings in closed form."""
    rng = np.random.default_rng(1)
    ways = rng.choice([-1, 1], 60)
    s, noise, read = 0.01, 0.4, 0.02
    y = np.concatenate([[0.1], 0.1 + np.cumsum(ways * s) + 0.03 * rng.standard_normal(60)])
    found = filtered("constant_step", block("constant_step", dw_min=s, dw_min_std=noise, w_max=50.0, w_min=-50.0),
                     read**2, 0.0, readings(np.concatenate([[0], ways]), y))  # fmt: skip
    # given the first reading the state starts normally about it, variance read^2
    t = np.arange(1, 61)
    covariance = read**2 + (s * noise) ** 2 * np.minimum.outer(t, t) + read**2 * np.eye(60)
    expected = multivariate_normal(y[0] + np.cumsum(ways * s), covariance).logpdf(y[1:])
    # float32 steps: relative 6e-8 on each of 60 steps, innovations of 0.02 and more
    assert found.log_likelihood[0] == pytest.approx(expected, abs=1e-3)


def test_soft_bounds_multiplicative_noise_gives_exact_mean_and_variance():
    """Unread pulses: mean and variance of docs/physics/devices.md, section 7, soft bounds, multiplicative noise."""
    s, sigma, n, w0 = 0.02, 0.5, 40, -0.5
    pulses, reads = np.concatenate([[0], np.ones(n)]), np.concatenate([[1], np.zeros(n - 1), [1]])
    mean = np.concatenate([[w0], np.zeros(n)])
    tiny = 1e-12
    found = filtered("soft_bounds", block("soft_bounds", dw_min=s, dw_min_std=sigma, w_max=1.0, w_min=-1.0), tiny, 0.0,
                     readings(pulses, mean, reads), innovations=True)  # fmt: skip
    a, v = s / 1.0, 1.0 - w0
    expected = 1.0 - v * (1 - a) ** n
    variance = v**2 * (((1 - a) ** 2 + a**2 * sigma**2) ** n - (1 - a) ** (2 * n))
    assert -found.innovation[0, -1] == pytest.approx(expected, abs=1e-5)  # float32 parameters
    assert found.variance[0, -1] == pytest.approx(variance, rel=1e-4)  # and 1e-6 of the start squared


def particle_log_likelihood(device, data: Readings, read: float, particles: int, seed: int) -> float:
    """Return the likelihood by a bootstrap particle filter (bounds by clipping, resampling at every reading)."""
    rng = np.random.default_rng(seed)
    low, high = device.range
    w = data.mean[0] + read * rng.standard_normal(4 * particles)
    w = w[(w >= low) & (w <= high)][:particles]
    total = 0.0
    for way, y in zip(data.pulses[1:], data.mean[1:], strict=True):
        mean, spread = device.step(w, way), device.step_noise_of(w, way)
        w = np.clip(w + way * (mean + spread * rng.standard_normal(w.size)), low, high)
        weight = np.exp(-0.5 * ((y - w) / read) ** 2) / (read * np.sqrt(2 * np.pi))
        total += np.log(weight.mean())
        at = (np.arange(particles) + rng.random()) / particles
        w = w[np.searchsorted(np.cumsum(weight) / weight.sum(), at).clip(0, w.size - 1)]
    return total


class Noisy:
    """A nominal device whose steps carry the noise of the class."""

    def __init__(self, device):
        self.device, self.range = device, device.range
        self.cell = device.nominal_cell()

    def step(self, w, way):
        return self.device.steps_of(self.cell, w, way)[0].astype(float)

    def step_noise_of(self, w, way):
        return self.device.steps_of(self.cell, w, way)[1].astype(float)


@pytest.mark.parametrize(
    ("stem", "values"),
    [
        ("constant_step", {}),
        ("soft_bounds", {"mult_noise": False}),
        ("exp_step", {"A_up": 0.3, "A_down": 0.3, "gamma_up": 2.0, "gamma_down": 2.0, "a": 0.5, "b": 0.0}),
        ("pow_step", {"pow_gamma": 1.5, "pow_gamma_dtod": 0.0}),
        ("piecewise_step", {"piecewise_up": [1.5, 1.0, 0.3], "piecewise_down": [0.3, 1.0, 1.5]}),
    ],
)
def test_likelihood_at_bounds_agrees_with_particle_filter(stem, values):
    """Ramps that end at the bounds; the particle filter's own error is taken from six runs of 3000 particles.

    Allowed: 4.5 of its standard errors and 0.01 for each of the readings near a bound, where the filter replaces the
    clipped distribution by a normal of the same moments.
    """
    device = devices.get(stem)(**{**QUIET, "dw_min": 0.06, "dw_min_std": 0.4, "w_max": 0.6, "w_min": -0.6, **values})
    rng = np.random.default_rng(5)
    ways = np.repeat([1, -1], 40)
    noisy, read = Noisy(device), 0.03
    w, y = -0.5, [-0.5]
    for way in ways:
        step = noisy.step(np.array([w]), way)[0] + noisy.step_noise_of(np.array([w]), way)[0] * rng.standard_normal()
        w = float(np.clip(w + way * step, -0.6, 0.6))
        y.append(w + read * rng.standard_normal())
    data = readings(np.concatenate([[0], ways]), np.array(y))
    found = filtered(device.header(), device.pack(), read**2, 0.0, data).log_likelihood[0]
    runs = [particle_log_likelihood(noisy, data, read, 3000, k) for k in range(6)]
    near = int((np.abs(data.mean) > 0.45).sum())
    assert abs(found - np.mean(runs)) < 4.5 * np.std(runs, ddof=1) / np.sqrt(6) + 0.01 * near


@pytest.mark.parametrize("stem", PULSED)
def test_every_device_has_a_likelihood_that_is_largest_near_the_truth(stem):
    """Its own readings are likelier under its step than under one twice or half as large; seed 3, 200 pulses."""
    device = devices.get(stem)(**{n: v for n, v in QUIET.items() if n in devices.get(stem).fields()})
    scale = device.granularity
    rng = np.random.default_rng(3)
    header = device.header()
    params = device.pack()
    tile = ops.allocate(header, params, 1, 1, 3, 0)
    ways = np.repeat([1, -1], 100).astype(np.int8)
    hidden, _ = tile.pulse(ways, 1, 0)
    read = 0.3 * scale
    y = np.concatenate([[0.0], hidden[:, 0, 0].numpy() + read * rng.standard_normal(200)])
    names = ops.schema(header)["params"]
    sets = np.tile(params, (3, 1))
    sets[1:, names.index("dw_min")] *= np.float32([2.0, 0.5])
    if stem == "lookup_table":  # its step is in the tables, dw_min only their unit
        sets[1:, names.index("dw_min")] = params[names.index("dw_min")]
        sets[1:, len(names) :] *= np.float32([[2.0], [0.5]])
        sets[:, len(names) :: 2] = params[len(names) :: 2]  # lengths of the one-node tables stay
    found = filtered(header, sets, read**2, 0.0, readings(np.concatenate([[0], ways]), y)).log_likelihood
    assert found[0] > found[1:].max()


def test_repeated_reads_tell_write_noise_from_read_noise():
    """Density of three reads of one write against the joint normal; then the sum of both noises alone is not enough."""
    y = np.array([0.02, -0.01, 0.05])
    data = readings([0, 0], [0.0, y.mean()], [1, 3], [0.0, ((y - y.mean()) ** 2).sum()])
    write, read, start = 0.03, 0.02, 0.03**2 + 0.02**2
    covariance = start + write**2 + read**2 * np.eye(3)
    expected = multivariate_normal(np.zeros(3), covariance).logpdf(y)
    params = block("soft_bounds", w_max=50.0, w_min=-50.0)
    found = filtered("soft_bounds", np.stack([params, params]), [write**2, read**2], [read**2, write**2], data)
    assert found.log_likelihood[0] == pytest.approx(expected, abs=1e-9)
    assert abs(found.log_likelihood[1] - expected) > 0.1


def test_rows_that_do_not_count_change_the_state_only():
    y = np.linspace(0, 0.3, 31) + 0.01 * np.random.default_rng(0).standard_normal(31)
    pulses = np.concatenate([[0], np.ones(30)])
    whole = readings(pulses, y)
    params = block("constant_step", dw_min=0.01, w_max=9.0, w_min=-9.0)
    parts = []
    for mask in (np.arange(31) < 15, np.arange(31) >= 15):
        part = Readings(whole.pulses, whole.reads, whole.mean, whole.squares, whole.start, mask)
        parts.append(filtered("constant_step", params, 1e-4, 0.0, part).log_likelihood[0])
    assert sum(parts) == pytest.approx(filtered("constant_step", params, 1e-4, 0.0, whole).log_likelihood[0], abs=1e-9)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"start": np.zeros(3)}, "must begin with a reading"),
        ({"mean": np.array([0.0, np.nan, 1.0])}, "NaN or infinity"),
        ({"mean": np.zeros(4)}, "six times"),
        ({"reads": np.array([0, 1, 1])}, "must begin with a reading"),
    ],
)
def test_readings_that_cannot_be_filtered_are_refused(change, told):
    parts = {"pulses": np.ones(3), "reads": np.ones(3), "mean": np.zeros(3), "squares": np.zeros(3),
             "start": np.array([1, 0, 0]), "counted": np.ones(3)}  # fmt: skip
    with pytest.raises(ParameterError, match=told):
        Readings(**{**parts, **change})


@pytest.mark.parametrize(("write", "read"), [(0.0, 0.0), (-1.0, 2.0), (np.nan, 1.0)])
def test_variances_that_are_none_are_refused(write, read):
    data = readings(np.ones(3), np.zeros(3))
    with pytest.raises(ParameterError, match="var"):
        filtered("constant_step", block("constant_step"), write, read, data)


def test_parameter_blocks_of_the_wrong_size_are_refused():
    with pytest.raises(ParameterError, match="expects"):
        filtered("constant_step", np.zeros(3), 1.0, 0.0, readings(np.ones(3), np.zeros(3)))
