# SPDX-License-Identifier: Apache-2.0
"""Verdicts on samples: is what the engine drew what the formula says?

Every statistical test fixes its seed, so it passes or fails for good; the limits are chosen such that a correct
engine passes for nearly every seed. `Z` standard errors are exceeded by chance once in 150 000 times.
"""

from __future__ import annotations

import numpy as np

Z = 4.5


def _flat(sample) -> np.ndarray:
    return np.asarray(sample, float).ravel()


def mean(sample, expected: float, *, z: float = Z, what: str = "mean") -> None:
    """Fail unless the sample's mean is within ``z`` standard errors of ``expected``."""
    values = _flat(sample)
    error = values.std(ddof=1) / np.sqrt(values.size)
    off = (values.mean() - expected) / error
    assert abs(off) <= z, f"{what}: {values.mean():.8g}, expected {expected:.8g}, off by {off:.2f} standard errors"


def std(sample, expected: float, *, within: float, what: str = "std") -> None:
    """Fail unless the sample's standard deviation is ``expected`` to the relative limit ``within``."""
    got = _flat(sample).std(ddof=1)
    assert abs(got / expected - 1) <= within, f"{what}: {got:.6g}, expected {expected:.6g} to {100 * within:.2g} %"


def std_error(sample) -> float:
    """Return the relative standard error of a standard deviation, from the sample's own fourth moment."""
    values = _flat(sample)
    centred = values - values.mean()
    kurtosis = (centred**4).mean() / (centred**2).mean() ** 2
    return np.sqrt((kurtosis - 1) / values.size) / 2


def fraction(flags, expected: float, *, within: float, what: str = "fraction") -> None:
    """Fail unless the share of true ``flags`` is ``expected`` to the absolute limit ``within``."""
    got = _flat(flags).mean()
    assert abs(got - expected) <= within, f"{what}: {got:.5f}, expected {expected:.5f} +- {within}"


def covariance(one, other, expected: float, *, z: float = Z, what: str = "covariance") -> None:
    """Fail unless the covariance of two samples is within ``z`` standard errors of ``expected``."""
    a, b = _flat(one), _flat(other)
    products = (a - a.mean()) * (b - b.mean())
    mean(products, expected, z=z, what=what)


def correlation(one, other, expected: float, *, within: float, what: str = "correlation") -> None:
    """Fail unless the correlation of two samples is ``expected`` to the absolute limit ``within``."""
    got = np.corrcoef(_flat(one), _flat(other))[0, 1]
    assert abs(got - expected) <= within, f"{what}: {got:.4f}, expected {expected:.4f} +- {within}"
