# SPDX-License-Identifier: Apache-2.0
"""Stuck devices: how many and where, what two reads find, and what repair and placement give back."""

import judge
import numpy as np
import pytest

from engine.errors import ParameterError, ShapeError
from engine.tiles.faults import KINDS, FaultMap, Pair, StuckFaults, best_columns, detected, healthy, repair_report

LOW, HIGH = 1e-6, 25e-6


def draw(shape=(200, 200), seed=1, **rates):
    return StuckFaults(**rates).draw(shape, LOW, HIGH, seed=seed)


def targets(shape, seed=0):
    """Return the pair of normal weights whose root mean square is 0.225 of the range."""
    w = np.random.default_rng(seed).normal(size=shape) * 0.225
    return [LOW + (HIGH - LOW) * np.clip(s * w, 0, 1) for s in (1, -1)]


def struck(faults, shape=(300, 300), seed=0):
    plus, minus = targets(shape, seed)
    maps = [faults.draw(shape, LOW, HIGH, seed=seed, name=name) for name in ("plus", "minus")]
    return Pair(plus, minus, *maps, LOW, HIGH)


def test_faults_by_chance_have_their_rates():
    # 40 000 devices, seed 1: limits of 4.5 standard errors.
    rates = {"p_low": 0.02, "p_high": 0.05, "p_value": 0.01, "p_random": 0.1}
    faults = draw(**rates)
    for kind, rate in enumerate(rates.values(), 1):
        judge.fraction(faults.kinds == kind, rate, within=4.5 * np.sqrt(rate * (1 - rate) / 40_000), what=KINDS[kind])


def test_faults_exact_counts_round_down():
    report = draw((9, 11), p_low=0.1, p_random=0.155, counts="exact").report()
    assert (report["low"], report["random"], report["high"], report["healthy"]) == (9, 15, 0, 75)


def test_faults_have_the_conductance_of_their_kind():
    faults = draw(p_low=0.2, p_high=0.2, p_value=0.2, p_random=0.2, stuck_value=0.25)
    written = faults.apply(np.full((200, 200), 2e-6))
    np.testing.assert_allclose(written[faults.kinds == 0], 2e-6)
    np.testing.assert_allclose(written[faults.kinds == 1], LOW)
    np.testing.assert_allclose(written[faults.kinds == 2], HIGH)
    np.testing.assert_allclose(written[faults.kinds == 3], LOW + 0.25 * (HIGH - LOW))
    judge.mean(written[faults.kinds == 4], (LOW + HIGH) / 2, what="random level")


@pytest.mark.parametrize(("pattern", "axis"), [("row", 0), ("column", 1)])
def test_faults_of_lines_strike_all_devices_of_a_line(pattern, axis):
    faults = draw((60, 80), p_high=0.1, pattern=pattern, counts="exact")
    whole = faults.stuck.all(axis)
    assert (faults.stuck.any(axis) == whole).all()
    assert whole.sum() == (8 if pattern == "row" else 6)
    assert faults.report()[f"whole_{pattern}s"] == whole.sum()


def test_faults_differ_by_seed_and_name_only():
    faults = StuckFaults(p_low=0.3)
    one, same = (faults.draw((20, 20), LOW, HIGH, seed=5, name="plus").kinds for _ in range(2))
    np.testing.assert_array_equal(one, same)
    assert (one != faults.draw((20, 20), LOW, HIGH, seed=5, name="minus").kinds).any()
    assert (one != faults.draw((20, 20), LOW, HIGH, seed=6, name="plus").kinds).any()


def test_detection_from_two_noisy_reads_finds_the_stuck_devices():
    faults = draw(p_low=0.03, p_high=0.03, p_value=0.03, seed=2)
    noise = np.random.default_rng(2).normal(size=(2, 200, 200)) * 0.03 * (HIGH - LOW)
    reads = [faults.apply(np.full((200, 200), g)) + n for g, n in zip((LOW, HIGH), noise, strict=True)]
    found = detected(*reads, LOW, HIGH)
    # Half the range is 12 deviations of the difference of two reads; 0.1 of it 4.7 of their mean.
    np.testing.assert_array_equal(found.kinds, faults.kinds)
    np.testing.assert_allclose(found.values[found.stuck], faults.values[found.stuck], atol=0.1 * (HIGH - LOW))


def closed_form(p, moments, m, v, third):
    """Return the relative errors before and after repair, for devices stuck with probability p at shares of the range.

    ``moments`` are mean and mean square of the shares; m, v, third the moments 1 to 3 of the weights' magnitude. A
    device at share s has lost s - w+; repaired, a clip remains: low |w| for used devices, high likewise on the other
    side, random levels |w|^3 / 3. Pairs with both stuck (p^2) stay as they are.
    """
    mean, square = moments
    single = 2 * (square - mean * m + v / 2)
    left = {0.0: v, 1.0: v, 0.5: 2 * third / 3}[mean]
    both = 2 * (square - mean**2) + v
    return np.sqrt(p * single / v), np.sqrt((p * left + p**2 * both) / v)


@pytest.mark.parametrize(
    ("kind", "moments", "before", "after"),
    [
        ("p_low", (0.0, 0.0), 0.100, 0.100),
        ("p_high", (1.0, 1.0), 0.579, 0.100),
        ("p_random", (0.5, 1 / 3), 0.329, 0.060),
    ],
)
def test_repair_by_the_partner_reduces_the_error_as_the_closed_form_says(kind, moments, before, after):
    reports = [repair_report(struck(StuckFaults(**{kind: 0.01}, counts="exact"), seed=s)) for s in range(6)]
    magnitude = np.abs(np.subtract(*targets((300, 300)))) / (HIGH - LOW)
    predicted = closed_form(0.01, moments, *(np.mean(magnitude**k) for k in (1, 2, 3)))
    for name, value, table in zip(("before", "after"), predicted, (before, after), strict=True):
        got = np.mean([r[f"error_{name}"] for r in reports])
        # 540 000 pairs, seeds 0-5: the relative spread of one seed was 5 % at most, 4.5 standard errors are 9 %.
        assert got == pytest.approx(value, rel=0.09), name
        # The table is that of one network, whose weights have longer tails: they count in the third moment.
        assert got == pytest.approx(table, rel=0.15), name


def test_repair_leaves_right_pairs_alone_and_counts_what_it_cannot():
    plus, minus = np.array([[5.0, 5.0, 1.0, 5.0]]), np.array([[1.0, 1.0, 4.0, 1.0]])
    up = FaultMap(np.array([[0, 2, 2, 2]]), np.array([[0.0, 9.0, 9.0, 9.0]]))
    down = FaultMap(np.array([[0, 0, 0, 1]]), np.array([[0.0, 0.0, 0.0, 1.0]]))
    pair = Pair(plus, minus, up, down, 1.0, 9.0)
    got = pair.repaired()
    np.testing.assert_array_equal(got.plus, plus)
    np.testing.assert_array_equal(got.minus, [[1.0, 5.0, 9.0, 1.0]])  # 9 - 4; 9 + 3 is out of range; both stuck
    np.testing.assert_array_equal(np.subtract(*got.written()), [[4.0, 4.0, 0.0, 8.0]])
    report = repair_report(pair)
    assert (report["concerned"], report["wrong_before"], report["wrong_after"], report["both_stuck"]) == (3, 3, 2, 1)


def output_error(pair, place, spare_maps):
    """Return the relative rms error of outputs for normal inputs with each output in its place, after repair."""
    moved = Pair(pair.plus, pair.minus, *(m.lines(place) for m in spare_maps), LOW, HIGH)
    plus, minus = moved.repaired().written()
    x = np.random.default_rng(9).normal(size=(500, plus.shape[1]))
    exact = x @ (pair.plus - pair.minus).T
    return np.sqrt(((x @ (plus - minus).T - exact) ** 2).mean() / (exact**2).mean())


@pytest.mark.parametrize(("spares", "measured", "spread"), [(0, 0.34, 0.04), (16, 0.122, 0.016)])
def test_placement_on_better_columns_reduces_the_output_error(spares, measured, spread):
    # 5 % low and 1 % high. Measured over seeds 0-7: mean and spread of the error over that of repair alone, 0.287.
    for seed in range(3):
        plus, minus = targets((64, 64), seed)
        faults = StuckFaults(p_low=0.05, p_high=0.01)
        maps = [faults.draw((64 + spares, 64), LOW, HIGH, seed=seed, name=name) for name in ("plus", "minus")]
        place = best_columns(plus, minus, *maps, LOW, HIGH)
        assert len(set(place)) == 64
        pair = Pair(plus, minus, healthy((64, 64)), healthy((64, 64)), LOW, HIGH)
        before, after = (output_error(pair, which, maps) for which in (np.arange(64), place))
        assert before == pytest.approx(0.287, abs=3 * 0.013)
        assert after / before == pytest.approx(measured, abs=3 * spread)


def test_placement_of_rows_avoids_stuck_rows_with_a_spare():
    plus, minus = targets((8, 16), 3)
    faults = StuckFaults(p_high=1 / 17 + 1e-3, pattern="row", counts="exact").draw((8, 17), LOW, HIGH, seed=3)
    place = best_columns(plus.T, minus.T, faults.turned, faults.turned, LOW, HIGH)
    assert set(place) == set(np.flatnonzero(~faults.stuck.all(0)))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: StuckFaults(p_low=0.6, p_high=0.5), ParameterError, r"rates = 1\.1: add up to more than all"),
        (lambda: StuckFaults(pattern="both"), ParameterError, "StuckFaults.pattern = 'both'"),
        (lambda: healthy((2, 2)).apply([[1.0]]), ShapeError, "conductances: got shape"),
        (lambda: Pair(np.ones((2, 2)), np.ones((2, 2)), healthy((2, 3)), healthy((2, 2)), 0, 1), ShapeError, "Pair"),
        (lambda: best_columns(np.ones((3, 2)), np.ones((3, 2)), healthy((2, 2)), healthy((2, 2)), 0, 1),
         ParameterError, "columns = 2: are too few"),
    ],
)  # fmt: skip
def test_faults_wrong_values_refused_by_name(call, error, text):
    with pytest.raises(error, match=text):
        call()
