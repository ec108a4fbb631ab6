# SPDX-License-Identifier: Apache-2.0
"""Populations by their marginal likelihood: against integrals done on a grid, and against normal likelihoods."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import minimize

from explorer.fitting.likelihood.device_fit import DeviceFit
from explorer.fitting.likelihood.effects import Cohort, Single
from explorer.fitting.likelihood.expansion import expanded
from explorer.fitting.likelihood.marginal import DRAWS, FEWEST, marginal
from explorer.fitting.likelihood.population import pool

SPREAD = 0.3


class Counted:
    """The likelihood of one device whose rate z is known from ``seen`` events in a time; searched as ln z."""

    def __init__(self, seen: float, time: float, shape: float = 1.0):
        self.seen, self.time, self.shape = seen, time, shape
        self.names, self.held = ["rate"], {}
        self.candidate = SimpleNamespace(effects=(Single("rate"),), natural=lambda x: x)

    def outward(self, u: np.ndarray) -> dict[str, np.ndarray]:
        return {"rate": np.exp(np.atleast_2d(u)[:, 0])}

    def values(self, u: np.ndarray) -> np.ndarray:
        u = np.atleast_2d(u)[:, 0]
        return self.shape * (self.seen * u - self.time * np.exp(u))

    def slopes(self, u: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rate = self.time * np.exp(u[0])
        return self.shape * (self.seen - rate) * scale, np.array([[self.shape * rate]]) * np.outer(scale, scale)


class Bent(Counted):
    """The same with the observed information, which is the expected one at the maximum."""

    def bend_of_errors(self, u: np.ndarray, scale: np.ndarray, weakest: float) -> np.ndarray:
        return self.slopes(u, scale)[1]


def counted(n: int, time: float, seed: int, shape: float = 1.0) -> list[DeviceFit]:
    """Return devices of rate N(1, 0.3^2); Poisson's likelihood is skewed the more, the fewer events there are."""
    rng = np.random.default_rng(seed)
    rates = np.maximum(1 + SPREAD * rng.standard_normal(n), 0.05)
    fits = []
    for seen in rng.poisson(rates * time * shape) / shape:
        objective = Counted(max(seen, 0.5), time, shape)
        u = np.array([np.log(objective.seen / time)])
        fits.append(DeviceFit(objective.candidate, objective, u, np.array([[1 / (shape * objective.seen)]]), 0.0, True))
    return fits


def on_a_grid(fits: list[DeviceFit]) -> tuple[float, float]:
    """Return mean and spread of the largest marginal likelihood, integrals by sums over a fine grid of rates."""
    z = np.linspace(1e-3, 4, 8000)
    likelihoods = np.array([f.objective.values(np.log(z)[:, None]) for f in fits])
    likelihoods = np.exp(likelihoods - likelihoods.max(1, keepdims=True))

    def cost(p: np.ndarray) -> float:
        density = np.exp(-0.5 * ((z - p[0]) / np.exp(p[1])) ** 2) / np.exp(p[1])
        return -float(np.log(likelihoods @ density).sum())

    best = minimize(cost, [1.0, np.log(SPREAD)], method="Nelder-Mead", options={"xatol": 1e-5, "fatol": 1e-6})
    return float(best.x[0]), float(np.exp(best.x[1]))


@pytest.mark.parametrize("time", [6.0, 20.0])
def test_skewed_likelihoods_give_the_mean_of_the_integrals_done_on_a_grid(time):
    """80 devices, seed 1. 200 draws a device: a mean of devices is known to 1/sqrt(200 * 80) = 0.8 % of its spread."""
    fits = counted(80, time, seed=1)
    mean, spread = on_a_grid(fits)
    value, covariance = Cohort(marginal(fits, [])).quantities(["rate"])
    found = pool(value[:, 0], covariance[:, 0, 0])
    assert found.mean == pytest.approx(mean, abs=0.02 * spread)
    assert found.spread == pytest.approx(spread, rel=0.08)  # restricted: 0.6 % more; the error is that of all devices
    assert 1 < found.stderr * np.sqrt(80) / spread < 2.5  # what devices differ by, and what each does not tell


def test_modes_of_skewed_likelihoods_are_off_and_integrals_are_not():
    """400 devices of 6 events, seed 2: the standard error is 2.6 %; rates by their maxima alone are N / time."""
    fits = counted(400, 6.0, seed=2)
    value, covariance = Cohort(fits).quantities(["rate"])
    plain = pool(value[:, 0], covariance[:, 0, 0])  # few events: a small rate that seems well known
    value, covariance = Cohort(marginal(fits, [])).quantities(["rate"])
    found = pool(value[:, 0], covariance[:, 0, 0])
    assert abs(found.mean - 1) < 3 * found.stderr
    assert plain.mean - 1 < -5 * plain.stderr


def test_normal_likelihoods_pool_as_they_did():
    """Half a million events a device: the likelihood is normal, and the error of a device 0.5 % of the spread's."""
    fits = counted(40, 500.0, seed=3, shape=1000.0)
    value, covariance = Cohort(fits).quantities(["rate"])
    plain = pool(value[:, 0], covariance[:, 0, 0])
    value, covariance = Cohort(marginal(fits, [])).quantities(["rate"])
    found = pool(value[:, 0], covariance[:, 0, 0])
    assert found.mean == pytest.approx(plain.mean, abs=1e-3 * plain.spread)
    assert found.spread == pytest.approx(plain.spread, rel=0.01)
    assert found.stderr == pytest.approx(plain.stderr, rel=0.01)


def test_devices_that_hardly_differ_are_judged_near_the_population():
    """40 devices of 100 events each, scattered by half of Poisson's: draws could not tell how little they differ."""
    fits = []
    for seen in 100.0 + 5.0 * np.sqrt(3) * np.linspace(-1, 1, 40):
        objective = Bent(seen, 100.0)
        fits.append(DeviceFit(objective.candidate, objective, np.array([np.log(seen / 100)]),
                              np.array([[1 / seen]]), 0.0, True))  # fmt: skip
    for one, other in zip(marginal(fits, []), expanded(fits, []), strict=True):
        np.testing.assert_array_equal(one.u, other.u)
        np.testing.assert_array_equal(one.covariance, other.covariance)
    value, covariance = Cohort(marginal(fits, [])).quantities(["rate"])
    found = pool(value[:, 0], covariance[:, 0, 0])
    assert abs(found.mean - 1) < 3.5 * 0.1 / np.sqrt(40)
    assert found.spread_low == 0.0


def test_error_is_never_nothing_where_devices_scatter_less_than_they_should():
    """40 devices whose events are those expected, so that nothing is left of the scatter but the spread."""
    fits = []
    for rate in 1 + SPREAD * np.linspace(-1.5, 1.5, 40):
        objective = Counted(rate * 2000.0, 2000.0)
        fits.append(DeviceFit(objective.candidate, objective, np.array([np.log(rate)]), np.array([[1e-3]]), 0.0, True))
    assert all(f.covariance[0, 0] > 0 for f in marginal(fits, []))


def test_draws_are_the_same_at_every_call_and_few_devices_stay_as_they_are():
    fits = counted(20, 6.0, seed=5)
    one, other = (Cohort(marginal(fits, [])).quantities(["rate"])[0] for _ in range(2))
    np.testing.assert_array_equal(one, other)
    few = fits[: FEWEST - 1]
    assert marginal(few, []) == few
    assert DRAWS % 2 == 0  # pairs on either side
