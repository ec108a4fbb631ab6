# SPDX-License-Identifier: Apache-2.0
"""From devices to a population: mean and spread by a random-effects model, apart from the errors of single fits.

``estimate_i ~ N(mu, tau^2 + error_i^2)``: ``tau`` by restricted maximum likelihood, the interval of ``mu`` by Hartung
and Knapp (Statistics in Medicine 20, 2001, 3875), that of ``tau`` by profiling the generalised Q statistic
(Viechtbauer, Statistics in Medicine 26, 2007, 37). Formulas in docs/fitting.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import chi2

from .parameters import LEVEL

WIDEST = 1e3
"""Largest spread tried, in units of the scatter of the estimates."""

SMALLEST = 1e-30
"""Least variance of an estimate."""


@dataclass(frozen=True)
class Pooled:
    """A quantity over devices.

    Attributes
    ----------
    mean, stderr : float
        Mean over the population, with the standard error for ``freedom`` degrees of freedom.
    spread, spread_low, spread_high, spread_stderr : float
        Device-to-device standard deviation and its 95 % interval.
    freedom : int
    log_likelihood : float
        Of the estimates at mean and spread; for comparing scales. Not the restricted one, which integrates over the
        mean and so depends on the unit of the quantity.
    n : int
    """

    mean: float
    stderr: float
    spread: float
    spread_low: float
    spread_high: float
    spread_stderr: float
    freedom: int
    log_likelihood: float
    n: int


def pool(estimate: np.ndarray, variance: np.ndarray) -> Pooled:
    """Return mean and spread of a quantity.

    Parameters
    ----------
    estimate, variance : numpy.ndarray
        ``(devices,)`` estimates and squares of their standard errors; devices where either is not finite are left out.
    """
    good = np.isfinite(estimate) & np.isfinite(variance) & (variance >= 0)
    y, v = estimate[good], np.maximum(variance[good], SMALLEST)
    n = y.size
    if n < 2:
        mean = float(y[0]) if n else np.nan
        return Pooled(
            mean, float(np.sqrt(v[0])) if n else np.nan, np.nan, np.nan, np.nan, np.nan, max(n - 1, 1), np.nan, n
        )
    tau2 = _restricted(y, v)
    weight = 1 / (tau2 + v)
    mean = float(weight @ y / weight.sum())
    stderr = float(np.sqrt(weight @ (y - mean) ** 2 / (n - 1) / weight.sum()))
    low, high = spread_interval(y, v)
    information = 0.5 * ((weight**2).sum() - 2 * (weight**3).sum() / weight.sum()
                         + ((weight**2).sum() / weight.sum()) ** 2)  # fmt: skip
    tau = float(np.sqrt(tau2))
    spread_stderr = float(1 / np.sqrt(max(information, 1e-300)) / (2 * tau)) if tau > 0 else np.nan
    value = float(0.5 * (np.log(weight).sum() - weight @ (y - mean) ** 2))
    return Pooled(mean, stderr, tau, low, high, spread_stderr, n - 1, value, n)


def _deviance(tau2: float, y: np.ndarray, v: np.ndarray) -> float:
    """Return minus the restricted log likelihood."""
    weight = 1 / (tau2 + v)
    mean = weight @ y / weight.sum()
    return float(0.5 * (-np.log(weight).sum() + np.log(weight.sum()) + weight @ (y - mean) ** 2))


def _restricted(y: np.ndarray, v: np.ndarray) -> float:
    """Return the spread squared that maximises the restricted likelihood."""
    scatter = max(float(y.var(ddof=1)), 1e-30)
    low, high = np.log(1e-6 * scatter), np.log(20 * scatter)
    best = minimize_scalar(lambda t: _deviance(np.exp(t), y, v), bounds=(low, high), method="bounded",
                           options={"xatol": 1e-4})  # fmt: skip
    found = float(np.exp(best.x))
    return found if best.fun < _deviance(0.0, y, v) else 0.0


def spread_interval(y: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    """Return the 95 % interval of the spread: where Q lies within its chi-square quantiles; exact for normal data."""

    def q(tau2: float) -> float:
        weight = 1 / (tau2 + v)
        return float(weight @ (y - weight @ y / weight.sum()) ** 2)

    top = WIDEST**2 * max(float(y.var(ddof=1)), 1e-30)
    ends = []
    for tail in (0.5 + LEVEL / 2, 0.5 - LEVEL / 2):
        limit = float(chi2.ppf(tail, y.size - 1))
        ends.append(0.0 if q(0.0) <= limit else brentq(lambda t, at=limit: q(t) - at, 0.0, top))
    return float(np.sqrt(ends[0])), float(np.sqrt(ends[1]))


def shared(estimate: np.ndarray, variance: np.ndarray, readings: np.ndarray) -> Pooled:
    """Return the value of what all devices have in common; devices count by their numbers of readings.

    Not by their own errors: an error that comes out small by chance comes with an estimate that is off. The standard
    error is that of the scatter between devices.
    """
    good = np.isfinite(estimate) & np.isfinite(variance)
    y, weight = estimate[good], readings[good] / readings[good].sum()
    n, mean = y.size, float(weight @ y)
    if n < 2:
        return Pooled(mean, float(np.sqrt(variance[good][0])), 0.0, 0.0, 0.0, np.nan, np.iinfo(int).max, np.nan, n)
    stderr = float(np.sqrt((weight**2) @ (y - mean) ** 2 * n / (n - 1)))
    return Pooled(mean, stderr, 0.0, 0.0, 0.0, np.nan, n - 1, np.nan, n)


def covariance_of_means(a: np.ndarray, b: np.ndarray, va: np.ndarray, vb: np.ndarray, pa: Pooled, pb: Pooled) -> float:
    """Return the covariance of two pooled means from how the devices scatter together."""
    wa, wb = (1 / (p.spread**2 + np.maximum(v, SMALLEST)) for p, v in ((pa, va), (pb, vb)))
    together = (wa * wb) @ ((a - pa.mean) * (b - pb.mean))
    return float(together / (wa.sum() * wb.sum()) * a.size / (a.size - 1))


def pool_together(estimate: np.ndarray, variance: np.ndarray) -> tuple[list[Pooled], np.ndarray]:
    """Return several quantities of the same devices pooled one by one, and the covariance of their means.

    Parameters
    ----------
    estimate, variance : numpy.ndarray
        ``(devices, quantities)``.
    """
    q = estimate.shape[1]
    pooled = [pool(estimate[:, k], variance[:, k]) for k in range(q)]
    covariance = np.diag([p.stderr**2 for p in pooled])
    for i in range(q):
        for j in range(i):
            covariance[i, j] = covariance[j, i] = covariance_of_means(
                estimate[:, i], estimate[:, j], variance[:, i], variance[:, j], pooled[i], pooled[j]
            )
    return pooled, covariance
