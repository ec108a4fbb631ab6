# SPDX-License-Identifier: Apache-2.0
"""The kernels' own elementary functions against double precision, over their whole ranges."""

import math
from fractions import Fraction

import numpy as np
import pytest

from engine import ops


def evaluate(name: str, values: np.ndarray) -> np.ndarray:
    return np.array([ops.maths(name, v) for v in values.tolist()])


def singles(*parts) -> np.ndarray:
    """Single-precision numbers as doubles: the exact arguments that the kernel sees."""
    return np.unique(np.concatenate([np.asarray(p, np.float32) for p in parts]).astype(float))


def test_log_relative_error_below_2e_7():
    """The limit that core/maths.h states; 1e5 numbers over all normal magnitudes, dense around 1 where log is small."""
    near_one = 1 + np.linspace(-0.5, 1, 30_001)
    closest = 1 + np.arange(-200, 201) * 2.0**-24
    x = singles(np.logspace(-37.9, 38.5, 70_000), near_one, closest)
    x = x[x != 1]
    assert np.abs(evaluate("log", x) / np.log(x) - 1).max() < 2e-7
    assert ops.maths("log", 1.0) == 0


def test_exp_relative_error_below_3e_7():
    """The limit that core/maths.h states; 1e5 numbers over [-86, 88]."""
    x = singles(np.linspace(-86, 88, 80_000), np.linspace(-1, 1, 20_000), [0.0, -86, 88])
    assert np.abs(evaluate("exp", x) / np.exp(x) - 1).max() < 3e-7
    assert ops.maths("exp", 0.0) == 1


def test_power_of_two_relative_error_below_1_5e_7():
    """The limit that core/maths.h states; 1e5 numbers over [-126, 126]."""
    x = singles(np.linspace(-126, 126, 80_000), np.linspace(-1, 1, 20_000), [0.0, -126, 126])
    assert np.abs(evaluate("exp2", x) / np.exp2(x) - 1).max() < 1.5e-7
    whole = (-126, -1, 0, 1, 10, 126)
    assert [ops.maths("exp2", float(n)) for n in whole] == [2.0**n for n in whole]


@pytest.mark.parametrize(("beyond", "edge"), [(126.1, 126.0), (1e30, 126.0), (-126.1, -126.0), (-1e30, -126.0)])
def test_power_of_two_outside_its_range_saturates(beyond, edge):
    assert ops.maths("exp2", beyond) == ops.maths("exp2", edge)


@pytest.mark.parametrize(("beyond", "edge"), [(88.1, 88.0), (1e30, 88.0), (-86.1, -86.0), (-1e30, -86.0)])
def test_exp_outside_its_range_saturates(beyond, edge):
    assert ops.maths("exp", beyond) == ops.maths("exp", edge)
    assert 0 < ops.maths("exp", beyond) < np.inf


EIGHTH = np.pi / 4


@pytest.mark.parametrize(("name", "exact"), [("sin", np.sin), ("cos", np.cos)])
def test_sine_and_cosine_relative_error_below_1_5e_7(name, exact):
    """The limit that core/maths.h states; 1e5 angles in eighths of a turn, dense around zero and the ends."""
    near = np.array([-1, 0, 1])[:, None] + np.linspace(-1e-4, 1e-4, 2001)
    x = singles(np.linspace(-1, 1, 100_001), np.clip(near, -1, 1).ravel())
    x = x[x != 0]
    assert np.abs(evaluate(name, x) / exact(EIGHTH * x) - 1).max() < 1.5e-7


def test_sine_and_cosine_of_zero_are_exact():
    assert ops.maths("sin", 0) == 0
    assert ops.maths("cos", 0) == 1


def test_fused_without_the_instruction_rounds_once():
    """1e4 triples, a third with sums that cancel, a third near the middle between two floats; exact in fractions."""
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 10_000)).astype(np.float32)
    c = rng.normal(size=10_000).astype(np.float32)
    product = a.astype(float) * b
    c[::3] = -product[::3].astype(np.float32)
    # A product of two odd numbers of 13 bits ends in a bit that only the addend's rounding sees.
    a[1::3], b[1::3] = (2 * rng.integers(2**11, 2**12, size=(2, a[1::3].size)) + 1).astype(np.float32)
    c[1::3] = 2.0**49 * rng.choice([-1, 1], a[1::3].size)
    got = np.array([ops.maths("fused", *map(float, v)) for v in zip(a, b, c, strict=True)])
    exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)]
    assert all(nearest_float(e) == g for e, g in zip(exact, got, strict=True))


def nearest_float(exact: Fraction) -> float:
    """Round a fraction to single precision, half to even, with whole numbers only."""
    if exact == 0:
        return 0.0
    exponent = math.frexp(float(exact))[1] - 24
    scaled = exact / Fraction(2) ** exponent
    assert 2**23 <= abs(round(scaled)) <= 2**24
    return math.ldexp(round(scaled), exponent)  # Python rounds fractions half to even


def test_round_is_half_to_even_below_2_to_22():
    halves = np.arange(-3000, 3001) / 2
    edge = 2.0**22 - np.arange(1, 2000) / 2
    x = singles(halves, edge, -edge, np.linspace(-5, 5, 20_001), np.nextafter(np.float32(0.5), np.float32(1))[None])
    np.testing.assert_array_equal(evaluate("round", x), np.rint(x))


def test_round_of_larger_numbers_leaves_them():
    for x in (2.0**22, 2.0**22 + 0.5, 2.0**24 + 2, 2.0**100, -(2.0**23)):
        assert ops.maths("round", x) == x


def test_tanh_within_2_5_units_in_the_last_place():
    """The limit that core/maths.h states; 1e5 numbers over all magnitudes, dense where it bends and saturates."""
    x = singles(np.linspace(-10, 10, 60_000), np.linspace(-1, 1, 40_000), np.logspace(-37, 38, 2_000))
    exact, got = np.tanh(x), evaluate("tanh", x)
    assert (np.abs(got - exact) / np.spacing(np.abs(exact).astype(np.float32))).max() < 2.5
    assert np.array_equal(evaluate("tanh", -x), -got)
    assert np.abs(got).max() == 1
    assert math.isnan(ops.maths("tanh", math.nan))
