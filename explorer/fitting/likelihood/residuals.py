# SPDX-License-Identifier: Apache-2.0
"""What a fit leaves over: standardised innovations, how normal and how white they are, and where they have structure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.stats import chi2, norm

from .device_fit import DeviceFit

LAGS = 30
QUANTILES = 99
BINS = 12
KEPT = 4000
"""Innovations kept for drawing; all count in the statistics."""


@dataclass(frozen=True)
class Structure:
    """Innovations of one direction by the weight before the pulse.

    Attributes
    ----------
    direction : int
    weight : list of float
        ``(bins,)`` mean weight.
    count : list of int
    mean, variance : list of float
        ``(bins,)`` of the standardised innovations: 0 and 1 where the model is right.
    """

    direction: int
    weight: list[float]
    count: list[int]
    mean: list[float]
    variance: list[float]

    @property
    def mean_scores(self) -> np.ndarray:
        """Means over their standard errors, ``(bins,)``."""
        return np.array(self.mean) * np.sqrt(self.count)

    @property
    def noise_scores(self) -> np.ndarray:
        """Deviations of the variance from 1 over their standard errors, ``(bins,)``."""
        return (np.array(self.variance) - 1) * np.sqrt(np.array(self.count) / 2)


@dataclass(frozen=True)
class Residuals:
    """Standardised innovations of a fit: reading less prediction, over its standard deviation.

    Attributes
    ----------
    row, direction, weight, value : list
        ``(kept,)`` position in the data, direction of the pulses, predicted weight (w), standardised innovation.
    quantiles, normal : list of float
        ``(99,)`` percentiles of the innovations and of a standard normal: a QQ plot.
    autocorrelation : list of float
        ``(30,)`` at lags 1, 2 ...; within ``white_limit`` with probability 95 % each where the model is right.
    white_limit : float
    ljung_box, p_white : float
        Statistic over all lags, and its probability.
    mean, std, skewness, kurtosis : float
        0, 1, 0, 0 where the model is right (kurtosis in excess of the normal's).
    structure : list of Structure
    n : int
    """

    row: list[int]
    direction: list[int]
    weight: list[float]
    value: list[float]
    quantiles: list[float]
    normal: list[float]
    autocorrelation: list[float]
    white_limit: float
    ljung_box: float
    p_white: float
    mean: float
    std: float
    skewness: float
    kurtosis: float
    structure: list[Structure]
    n: int

    def to_dict(self) -> dict:
        """Return plain lists and numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict) -> Residuals:
        """Return the residuals of `to_dict`."""
        return cls(**{**data, "structure": [Structure(**s) for s in data["structure"]]})


def residuals(fits: Sequence[DeviceFit]) -> Residuals:
    """Return the residuals of the fits of one candidate to all devices."""
    parts = [_of_device(fit) for fit in fits]
    row, way, weight, z = (np.concatenate(column) for column in zip(*parts, strict=True))
    rho, q = _autocorrelation([part[3] for part in parts])
    share = np.linspace(0, 1, QUANTILES + 2)[1:-1]
    every = max(1, -(-z.size // KEPT))
    return Residuals(
        row[::every].tolist(), way[::every].tolist(), _short(weight[::every]), _short(z[::every]),
        _short(np.quantile(z, share)), _short(norm.ppf(share)),
        _short(rho), 1.96 / np.sqrt(z.size), float(q), float(chi2.sf(q, rho.size)),
        float(z.mean()), float(z.std()), *_shape(z),
        [s for s in (_structure(d, way, weight, z) for d in (1, -1)) if s is not None], int(z.size),
    )  # fmt: skip


def _short(values: np.ndarray) -> list[float]:
    return np.round(values, 6).tolist()


def _of_device(fit: DeviceFit):
    """Return row, direction, weight before, and innovation of the readings after pulses."""
    found = fit.objective.filtered(fit.u, innovations=True, states=True)
    v, s, state = found.innovation[0], found.variance[0], found.state[0]
    r = fit.device.readings
    rows = np.flatnonzero(np.isfinite(v) & (r.counted == 1) & (r.pulses != 0))
    before = state[np.maximum(rows - 1, 0)]
    return rows, np.sign(r.pulses[rows]), before, v[rows] / np.sqrt(s[rows])


def _shape(z: np.ndarray) -> tuple[float, float]:
    d = (z - z.mean()) / max(z.std(), 1e-300)
    return float((d**3).mean()), float((d**4).mean() - 3)


def _autocorrelation(series: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """Return autocorrelations at all lags over all devices, and the Ljung-Box statistic."""
    n = sum(z.size for z in series)
    total = sum(float(z @ z) for z in series)
    lags = min(LAGS, max(1, n // 4))
    rho = np.array([sum(float(z[k:] @ z[:-k]) for z in series if z.size > k) for k in range(1, lags + 1)]) / total
    return rho, n * (n + 2) * float((rho**2 / (n - np.arange(1, lags + 1))).sum())


def _structure(direction: int, way: np.ndarray, weight: np.ndarray, z: np.ndarray) -> Structure | None:
    chosen = way == direction
    if chosen.sum() < 2 * BINS:
        return None
    w, z = weight[chosen], z[chosen]
    place = np.minimum((np.argsort(np.argsort(w)) * BINS) // w.size, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    mean = np.bincount(place, z, BINS) / count
    variance = np.bincount(place, (z - mean[place]) ** 2, BINS) / np.maximum(count - 1, 1)
    return Structure(direction, _short(np.bincount(place, w, BINS) / count), count.tolist(), _short(mean), _short(variance))
