# SPDX-License-Identifier: Apache-2.0
"""Mean and spread of the change since the first read, for each level and time, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .data import MIN_CELLS, Relaxation


@dataclass(frozen=True, eq=False)
class Moments:
    """Changes since the first read, by level and time.

    Attributes
    ----------
    level : array of int, (level,)
    g_us : array, (level,)
        Mean of the first read, uS.
    t_s : array, (time,)
        Times after the first read that count from programming, s.
    n : array of int, (level, time)
    shift, spread : array, (level, time)
        Mean and standard deviation of the change, uS; NaN where fewer than `MIN_CELLS` devices were read.
    shift_se, spread_se : array, (level, time)
        Their standard errors, uS; that of the spread heeds the tails.
    t_first_s : float
        Time of the first read.
    """

    level: np.ndarray
    g_us: np.ndarray
    t_s: np.ndarray
    n: np.ndarray
    shift: np.ndarray
    spread: np.ndarray
    shift_se: np.ndarray
    spread_se: np.ndarray
    t_first_s: float

    @property
    def g_max_us(self) -> float:
        """Conductance that levels are shares of."""
        return float(self.g_us.max())

    @property
    def middle(self) -> np.ndarray:
        """Which levels lie in the middle half of the range, (level,)."""
        low, high = self.g_us.min(), self.g_us.max()
        return np.abs(self.g_us - (low + high) / 2) <= (high - low) / 4

    def at(self, times: np.ndarray) -> Moments:
        """Return the moments at some of the times, given by a mask, (time,)."""
        parts = {n: getattr(self, n)[:, times] for n in ("n", "shift", "spread", "shift_se", "spread_se")}
        return Moments(self.level, self.g_us, self.t_s[times], t_first_s=self.t_first_s, **parts)


def moments(data: Relaxation) -> Moments:
    """Return mean and spread of ``G(t) - G(first)`` of all levels with enough devices.

    The standard error of a standard deviation s of n values with kurtosis k is ``s sqrt((k - 1) / (4 n))``, which for
    normal values is the usual ``s / sqrt(2 n)``.
    """
    levels = [int(v) for v in np.unique(data.level) if (data.level == v).sum() >= MIN_CELLS]
    change = data.g_us[:, 1:] - data.g_us[:, :1]
    n, shift, spread, kurtosis = (np.full((len(levels), change.shape[1]), np.nan) for _ in range(4))
    for i, level in enumerate(levels):
        d = change[data.level == level]
        n[i] = np.isfinite(d).sum(0)
        for k in np.flatnonzero(n[i] >= MIN_CELLS):
            x = d[np.isfinite(d[:, k]), k]
            shift[i, k], spread[i, k] = x.mean(), x.std(ddof=1)
            kurtosis[i, k] = ((x - x.mean()) ** 4).mean() / x.var() ** 2 if x.var() > 0 else 3.0
    g = np.array([data.g_us[data.level == level, 0].mean() for level in levels])
    se = spread / np.sqrt(n)
    return Moments(np.array(levels), g, data.times_s[1:], n.astype(int), shift, spread, se,
                   spread * np.sqrt(np.maximum(kurtosis - 1, 0.5) / (4 * n)), float(data.times_s[0]))  # fmt: skip
