# SPDX-License-Identifier: Apache-2.0
"""How sure a mean over chips is, and how far single chips lie apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
BAND = (0.1, 0.9)
"""Quantiles over chips that a band goes between."""


@dataclass(frozen=True)
class Mean:
    """A mean and its interval.

    Attributes
    ----------
    value : float
    half_width : float
        Of the 95 % interval by Student's t over the chips; not a number for a single one.
    n : int
        Chips.
    """

    value: float
    half_width: float
    n: int

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.half_width


def mean(values: np.ndarray) -> Mean:
    """Return the mean over chips with its 95 % interval, x̄ ± t(n − 1) s / √n.

    Parameters
    ----------
    values : array, (chip,)
        One number for each chip; chips are independent draws.

    Examples
    --------
    >>> found = mean(np.array([1.0, 2.0, 3.0]))
    >>> found.value, round(found.half_width, 3), found.n
    (2.0, 2.484, 3)
    """
    n = len(values)
    if n < 2:
        return Mean(float(values.mean()), float("nan"), n)
    t = stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)
    return Mean(float(values.mean()), float(t * values.std(ddof=1) / np.sqrt(n)), n)


def paired(values: np.ndarray, base: np.ndarray) -> Mean:
    """Return the mean difference to ``base`` of the same chips, with its 95 % interval."""
    return mean(np.asarray(values) - np.asarray(base))


def band(values: np.ndarray) -> np.ndarray:
    """Return the 10 % and 90 % quantiles over chips, ``(2, ...)``, of values ``(..., chip)``."""
    return np.quantile(values, BAND, axis=-1)
