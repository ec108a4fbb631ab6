# SPDX-License-Identifier: Apache-2.0
"""Bit slices of weights and inputs: exact without noise, and what they do to it."""

import judge
import numpy as np
import pytest

from engine.errors import ParameterError
from engine.tiles.slicing import Slicing, assembled, digits, noise_gain, quantise, weights_of


@pytest.mark.tile_conformance("T57")
@pytest.mark.parametrize("bits", [2, 5, 8, 16])
@pytest.mark.parametrize("per_slice", [1, 2, 3, 7, 15])
def test_digits_of_all_sizes_add_up_and_fit_their_slice(bits, per_slice):
    largest = 2 ** (bits - 1) - 1
    q = np.unique(np.append(np.random.default_rng(57).integers(-largest, largest + 1, 500), [-largest, 0, largest]))
    parts = digits(q, bits, per_slice)
    assert len(parts) == -(-(bits - 1) // per_slice)
    assert np.abs(parts).max() <= 2**per_slice - 1
    np.testing.assert_array_equal(assembled(parts, per_slice), q)


@pytest.mark.tile_conformance("T57")
@pytest.mark.parametrize("weight_slice", [1, 2, 3, 7])
@pytest.mark.parametrize("input_slice", [1, 3, 7])
def test_product_of_all_slices_is_the_whole_numbers_product(weight_slice, input_slice):
    rng = np.random.default_rng(58)
    w, x = rng.integers(-127, 128, (6, 40)), rng.integers(-127, 128, (5, 40))
    phases, arrays = digits(x, 8, input_slice), digits(w, 8, weight_slice)
    parts = np.stack([assembled([x_k @ w_k.T for x_k in phases], input_slice) for w_k in arrays])
    np.testing.assert_array_equal(assembled(parts, weight_slice), x @ w.T)


@pytest.mark.tile_conformance("T58")
@pytest.mark.parametrize(("slices", "per_slice"), [(7, 1), (3, 2), (2, 4)])
def test_noise_of_equal_phases_grows_by_the_sum_of_squares(slices, per_slice):
    # 2e4 sums, seed 58: the relative standard error of a variance is 1 %; limit 4.5 of them.
    noise = np.random.default_rng(58).normal(size=(slices, 20_000))
    gain = assembled(noise, per_slice).var()
    assert gain == pytest.approx(noise_gain(slices, per_slice), rel=0.045)
    assert noise_gain(slices, per_slice) == sum(4 ** (per_slice * k) for k in range(slices))


@pytest.mark.parametrize(("bits", "per_slice"), [(8, 1), (8, 3), (8, 15), (5, 2), (0, 4)])
def test_slicing_of_values_restores_them_within_half_a_step(bits, per_slice):
    slicing = Slicing(weight_bits=bits, weight_slice_bits=per_slice)
    w = np.random.default_rng(59).uniform(-0.7, 0.7, (6, 9))
    parts, factors = slicing.of_weights(w, 0.7)
    assert np.abs(parts).max() <= 0.7 * (1 + 1e-12)
    restored = np.tensordot(factors, parts, 1)
    limit = 0.5 * 0.7 / (2 ** (bits - 1) - 1) if bits else 0.0
    assert np.abs(restored - w).max() <= limit + 1e-12
    if bits:
        judge.mean(np.abs(restored - w) / limit, 0.5, what="error, in half steps")  # 54 weights, seed 59


def test_slices_digits_use_the_whole_range_of_an_array():
    parts, factors = Slicing(input_bits=8, input_slice_bits=1).of_inputs([[1.0, -1.0]], 2.0)
    assert parts.shape == (7, 1, 2)
    assert set(np.abs(parts).ravel()) <= {0.0, 2.0}
    np.testing.assert_allclose(factors, weights_of(7, 1) / 127)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: quantise([1.5], 1.0, 8, "weights"), r"weights = 1\.5: is beyond the range .*\[-1, 1\]"),
        (lambda: digits([8], 4, 2), r"numbers = 8: does not fit"),
        (lambda: Slicing(input_bits=1), r"Slicing.input_bits = 1: leaves only the sign"),
        (lambda: Slicing(weight_slice_bits=0), r"Slicing.weight_slice_bits = 0"),
    ],
)
def test_slicing_wrong_values_refused_by_name(call, text):
    with pytest.raises(ParameterError, match=text):
        call()
