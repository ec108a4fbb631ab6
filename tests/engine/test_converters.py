# SPDX-License-Identifier: Apache-2.0
"""Converters by circuit: codes, errors that belong to a converter, and what a laboratory measures of them.

Statistical tests: seed and sample size with each; limits of 4.5 standard errors (judge.Z) unless another is given.
"""

import judge
import numpy as np
import pytest

from engine.errors import ParameterError, ShapeError
from engine.tiles import converters
from engine.tiles.converters import CyclicConverter, IdealConverter, PipelineConverter, RampConverter, SarConverter
from engine.tiles.linearity import code_histogram, enob, linearity, snr

KINDS = pytest.mark.parametrize("kind", [converters.get(name) for name in converters.names()], ids=converters.names())
CIRCUITS = pytest.mark.parametrize("kind", [RampConverter, SarConverter, PipelineConverter, CyclicConverter])


@KINDS
@pytest.mark.parametrize("bits", [2, 5, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_converter_without_errors_finds_every_code_at_its_value(kind, bits, signed):
    converter = kind(bits=bits, signed=signed, full_scale=3.0)
    every = np.arange(converter.bottom, converter.top + 1)
    assert len(every) == 2**bits - signed
    # A hundredth of a step off the middle between codes: rounding at the middle itself differs by circuit.
    for off in (-0.49, 0.0, 0.49):
        values = (every + off)[:, None] * converter.step
        np.testing.assert_array_equal(converter.codes(values)[:, 0], every)
    np.testing.assert_allclose(converter.values_of([converter.top]), 3.0)


@KINDS
def test_converter_beyond_its_range_gives_the_last_code_and_says_so(kind):
    converter = kind(bits=4, full_scale=2.0)
    np.testing.assert_array_equal(converter.codes([[9.0, -9.0, 2.0]]), [[7, -7, 7]])
    np.testing.assert_array_equal(converter.clipped([[9.0, -9.0, 2.0]]), [[True, True, False]])


@pytest.mark.tile_conformance("T3")
@KINDS
@pytest.mark.parametrize(("bits", "db"), [(4, 22.92), (6, 35.85), (8, 48.10)])
def test_converter_uniform_signal_has_the_noise_of_its_step(kind, bits, db):
    # 2e5 values: 4.5 standard errors of the mean square error are 0.04 dB.
    values = np.random.default_rng(3).uniform(-1, 1, (200_000, 1))
    assert snr(kind(bits=bits), values)[0] == pytest.approx(db, abs=0.05)


@CIRCUITS
@pytest.mark.parametrize(("sharing", "groups"), [(1, 8), (4, 2), (0, 1)])
def test_converter_gain_is_shared_by_the_columns_of_one(kind, sharing, groups):
    converter = kind(bits=16, gain_std=0.05, sharing=sharing)  # fewer: two of eight may fall on one code
    codes = converter.codes(np.full((1, 8), 0.5), seed=4)[0]
    assert len(set(codes.tolist())) == groups
    assert (np.diff(codes.reshape(groups, -1), axis=1) == 0).all()


def test_converter_shared_ramp_keeps_a_comparator_for_each_column():
    values = np.full((1, 8), 0.5)
    assert len(set(RampConverter(bits=12, offset_std=40.0, sharing=0).codes(values, seed=1)[0])) == 8
    assert len(set(SarConverter(bits=12, offset_std=40.0, sharing=0).codes(values, seed=1)[0])) == 1


def test_converters_are_found_by_name():
    assert converters.names() == ["cyclic", "ideal", "pipeline", "ramp", "sar"]
    assert converters.made({"kind": "sar", "parameters": {"bits": 5}}, "converter") == SarConverter(bits=5)
    with pytest.raises(ParameterError, match=r"converter = 'rampp': unknown.*Did you mean 'ramp'"):
        converters.get("rampp")


@CIRCUITS
@pytest.mark.parametrize("field", ["offset_std", "gain_std"])
def test_converter_offset_and_gain_have_their_spread(kind, field):
    size, columns = (3.0, 4000) if field == "offset_std" else (0.02, 4000)
    converter = kind(bits=12, **{field: size})
    codes = converter.codes(np.full((1, columns), 0.25), seed=5)[0]
    ideal = 0.25 * converter.top
    spread = size if field == "offset_std" else size * ideal
    judge.mean(codes - ideal, 0.0, what=field)
    judge.std(codes, np.hypot(spread, np.sqrt(1 / 12)), within=4.5 / np.sqrt(2 * columns), what=field)


@CIRCUITS
def test_converter_noise_is_fresh_and_independent_of_the_split(kind):
    converter = kind(bits=12, noise_std=5.0)
    values = np.full((400, 10), 0.25)
    codes = converter.codes(values, seed=6)
    judge.std(codes, np.hypot(5.0, np.sqrt(1 / 12)), within=4.5 / np.sqrt(2 * codes.size), what="noise")
    split = [converter.codes(values[:150], seed=6), converter.codes(values[150:], seed=6, first=150)]
    np.testing.assert_array_equal(codes, np.concatenate(split))
    assert (codes != converter.codes(values, seed=7)).mean() > 0.8


@CIRCUITS
def test_converter_same_seed_keeps_its_errors_for_any_batch(kind):
    more = {"step_std": 0.3} if kind is RampConverter else {"capacitor_std": 0.03}
    converter = kind(bits=6, gain_std=0.1, offset_std=2.0, **more)
    values = np.random.default_rng(7).uniform(-1, 1, (50, 6))
    codes = converter.codes(values, seed=8)
    np.testing.assert_array_equal(codes[20:21], converter.codes(values[20:21], seed=8))
    assert (codes != converter.codes(values, seed=9)).any()


def test_sar_mismatch_opens_the_middle_step_by_its_closed_form():
    # 1000 converters: relative standard error of a deviation 2.2 %. Code -1 ends where all bits change.
    dnl, inl = linearity(SarConverter(bits=8, capacitor_std=0.02), 1000, seed=1, per_code=32)
    judge.std(dnl[:, 125], 0.02 * np.sqrt(255), within=4.5 / np.sqrt(2000), what="DNL of the middle step")
    assert dnl.std(0).argmax() == 125
    # The jump is shared by both sides, half of it is the deviation from the line.
    assert inl.std(0).max() == pytest.approx(0.02 * np.sqrt(255) / 2, rel=0.1)


@pytest.mark.parametrize("kind", [PipelineConverter, CyclicConverter])
def test_stages_make_up_for_thresholds_that_are_off(kind):
    """All but the last one, where t V_ref are 2 t codes. Inputs at +-V_ref/4, code 32, are no exception."""
    steps = np.append(np.linspace(-127, 127, 999), [-64, -32, 32, 64])[:, None]
    assert np.abs(kind(bits=8, gain_db=300.0).codes(steps / 127) - steps).max() <= 0.5 + 1e-9
    converter = kind(bits=8, gain_db=300.0, threshold_std=0.05)
    last = np.abs(converter.errors(3, 20)[2][:, -1]).max(1)
    off = np.abs(converter.codes(np.repeat(steps / 127, 20, 1), seed=3) - steps)
    assert (off.max(0) <= 0.5 + 2 * last + 1e-9).all()


def test_finite_gain_loses_in_each_stage_half_as_much_as_before():
    """40 dB at half feedback: 2 % in each stage. At full scale, where every rest is one: 0.02 (64 + 32 + ... + 1)."""
    pipeline = PipelineConverter(bits=8, gain_db=40.0)
    values = np.linspace(-1, 1, 4001)[:, None]
    lost = np.abs(pipeline.codes(values) - pipeline.copy(gain_db=200.0).codes(values)).max()
    assert lost == pytest.approx(0.02 * 127, abs=0.5)  # a whole number


def test_stages_of_a_pipeline_differ_and_those_of_a_cycle_do_not():
    kinds = {kind: kind(bits=6, capacitor_std=0.02, threshold_std=0.1) for kind in (PipelineConverter, CyclicConverter)}
    for kind, converter in kinds.items():
        ratios, betas, off = converter.errors(5, 3)
        assert ratios.shape == betas.shape == (3, 5)
        assert off.shape == (3, 5, 2)
        assert (np.ptp(ratios, axis=1) == 0).all() == (kind is CyclicConverter)
    many = PipelineConverter(bits=16, capacitor_std=0.02).errors(5, 1000)[0]
    judge.std(many, 0.02 * np.sqrt(2), within=0.03, what="ratio of two capacitors")  # 15000 ratios: 4.5 errors, 0.026


def test_ramp_steps_bend_it_as_a_bridge():
    # 1500 converters; the sum of 254 free steps less the line through its ends: sigma sqrt(n) / 2 in the middle.
    dnl, inl = linearity(RampConverter(bits=8, step_std=0.1), 1500, seed=2, per_code=32)
    judge.std(dnl, np.hypot(0.1, 1 / 32 / np.sqrt(6)), within=0.01, what="DNL")
    assert inl.std(0)[len(inl[0]) // 2] == pytest.approx(0.1 * np.sqrt(254) / 2, rel=4.5 / np.sqrt(3000))
    assert inl.std(0)[0] == 0


def test_ramp_bow_is_its_integral_nonlinearity():
    dnl, inl = linearity(RampConverter(bits=8, bow=0.02))
    assert np.abs(inl).max() == pytest.approx(0.02 * 127, abs=0.05)  # measured to 1/64 LSB, without the two end codes
    assert np.abs(inl).argmax() == pytest.approx(126, abs=4)
    assert np.abs(dnl).max() < 0.1


def test_linearity_missing_code_has_minus_one():
    dnl, _ = linearity(SarConverter(bits=6, capacitor_std=0.3), 20, seed=3)
    assert dnl.min() == -1


def test_linearity_gain_and_offset_do_not_count():
    dnl, inl = linearity(RampConverter(bits=6, gain_std=0.05, offset_std=2.0), 10, seed=3)
    assert np.abs(dnl).max() < 0.04  # a width is measured to 1/64 LSB at both sides
    assert np.abs(inl).max() < 0.04


@KINDS
@pytest.mark.parametrize("bits", [6, 8, 10])
def test_enob_without_errors_is_the_number_of_bits(kind, bits):
    # A signed converter has one code fewer, log2(1 - 2^-b) bits; a full-scale sine leaves 0.03 bits of play.
    assert enob(kind(bits=bits))[0] == pytest.approx(bits, abs=0.04)


def test_enob_noise_adds_to_the_quantisation():
    # Noise of 1 LSB beside 1/sqrt(12): log2 of the ratio of deviations. 0.03 bits: it is cut at the sine's peaks.
    got = enob(RampConverter(bits=8, noise_std=1.0), 40, seed=4)
    assert got.mean() == pytest.approx(8 - np.log2(np.sqrt(1 + 12)), abs=0.03)


def test_code_histogram_counts_all_codes():
    converter = IdealConverter(bits=3)
    every, counts = code_histogram(converter, converter.codes(np.linspace(-1, 1, 601)[:, None]))
    np.testing.assert_array_equal(every, np.arange(-3, 4))
    assert counts.sum() == 601
    np.testing.assert_allclose(counts[1:-1], 100, atol=1)  # 100 values in each step, rounding at its ends


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: IdealConverter(bits=1), ParameterError, "IdealConverter.bits = 1: has no signed codes"),
        (lambda: IdealConverter(bits=7.5), ParameterError, "must be a whole number"),
        (lambda: RampConverter(bow=0.5), ParameterError, "RampConverter.bow = 0.5"),
        (lambda: SarConverter(step_std=0.1), ParameterError, "SarConverter.step_std: there is no such parameter"),
        (lambda: IdealConverter().codes([1.0]), ShapeError, "values: got shape"),
        (lambda: code_histogram(IdealConverter(bits=2), [5]), ParameterError, "codes = 5: does not fit"),
    ],
)
def test_converter_wrong_values_refused_by_name(call, error, text):
    with pytest.raises(error, match=text):
        call()
