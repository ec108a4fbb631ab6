# SPDX-License-Identifier: Apache-2.0
"""What moments do not say: how much of a change stays with its device, and how heavy its tails are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.stats import t as student

from .data import MIN_CELLS, Relaxation

BLOCKS = 20
"""Parts of the devices that are left out in turn for a standard error (jackknife)."""

LOG_DF_ACCURACY = 1e-3
"""Of the logarithm of the degrees of freedom; far below their standard error."""

NORMAL_DF = 200.0
"""Degrees of freedom from which Student's t is as good as normal."""


def shape_of(data: Relaxation) -> tuple[float, float]:
    """Return the share of the variance that stays with a device, and Student's degrees of freedom; without errors."""
    z, spread = standardised(data)
    return _share(z, spread), _df(z, spread)


def persistent_share(data: Relaxation) -> tuple[float, float]:
    """Return the share of the variance that stays with a device, and its standard error.

    A walk has the correlation ``sigma(t1)/sigma(t2)`` between two times, and what every read draws anew has none; so
    the share is the slope of the correlations over these ratios, all pairs of times alike.
    """
    return _jackknifed(data, _share)


def tail_df(data: Relaxation) -> tuple[float, float]:
    """Return the degrees of freedom of Student's t that fit the standardised changes best, and their standard error.

    `NORMAL_DF` means that they are as good as normal. Reads of one device count as independent.
    """
    return _jackknifed(data, _df)


def standardised(data: Relaxation) -> tuple[np.ndarray, np.ndarray]:
    """Return changes less their mean over their spread, by level and time, (device, time); and the spreads, uS."""
    change = data.g_us[:, 1:] - data.g_us[:, :1]
    z, spread = np.full(change.shape, np.nan), np.full(change.shape, np.nan)
    for level in np.unique(data.level):
        rows = np.flatnonzero(data.level == level)
        d = change[rows]
        for k in np.flatnonzero(np.isfinite(d).sum(0) >= MIN_CELLS):
            sd = np.nanstd(d[:, k])
            if sd > 0:
                z[rows, k], spread[rows, k] = (d[:, k] - np.nanmean(d[:, k])) / sd, sd
    return z, spread


def _share(z: np.ndarray, spread: np.ndarray) -> float:
    over, under = 0.0, 0.0
    for i, j in combinations(range(z.shape[1]), 2):
        both = np.isfinite(z[:, i]) & np.isfinite(z[:, j])
        if both.sum() < MIN_CELLS:
            continue
        ratio = spread[both, i] / spread[both, j]
        over += float((z[both, i] * z[both, j] * ratio).mean())
        under += float((ratio**2).mean())
    return min(max(over / under, 0.0), 1.0) if under else 1.0


def _df(z: np.ndarray, spread: np.ndarray) -> float:
    values = z[np.isfinite(z)]

    def cost(log_df: float) -> float:
        df = np.exp(log_df)
        scale = np.sqrt((df - 2) / df)
        return -float(student.logpdf(values / scale, df).sum() - values.size * np.log(scale))

    found = minimize_scalar(
        cost, bounds=(np.log(2.1), np.log(NORMAL_DF)), method="bounded", options={"xatol": LOG_DF_ACCURACY}
    )
    return float(np.exp(found.x))


def _jackknifed(data: Relaxation, estimate: Callable[[np.ndarray, np.ndarray], float]) -> tuple[float, float]:
    z, spread = standardised(data)
    value = estimate(z, spread)
    block = np.arange(len(z)) % BLOCKS
    parts = np.array([estimate(z[block != b], spread[block != b]) for b in range(BLOCKS)])
    return value, float(np.sqrt((BLOCKS - 1) / BLOCKS * ((parts - parts.mean()) ** 2).sum()))
