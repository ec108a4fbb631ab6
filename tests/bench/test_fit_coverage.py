# SPDX-License-Identifier: Apache-2.0
"""Intervals of fitted populations hold the truth as often as they say: a small edition of bench/fit_coverage.py."""

import numpy as np
import pytest
from scipy.stats import binom

from bench.fit_coverage import TRUTHS, coverage, table
from explorer.fitting.likelihood import candidates

REPEATS, DEVICES = 10, 15


@pytest.mark.conformance("T44")
def test_intervals_of_a_soft_bounds_population_hold_the_truth():
    """Ten populations of 15 devices, seed 0, ten intervals each: step, asymmetry, bounds, their spreads, both noises.

    100 intervals at 95 %; were they independent, 86 or more would hold the truth with probability 99.97 %. One
    parameter is allowed what happens by chance less than once in 10,000: 6 of 10. Bias: below 4.5 standard errors of
    its mean.
    """
    soft = next(t for t in TRUTHS if t.model == "soft_bounds")
    rows = coverage(soft, DEVICES, REPEATS)
    held = np.array([round(r["covered"] * REPEATS) for r in rows])
    assert binom.cdf(5, REPEATS, 0.95) < 1e-4
    assert binom.cdf(85, 100, 0.95) < 3e-4
    assert held.min() >= 6, table(rows)
    assert held.sum() >= 86, table(rows)
    assert all(abs(r["bias"]) < 4.5 * r["scatter"] / np.sqrt(REPEATS) for r in rows), table(rows)


def test_every_class_has_a_population_of_known_truth():
    assert {t.model for t in TRUTHS} == set(candidates.names())
    for truth in TRUTHS:
        assert all(np.isfinite(truth.truth(name)) for name in truth.judged)
