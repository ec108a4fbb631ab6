# SPDX-License-Identifier: Apache-2.0
"""Do two sides that draw their own random numbers give the same mean and variance?

Numbers of one repetition hang together (the crosspoints of a row share a pulse train), so no test may take them for
independent. Each repetition is therefore boiled down to one number, and these are independent: Welch's t test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

Z_LIMIT = 4.5
"""A difference is one beyond so many standard errors of a normal distribution; a few hundred tests stay quiet then."""
P_LIMIT = float(2 * stats.norm.sf(Z_LIMIT))
ROUNDING = 1e-5
"""Relative difference that is none: sums of some thousand float32 numbers in another order."""


class Comparison(NamedTuple):
    """Ours over the other's, its standard error, and how probable so large a difference is without cause."""

    ratio: float
    ratio_se: float
    p: float

    @property
    def agrees(self) -> bool:
        """True if no difference is to be seen."""
        return self.p >= P_LIMIT or abs(self.ratio - 1) <= ROUNDING


def along(results: Sequence[np.ndarray], direction: np.ndarray) -> np.ndarray:
    """Return the share of ``direction`` in each repetition's result, ``(repetitions,)``; 1 is the direction itself."""
    flat = direction.astype(float).ravel()
    return np.array([result.astype(float).ravel() @ flat for result in results]) / (flat @ flat)


def variances(results: Sequence[np.ndarray]) -> np.ndarray:
    """Return unbiased estimates of the mean variance from repetition to repetition, one of each, ``(repetitions,)``.

    Each is a repetition's mean squared distance from the mean of all. They hang together by that mean, but their
    correlation is only ``1 / (repetitions - 1)^2``, which is neglected.
    """
    stack = np.stack([result.astype(float).ravel() for result in results])
    count = len(results)
    return np.square(stack - stack.mean(0)).mean(1) * count / (count - 1)


def compare(ours: np.ndarray, other: np.ndarray) -> Comparison:
    """Compare the means of two samples of independent numbers of unequal variance (Welch)."""
    mean, reference = ours.mean(), other.mean()
    shares = [sample.var(ddof=1) / sample.size for sample in (ours, other)]
    error = float(np.sqrt(sum(shares)))
    if error == 0:
        return Comparison(_ratio(mean, reference), 0.0, 1.0 if mean == reference else 0.0)
    freedom = error**4 / sum(s**2 / (n.size - 1) for s, n in zip(shares, (ours, other), strict=True))
    p = float(2 * stats.t.sf(abs(mean - reference) / error, freedom))
    return Comparison(_ratio(mean, reference), error / abs(reference) if reference else float("inf"), p)


def against(ours: np.ndarray, exact: float) -> Comparison:
    """Compare the mean of independent numbers with a number known exactly."""
    error = float(ours.std(ddof=1) / np.sqrt(ours.size))
    if error == 0:
        return Comparison(_ratio(ours.mean(), exact), 0.0, 1.0 if ours.mean() == exact else 0.0)
    p = float(2 * stats.t.sf(abs(ours.mean() - exact) / error, ours.size - 1))
    return Comparison(_ratio(ours.mean(), exact), error / abs(exact), p)


def agreement(
    ours: Sequence[np.ndarray], other: Sequence[np.ndarray], directions: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Compare two sides' results, one array a repetition, and return the fields of a record.

    Parameters
    ----------
    ours, other : sequence of numpy.ndarray
        At least four repetitions each.
    directions : mapping
        Name to array of a result's shape: along which the means are compared.

    Returns
    -------
    dict
        ``mean_agrees``, ``variance_agrees`` (bool); of the direction that agrees worst ``mean_direction``,
        ``mean_ratio``, ``mean_ratio_se``, ``mean_p``; ``variance_ratio``, ``variance_ratio_se``, ``variance_p``.
    """
    means = {name: compare(along(ours, way), along(other, way)) for name, way in directions.items()}
    worst = min(means, key=lambda name: (means[name].agrees, means[name].p))
    variance = compare(variances(ours), variances(other))
    return {
        "mean_agrees": all(mean.agrees for mean in means.values()),
        "variance_agrees": variance.agrees,
        "mean_direction": worst,
        **{f"mean_{name}": value for name, value in means[worst]._asdict().items()},
        **{f"variance_{name}": value for name, value in variance._asdict().items()},
    }


def _ratio(value: float, reference: float) -> float:
    if value == reference:
        return 1.0
    return float(value / reference) if reference else float("inf")
