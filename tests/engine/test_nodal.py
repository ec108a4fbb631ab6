# SPDX-License-Identifier: Apache-2.0
"""Nodal analysis of arrays with row and column wires, against a full matrix and closed forms."""

import numpy as np
import pytest

from engine.errors import ParameterError
from engine.tiles import irdrop, nodal


def dense(g, x, r):
    """Return the currents from a full matrix assembled node by node, independent of the sparse solver."""
    outs, ins = g.shape
    row = {(i, j): i * ins + j for i in range(outs) for j in range(ins)}
    size = 2 * outs * ins
    matrix, drive = np.zeros((size, size)), np.zeros((size, len(x)))

    def join(a, b, siemens):
        for p, q in ((a, b), (b, a)):
            matrix[p, p] += siemens
            matrix[p, q] -= siemens

    for (i, j), node in row.items():
        below = node + outs * ins
        join(node, below, g[i, j])
        if i > 0:
            join(node, row[i - 1, j], 1 / r)
        else:
            matrix[node, node] += 1 / r
            drive[node] += x[:, j] / r
        if j > 0:
            join(below, row[i, j - 1] + outs * ins, 1 / r)
        else:
            matrix[below, below] += 1 / r
    voltages = np.linalg.solve(matrix, drive)
    return np.stack([voltages[row[i, 0] + outs * ins] / r for i in range(outs)], -1)


def pair(seed):
    """Return a differential pair of 8 rows and 32 columns, 1 to 10 kohm, and 4 inputs."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=(32, 8))
    w /= np.abs(w).max()
    plus, minus = (1e-4 + 9e-4 * np.maximum(s * w, 0) for s in (1, -1))
    return plus, minus, rng.uniform(0, 1, (4, 8))


@pytest.mark.tile_conformance("T56")
@pytest.mark.parametrize("r", [0.1, 1.0, 5.0])
def test_nodal_pair_equals_dense_solution(r):
    plus, minus, x = pair(0)
    for g in (plus, minus):
        got = nodal.nodal(g, x, r).currents
        np.testing.assert_allclose(got, dense(g, x, r), rtol=1e-9)  # condition number of the matrix: 1e5


@pytest.mark.tile_conformance("T56")
@pytest.mark.parametrize(("r", "drop"), [(0.1, 0.0104), (1.0, 0.0937), (5.0, 0.327)])
def test_nodal_pair_loses_what_the_table_says(r, drop):
    lost = []
    for seed in range(12):
        plus, minus, x = pair(seed)
        exact = x @ (plus - minus).T
        got = nodal.nodal(plus, x, r).currents - nodal.nodal(minus, x, r).currents
        lost.append(np.linalg.norm(got - exact) / np.linalg.norm(exact))
    # The table's matrix is not known. 12 seeds, relative spread 0.06 over seeds: 4.5 standard errors are 8 %.
    assert np.mean(lost) == pytest.approx(drop, rel=0.08)


def test_nodal_ideal_rows_equal_the_ladder():
    rng = np.random.default_rng(1)
    g, x = rng.random((6, 9)), rng.uniform(-1, 1, (4, 9))
    got = nodal.nodal(g, x, 0.02, row_resistance=0.0, sense_resistance=0.1)
    want = irdrop.ladder(g, x, 0.02, sense_resistance=0.1)
    np.testing.assert_allclose(got.currents, want.currents, rtol=1e-10)
    np.testing.assert_allclose(got.column_voltages, want.column_voltages, atol=1e-12)
    np.testing.assert_array_equal(got.row_voltages, np.broadcast_to(x[:, None], (4, 6, 9)))


def test_nodal_ideal_columns_equal_a_ladder_along_each_row():
    rng = np.random.default_rng(2)
    g, x = rng.random((6, 9)), rng.uniform(-1, 1, (4, 9))
    got = nodal.nodal(g, x, 0.0, row_resistance=0.02, source_resistance=0.3)
    # What a row has lost obeys the column's equations, with its driver's voltage as the input of all its devices.
    for j in range(9):
        lost = irdrop.ladder(g[:, j][None], np.repeat(x[:, j : j + 1], 6, 1), 0.02, sense_resistance=0.3)
        np.testing.assert_allclose(x[:, j : j + 1] - got.row_voltages[:, :, j], lost.column_voltages[:, 0], atol=1e-12)


def test_nodal_single_column_puts_the_row_segments_in_series():
    rng = np.random.default_rng(3)
    g, x = rng.random((1, 12)), rng.uniform(-1, 1, (4, 12))
    got = nodal.nodal(g, x, 0.05, row_resistance=0.2, source_resistance=0.1).currents
    want = irdrop.ladder(g / (1 + 0.3 * g), x, 0.05).currents
    np.testing.assert_allclose(got, want, rtol=1e-10)


def test_nodal_driver_resistance_alone_divides_by_the_sum_of_the_row():
    rng = np.random.default_rng(4)
    g, x = rng.random((5, 7)), rng.uniform(-1, 1, (3, 7))
    got = nodal.nodal(g, x, 0.0, source_resistance=0.2).currents
    np.testing.assert_allclose(got, (x / (1 + 0.2 * g.sum(0))) @ g.T, rtol=1e-10)


def test_nodal_without_resistance_gives_the_ideal_product():
    rng = np.random.default_rng(5)
    g, x = rng.random((5, 7)), rng.uniform(-1, 1, (3, 7))
    np.testing.assert_allclose(nodal.nodal(g, x, 0.0).currents, x @ g.T, rtol=1e-12)


def test_effective_conductances_give_the_currents_for_any_input():
    rng = np.random.default_rng(6)
    g, x = rng.random((40, 50)), rng.uniform(-1, 1, (3, 50))
    seen = nodal.effective(g, 1e-3, source_resistance=0.01)
    np.testing.assert_allclose(x @ seen.T, nodal.nodal(g, x, 1e-3, source_resistance=0.01).currents, rtol=1e-9)


def test_effective_conductances_turned_array_is_the_transposed_one():
    # Reciprocity: drivers and sense nodes may change places.
    g = np.random.default_rng(7).random((4, 9))
    one = nodal.effective(g, 0.03, row_resistance=0.01, source_resistance=0.2, sense_resistance=0.1)
    other = nodal.effective(g.T, 0.01, row_resistance=0.03, source_resistance=0.1, sense_resistance=0.2)
    np.testing.assert_allclose(one, other.T, rtol=1e-10)


def test_nodal_too_large_or_signed_array_refused_with_advice():
    with pytest.raises(ParameterError, match=r"conductances = \(257, 256\): is too large .*use the ladder"):
        nodal.nodal(np.ones((257, 256)), np.ones((1, 256)), 1.0)
    with pytest.raises(ParameterError, match=r"conductances = -0\.5 S: must not be negative .*two arrays"):
        nodal.nodal([[1.0, -0.5]], [[1.0, 1.0]], 1.0)
    with pytest.raises(ParameterError, match="source_resistance = -1 ohm"):
        nodal.nodal([[1.0]], [[1.0]], 1.0, source_resistance=-1)
