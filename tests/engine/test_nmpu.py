# SPDX-License-Identifier: Apache-2.0
"""Fixed-point processing behind the converters: numbers by hand, error bound, folding, overflow, tables."""

import numpy as np
import pytest
import torch

from engine.errors import ParameterError, ShapeError
from engine.tiles.nmpu import Nmpu, best_shift, flipped, fold, rounded

# code, scale, offset, S, O, sum, then half up, half to even, cut
VECTORS = [
    (100, 0.74, -3.5, 95, -7, 9052, 71, 71, 70),
    (-100, 0.74, -3.5, 95, -7, -9948, -78, -78, -78),
    (100, 1.99, 20, 255, 40, 28060, 127, 127, 127),
    (-3, 0.5, 0, 64, 0, -192, -1, -2, -2),
    (3, 0.5, 0, 64, 0, 192, 2, 2, 1),
    (5, 0.5, 0, 64, 0, 320, 3, 2, 2),
    (127, 1.9921875, 0, 255, 0, 32385, 127, 127, 127),
    (1, 0.003, 0.25, 0, 0, 0, 0, 0, 0),
]


@pytest.mark.tile_conformance("T55")
@pytest.mark.parametrize("vector", VECTORS)
def test_nmpu_numbers_by_hand_in_every_rounding(vector):
    z, s, o, scale, offset, total, *outputs = vector
    unit = Nmpu(activation="none")
    stored = unit.store([[s]], [o])
    assert (stored.scales[0, 0], stored.offsets[0]) == (scale, offset)
    assert unit.accumulate([[z]], stored)[0, 0] == total
    for rounding, want in zip(("half_up", "half_even", "truncate"), outputs, strict=True):
        assert unit.copy(rounding=rounding).run([[z]], stored)[0, 0] == want
        assert unit.copy(rounding=rounding, activation="relu").run([[z]], stored)[0, 0] == max(want, 0)


@pytest.mark.tile_conformance("T55")
@pytest.mark.parametrize(("rounding", "mean"), [("half_up", 0.0), ("half_even", 0.0), ("truncate", -0.5)])
@pytest.mark.parametrize("shift", [0, 2])
def test_nmpu_error_stays_within_its_bound(rounding, mean, shift):
    # 20 000 columns, seed 55. The deviation is that of three uniform errors; 4.5 standard errors are 3 %.
    rng = np.random.default_rng(55)
    unit = Nmpu(activation="none", rounding=rounding, shift=shift)
    z = rng.integers(-128, 128, 20_000)
    s, o = rng.uniform(0, 0.4, 20_000), rng.uniform(-15, 15, 20_000)
    error = unit.run(z[None], unit.store(s[None], o))[0] - (s * z + o)
    bound = unit.error_bound(128)
    assert 0.8 * bound < np.abs(error).max() <= bound
    assert bound == {0: 1.25, 2: 0.6875}[shift] + (0.5 if rounding == "truncate" else 0)
    parts = (1, (z**2).mean() * 4.0 ** -(7 + shift), 4.0 ** -(1 + shift))
    assert error.std() == pytest.approx(np.sqrt(sum(parts) / 12), rel=0.03)
    # Sums are whole multiples of 2^-(7+shift), so half way between occurs: half of them times half a step of bias.
    assert error.mean() == pytest.approx(mean, abs=0.025)


@pytest.mark.parametrize("places", [0, 1, 3, 7])
@pytest.mark.parametrize(
    ("how", "formula"),
    [("half_up", lambda v: np.floor(v + 0.5)), ("half_even", np.rint), ("truncate", np.floor)],
)
def test_rounding_of_all_whole_numbers_equals_its_formula(places, how, formula):
    numbers = np.arange(-600, 601)
    np.testing.assert_array_equal(rounded(numbers, places, how), formula(numbers / 2.0**places))


def test_fold_equals_batch_normalisation_of_the_product():
    rng = np.random.default_rng(6)
    z = rng.integers(-127, 128, (50, 4))
    delta, bias = rng.uniform(0.01, 0.02, 4), rng.normal(size=4)
    norm = torch.nn.BatchNorm1d(4, eps=1e-3).double().eval()
    with torch.no_grad():
        norm.weight[:] = torch.tensor([1.0, 0.5, 2.0, 1.5])
        norm.bias[:] = torch.tensor(rng.normal(size=4))
        norm.running_mean[:] = torch.tensor(rng.normal(size=4))
        norm.running_var[:] = torch.tensor(rng.uniform(0.5, 2, 4))
        want = torch.relu(norm(torch.tensor(z * delta + bias))).numpy()
    parts = {"gamma": norm.weight, "beta": norm.bias, "mean": norm.running_mean, "variance": norm.running_var}
    parts = {name: p.detach().numpy() for name, p in parts.items()}
    step = 0.05
    s, o = fold(delta, bias, **parts, eps=1e-3, out_step=step)
    np.testing.assert_allclose(np.maximum(s * z + o, 0) * step, want, atol=1e-12)
    unit = Nmpu(out_bits=10, offset_bits=10)
    stored = unit.store(s[None], o)
    assert not stored.limited.any()
    got = unit.run(z, stored) * step
    assert np.abs(got - want).max() <= unit.error_bound(127) * step


def test_fold_defaults_are_no_normalisation():
    s, o = fold([0.5, 0.25], [1.0, 2.0])
    np.testing.assert_array_equal([s, o], [[0.5, 0.25], [1.0, 2.0]])


def test_flipped_columns_give_the_outputs_of_signed_scales():
    rng = np.random.default_rng(7)
    z, s, o = rng.integers(-127, 128, (30, 5)), rng.uniform(-0.9, 0.9, 5), rng.uniform(-9, 9, 5)
    signed = Nmpu(signed_scale=True, activation="none")
    plain = Nmpu(activation="none")
    positive, sign = flipped(s)
    want = signed.run(z, signed.store(s[None], o))
    np.testing.assert_array_equal(plain.run(z * sign, plain.store(positive[None], o)), want)


def test_terms_of_several_tiles_add_before_rounding():
    z = np.array([[[3]], [[3]]])
    unit = Nmpu(rounding="half_up")
    stored = unit.store([[0.5], [0.5]], [0.0])
    assert unit.run(z, stored)[0, 0] == 3  # 1.5 + 1.5, not 2 + 2


@pytest.mark.parametrize(("overflow", "want"), [("saturate", 2047), ("wrap", 2200 - 4096)])
def test_accumulator_overflow_saturates_or_wraps(overflow, want):
    unit = Nmpu(accumulator_bits=12, overflow=overflow)
    assert unit.accumulate([[22]], unit.store([[100 / 128]], [0.0]))[0, 0] == want


def test_store_beyond_its_bits_keeps_the_largest_and_says_so():
    stored = Nmpu().store([[2.5, 1.0]], [0.0, -70.0])
    np.testing.assert_array_equal(stored.scales, [[255, 128]])
    np.testing.assert_array_equal(stored.offsets, [0, -128])
    np.testing.assert_array_equal(stored.limited, [True, True])
    assert not Nmpu().store([[1.0]], [1.0]).limited.any()


def test_shift_makes_small_scales_as_fine_as_their_bits_allow():
    s, o = [0.2, 0.13], [3.0, -7.0]
    k = best_shift(Nmpu(), s, o)
    assert k == 3  # 0.2 * 8 = 1.6 in [1, 2); 7 * 8 = 56 below 64
    stored = Nmpu(shift=k).store([s], o)
    assert np.abs(stored.scales[0] / 2.0 ** (7 + k) / s - 1).max() <= 2.0**-8 * 1.6 / 1.04
    assert best_shift(Nmpu(), s, [3.0, -20.0]) == 1
    with pytest.raises(ParameterError, match=r"scales = 2\.5: do not fit with any shift"):
        best_shift(Nmpu(), [2.5], [0.0])


@pytest.mark.parametrize("activation", ["none", "relu"])
def test_clip_before_rounding_differs_at_the_limit_only(activation):
    numbers = np.arange(-140, 141)[:, None]
    first, last = (Nmpu(activation=activation, clip_first=c, rounding="half_even") for c in (True, False))
    stored = last.store([[1.0]], [0.5])
    a, b = first.run(numbers, stored), last.run(numbers, stored)
    np.testing.assert_array_equal(a, b)
    unsigned = Nmpu(unsigned_out=True, activation="none")
    out = unsigned.run(np.array([[-5], [300]]), unsigned.store([[1.0]], [0.0]))
    np.testing.assert_array_equal(out, [[0], [255]])


@pytest.mark.parametrize(("activation", "function"), [("tanh", np.tanh), ("sigmoid", lambda v: 1 / (1 + np.exp(-v)))])
@pytest.mark.parametrize("bits", [4, 8])
def test_activation_table_follows_the_function_within_its_step(activation, function, bits):
    unit = Nmpu(activation=activation, table_bits=bits)
    v = np.arange(-128, 128)[:, None]
    got = unit.run(v, unit.store([[1.0]], [0.0]))[:, 0] / 127
    want = function(v[:, 0] * 4 / 127)
    # Half a table step times the largest slope, and half an output code.
    steepest = 1.0 if activation == "tanh" else 0.25
    assert np.abs(got - want).max() <= (2 ** (8 - bits) - 1) / 2 * 4 / 127 * steepest + 0.5 / 127 + 1e-9


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Nmpu(offset_fraction=8), ParameterError, "Nmpu.offset_fraction = 8: is too large"),
        (lambda: Nmpu(activation="tanh", table_bits=9), ParameterError, "Nmpu.table_bits = 9"),
        (lambda: Nmpu().store([[-0.5]], [0.0]), ParameterError, r"scales = -0\.5: must not be negative .*flip"),
        (lambda: Nmpu().run([[0.5]], Nmpu().store([[1.0]], [0.0])), ParameterError, r"codes = 0\.5: does not fit"),
        (lambda: Nmpu().run([[1, 2]], Nmpu().store([[1.0]], [0.0])), ShapeError, r"codes: got shape \(1, 1, 2\)"),
    ],
)
def test_nmpu_wrong_values_refused_by_name(call, error, text):
    with pytest.raises(error, match=text):
        call()
