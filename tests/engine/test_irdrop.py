# SPDX-License-Identifier: Apache-2.0
"""Voltage lost along column wires: the fast model, sweeps, the ladder, and the closed form of a uniform column.

Reference values marked "table" were computed in double precision from the closed forms.
"""

import numpy as np
import pytest

from engine.errors import ParameterError, ShapeError
from engine.tiles import irdrop

RATIO = 0.35 * 5e-6  # wire times device: a segment of 0.35 ohm in units of 1 / (5 uS)
# devices, ohm, siemens, exact, continuum
UNIFORM = [
    (128, 0.15, 25e-6, 0.979780, 0.980011),
    (512, 0.35, 12.5e-6, 0.736893, 0.737502),
    (512, 0.35, 25e-6, 0.598554, 0.599358),
    (64, 5.0, 100e-6, 0.617030, 0.623226),
    (512, 2.0, 25e-6, 0.274846, 0.275818),
]


def dense(g, x, r):
    """Solve the nodal equations of each column as a full matrix, written independently of the ladder."""
    n = g.shape[1]
    currents, voltages = np.empty((len(x), len(g))), np.empty((len(x), *g.shape))
    for i, row in enumerate(g):
        matrix = np.zeros((n, n))
        for j in range(n):
            matrix[j, j] = 1 / r + abs(row[j]) + (1 / r if j + 1 < n else 0)
            if j + 1 < n:
                matrix[j, j + 1] = matrix[j + 1, j] = -1 / r
        voltages[:, i] = np.linalg.solve(matrix, (x * row).T).T
        currents[:, i] = voltages[:, i, 0] / r
    return currents, voltages


@pytest.mark.tile_conformance("T35")
@pytest.mark.parametrize(("n", "r", "g", "exact", "continuum"), UNIFORM)
def test_ladder_uniform_column_equals_closed_form_and_table(n, r, g, exact, continuum):
    left = irdrop.ladder([[g] * n], [[1.0] * n], r).currents[0, 0] / (n * g)
    # 1e-11: a sum of 512 terms in double precision; the table has six digits.
    assert left == pytest.approx(irdrop.uniform_column(n, g, r), rel=1e-11)
    assert left == pytest.approx(exact, abs=6e-7)
    assert irdrop.uniform_column_continuum(n, g, r) == pytest.approx(continuum, abs=6e-7)


@pytest.mark.tile_conformance("T36")
@pytest.mark.parametrize("r", [1e-3, 0.1, 10.0])
def test_ladder_random_columns_equals_dense_nodal_solution(r):
    rng = np.random.default_rng(36)
    g, x = rng.uniform(-1, 1, (5, 24)), rng.uniform(-1, 1, (7, 24))
    solution = irdrop.ladder(g, x, r)
    currents, voltages = dense(g, x, r)
    np.testing.assert_allclose(solution.currents, currents, atol=1e-9)  # the matrix has a condition of up to 1e6
    np.testing.assert_allclose(solution.column_voltages, voltages, atol=1e-9)


@pytest.mark.tile_conformance("T33")
def test_fast_model_uniform_column_gives_the_table():
    solution = irdrop.fast(np.full((1, 512), 0.5), np.ones((1, 512)), RATIO)
    assert solution.currents[0, 0] == pytest.approx(238.1457, abs=1e-4)
    assert irdrop.loads([[0.5] * 512], np.ones((1, 512)), RATIO)[0, 0] == pytest.approx(0.229376)


@pytest.mark.tile_conformance("T34")
def test_fast_model_far_inputs_lose_more_than_near_ones():
    x = np.zeros((2, 512))
    x[0, :64] = x[1, -64:] = 1
    loss = 1 - irdrop.fast(np.full((1, 512), 0.5), x, RATIO).currents[:, 0] / 32
    np.testing.assert_allclose(loss, [0.00167, 0.01410], rtol=0.01)  # the table has three digits


@pytest.mark.parametrize(
    ("a", "fast", "exact"),
    [(0.0459, 0.985007, 0.984984), (0.2294, 0.930257, 0.929961), (0.9175, 0.780983, 0.776021),
     (1.835, 0.631874, 0.646039)],
)
def test_fast_model_within_its_limit_follows_the_exact_loss(a, fast, exact):
    n = 512
    g = a / n**2
    solution = irdrop.fast([[g] * n], [[1.0] * n], 1.0)
    # 3e-5: the table's loads have four digits.
    assert solution.currents[0, 0] / (n * g) == pytest.approx(fast, abs=3e-5)
    assert irdrop.uniform_column_continuum(n, g, 1.0) == pytest.approx(exact, abs=3e-5)
    assert abs(fast / exact - 1) < 0.05


def test_fast_model_beyond_its_limit_warns_with_the_load():
    g, x = [[25e-6] * 512], [[1.0] * 512]
    assert not irdrop.is_valid(g, x, 0.35).any()
    assert irdrop.is_valid(g, x, 0.15).all()
    with pytest.warns(UserWarning, match=r"load of a column = 2\.29376: the fast model is not valid"):
        irdrop.fast(g, x, 0.35)


@pytest.mark.parametrize("model", [irdrop.fast, irdrop.sweeps, irdrop.ladder])
def test_models_voltages_explain_the_currents(model):
    rng = np.random.default_rng(1)
    g, x = rng.uniform(-1, 1, (3, 16)), rng.uniform(-1, 1, (4, 16))
    solution = model(g, x, 1e-3)
    # The sweeps' last currents follow from the voltages before them, which are the ones returned.
    through = (g * x[:, None, :] - np.abs(g) * solution.column_voltages).sum(-1)
    np.testing.assert_allclose(solution.currents, through, atol=1e-12)


@pytest.mark.parametrize("model", [irdrop.ideal, irdrop.fast, irdrop.sweeps, irdrop.ladder])
def test_models_without_resistance_give_the_ideal_product(model):
    rng = np.random.default_rng(2)
    g, x = rng.random((3, 16)), rng.uniform(-1, 1, (4, 16))
    np.testing.assert_allclose(model(g, x, 0.0).currents, x @ g.T, atol=1e-12)


def test_sweeps_repeated_shrink_the_error_by_the_predicted_factor():
    n, r = 64, 0.23 / 64**2
    g, x = np.ones((1, n)), np.ones((1, n))
    exact = irdrop.ladder(g, x, r).currents[0, 0]
    errors = [n - exact] + [abs(irdrop.sweeps(g, x, r, k).currents[0, 0] - exact) for k in (1, 2, 3)]
    # Kappa 0.23: the table says 0.0937, 0.0089, 0.00085 of the loss, for other columns; the rate is 4 kappa / pi^2.
    rates = np.array(errors[1:]) / errors[:-1]
    np.testing.assert_allclose(rates, 4 * 0.23 / np.pi**2, rtol=0.05)
    np.testing.assert_allclose(np.array(errors[1:]) / errors[0], [0.0937, 0.0089, 0.00085], rtol=0.06)


def test_sweeps_heavy_column_refused_with_advice():
    with pytest.raises(ParameterError, match=r"load of a column = 2\.29376: .*Use the ladder"):
        irdrop.sweeps([[25e-6] * 512], [[1.0] * 512], 0.35)
    with pytest.raises(ParameterError, match="count = 0"):
        irdrop.sweeps([[1.0]], [[1.0]], 0.1, 0)


def test_ladder_sense_resistance_divides_a_single_device():
    # One device of 1 S behind 0.25 + 0.75 ohm: half of the voltage is lost.
    solution = irdrop.ladder([[1.0]], [[0.6]], 0.25, sense_resistance=0.75)
    assert solution.currents[0, 0] == pytest.approx(0.3)
    assert solution.column_voltages[0, 0, 0] == pytest.approx(0.3)


def test_effective_conductances_give_the_ladder_for_any_input():
    rng = np.random.default_rng(4)
    g, x = rng.uniform(-1, 1, (5, 40)), rng.uniform(-1, 1, (6, 40))
    seen = irdrop.effective(g, 0.02, sense_resistance=0.1)
    want = irdrop.ladder(g, x, 0.02, sense_resistance=0.1).currents
    np.testing.assert_allclose(x @ seen.T, want, atol=1e-12)


def test_ladder_split_batch_gives_the_same_bits():
    rng = np.random.default_rng(3)
    g, x = rng.random((8, 32)), rng.uniform(-1, 1, (6, 32))
    whole = irdrop.ladder(g, x, 0.01, voltages=False).currents
    parts = [irdrop.ladder(g, row[None], 0.01).currents[0] for row in x]
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize(
    ("g", "x", "r", "error", "text"),
    [([[1.0, 2.0]], [[1.0]], 0.1, ShapeError, "inputs: got shape"), ([1.0], [[1.0]], 0.1, ShapeError, "conductances"),
     ([[1.0]], [[1.0]], -1.0, ParameterError, "wire_resistance = -1 ohm"),
     ([[np.nan]], [[1.0]], 0.1, ShapeError, "NaN")],
)
def test_ladder_wrong_arguments_refused_by_name(g, x, r, error, text):
    with pytest.raises(error, match=text):
        irdrop.ladder(g, x, r)
