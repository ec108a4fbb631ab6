# SPDX-License-Identifier: Apache-2.0
"""The comparison of two sides: blind to noise that hangs together, not to a real difference."""

import numpy as np
import pytest
from scipy import stats

from bench.agreement import P_LIMIT, Z_LIMIT, against, agreement, along, compare, variances

SHAPE = (40, 50)
DIRECTION = np.linspace(-1, 1, 2000).reshape(SHAPE)


def side(seed: int, repetitions: int = 10, slope: float = 1.0, noise: float = 0.1) -> list[np.ndarray]:
    """Results whose noise is shared by whole rows, as that of pulse trains is."""
    draw = np.random.default_rng(seed)
    rows = noise * draw.standard_normal((repetitions, SHAPE[0], 1))
    own = noise * draw.standard_normal((repetitions, *SHAPE))
    return list((slope * DIRECTION + (rows + own) * np.abs(DIRECTION)).astype(np.float32))


def compared(ours: list[np.ndarray], other: list[np.ndarray]) -> dict:
    return agreement(ours, other, {"direction": DIRECTION, "mean": np.ones(SHAPE)})


def test_along_of_the_direction_itself_is_one():
    assert along([DIRECTION, 3 * DIRECTION], DIRECTION) == pytest.approx([1, 3])


def test_variances_average_to_the_unbiased_variance():
    results = list(np.random.default_rng(4).standard_normal((5, 3, 2)))
    assert variances(results).mean() == pytest.approx(np.var(results, axis=0, ddof=1).mean())


def test_variances_of_equal_results_are_zero():
    assert variances([DIRECTION, DIRECTION, DIRECTION]) == pytest.approx([0, 0, 0])


def test_variances_of_white_noise_are_its_variance():
    draw = np.random.default_rng(1)
    found = variances(list(0.5 * draw.standard_normal((10, 100, 100))))
    # 10^4 sample variances of 10: relative error sqrt(2 / 9e4) = 0.5 %, z = 4.5.
    assert found.mean() == pytest.approx(0.25, rel=0.021)


def test_compare_gives_welchs_p():
    draw = np.random.default_rng(2)
    a, b = draw.normal(1, 1, 12), draw.normal(1.5, 3, 7)
    assert compare(a, b).p == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)


def test_against_gives_students_p():
    a = np.random.default_rng(3).normal(1, 1, 12)
    assert against(a, 0.7).p == pytest.approx(stats.ttest_1samp(a, 0.7).pvalue)


def test_limit_is_the_two_sided_one_of_a_normal():
    assert stats.norm.isf(P_LIMIT / 2) == pytest.approx(Z_LIMIT)


def test_agreement_equal_sides_with_shared_noise_agree():
    for seed in range(20):  # 60 tests at p = 7e-6: a failure has probability 4e-4, and the seeds are fixed
        found = compared(side(seed), side(1000 + seed))
        assert found["mean_agrees"]
        assert found["variance_agrees"]


def test_agreement_mean_off_by_a_tenth_is_seen():
    found = compared(side(1), side(2, slope=1.1))
    assert not found["mean_agrees"]
    assert found["mean_direction"] == "direction"
    # The slope's error is about 0.1 sqrt((1 / 40 + 1 / 2000) / 10): 0.5 %; z = 4.5.
    assert found["mean_ratio"] == pytest.approx(1 / 1.1, abs=4.5 * 0.005 * 2**0.5)


def test_agreement_wrong_offset_is_seen_although_the_slope_is_right():
    shifted = [result + 0.1 for result in side(1)]
    found = compared(shifted, side(2))
    assert not found["mean_agrees"]
    assert found["mean_direction"] == "mean"


def test_agreement_wrong_variance_is_seen_although_the_mean_is_right():
    found = compared(side(1), side(2, noise=0.2))
    assert found["mean_agrees"]
    assert not found["variance_agrees"]
    assert found["variance_ratio"] == pytest.approx(0.25, rel=0.3)


def test_agreement_deterministic_sides_need_equal_means():
    still = [DIRECTION.astype(np.float32)] * 4
    assert compared(still, still)["mean_agrees"]
    assert compared(still, still)["variance_agrees"]
    assert compared([1.000001 * one for one in still], still)["mean_agrees"]  # the order of a float32 sum
    assert not compared([1.001 * one for one in still], still)["mean_agrees"]
