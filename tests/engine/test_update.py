# SPDX-License-Identifier: Apache-2.0
"""The pulsed update: train lengths and probabilities, statistics of the counts, order (T01, T24-T28, T32).

Numbers marked "peer" were measured on aihwkit 1.2.0 (CPU, 20 000 repeats). Samples: x = (0.9, -0.4, 0.1),
d = (0.5, -0.2), assumed step 0.001 if not said otherwise.
"""

import judge
import numpy as np
import pytest
import torch

from engine.devices.constant_step import ConstantStep
from engine.devices.ideal import Ideal
from engine.devices.soft_bounds import SoftBounds
from engine.errors import ParameterError, ShapeError
from engine.tiles import Tile, UpdateParameters

X, D = np.array([0.9, -0.4, 0.1]), np.array([0.5, -0.2])
STEP = 0.001
PLAIN = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0, "dw_min_std": 0.0}
UNMANAGED = {"update_management": False, "update_bl_management": False}
ONE_PULSE = UpdateParameters(desired_bl=1, **UNMANAGED)
# Options, learning rate, train length, probabilities of the columns and rows (after the cut at 1).
TABLE = {
    "default": ({}, 0.01, 5, (0.9487, 0.4216, 0.1054), (0.9487, 0.3795)),
    "clipped": ({}, 0.1, 31, (1, 0.4444, 0.1111), (1, 0.5806)),
    "saturated": ({}, 1.0, 31, (1, 0.4444, 0.1111), (1, 1)),
    "grad scale": ({"um_grad_scale": 0.5}, 0.1, 23, (0.9891, 0.4396, 0.1099), (1, 0.7913)),
    "unmanaged": (UNMANAGED, 0.01, 31, (0.5112, 0.2272, 0.0568), (0.2840, 0.1136)),
    "grown trains": (UNMANAGED | {"fixed_bl": False}, 0.1, 100, (0.9, 0.4, 0.1), (0.5, 0.2)),
    "balance only": ({"update_bl_management": False}, 0.01, 31, (0.3810, 0.1693, 0.0423), (0.3810, 0.1524)),
    "short trains": ({"desired_bl": 10}, 0.1, 10, (1, 0.4444, 0.1111), (1, 1)),
}


def scales(options: dict, lr: float, x=X, d=D, step: float = STEP) -> tuple[int, np.ndarray, np.ndarray]:
    """Return train length and probabilities of one sample."""
    x, d = np.asarray(x), np.asarray(d)
    length, b, a = UpdateParameters(**options).scales(np.abs(x).max()[None], np.abs(d).max()[None], lr, step)
    return int(length[0]), np.minimum(np.abs(x) * b[0], 1), np.minimum(np.abs(d) * a[0], 1)


@pytest.mark.conformance("T24")
@pytest.mark.parametrize("row", TABLE)
def test_scales_equal_the_table(row):
    options, lr, length, p, q = TABLE[row]
    got = scales(options, lr)
    assert got[0] == length
    np.testing.assert_allclose(got[1], p, atol=1e-4)
    np.testing.assert_allclose(got[2], q, atol=1e-4)


@pytest.mark.conformance("T24")
@pytest.mark.parametrize("options", [{}, {"update_management": False}, {"update_bl_management": False}])
@pytest.mark.parametrize(("x", "d"), [((0.0, 0.0), (1.0, 0.5)), ((0.3, 1.0), (0.0, 0.0)), ((0.0, 0.0), (0.0, 0.0))])
def test_scales_of_a_zero_vector_under_management_send_no_pulses(options, x, d):
    assert scales(options, 0.1, x, d)[0] == 0


@pytest.mark.conformance("T24")
def test_scales_of_learning_rate_zero_send_no_pulses():
    assert scales({}, 0.0)[0] == scales(UNMANAGED, 0.0)[0] == 0


@pytest.mark.conformance("T24")
@pytest.mark.parametrize("lr", [1e-12, 1e-30])
def test_scales_of_a_tiny_rate_use_one_slot(lr):
    length, p, q = scales({}, lr)
    assert length == 1
    assert p.max() * q.max() == pytest.approx(lr * 0.9 * 0.5 / STEP, rel=1e-5)


@pytest.mark.conformance("T24")
@pytest.mark.parametrize("lr", [1e9, 1e30])
def test_scales_of_a_huge_rate_stay_at_the_longest_train(lr):
    length, p, q = scales({}, lr)
    assert length == 31
    assert p.max() == pytest.approx(1, rel=1e-5)
    np.testing.assert_array_equal(q, 1)


@pytest.mark.conformance("T27")
@pytest.mark.parametrize("g", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("lr", [0.003, 0.02, 0.5])
def test_scales_keep_the_expected_largest_update(lr, g):
    """Below the cap: p_max = sqrt(k/BL), q_max = sqrt(k/BL)/g; above: p_max = 1, q_max = k/(g BL) before the cut."""
    length, p, q = scales({"um_grad_scale": g}, lr)
    k = lr * 0.9 * 0.5 * g / STEP
    expected = (1.0, k / (g * length)) if k > 31 else (np.sqrt(k / length), np.sqrt(k / length) / g)
    assert length == min(np.ceil(k), 31)
    np.testing.assert_allclose((p.max(), q.max()), np.minimum(expected, 1), rtol=1e-5)


def test_scales_are_those_of_each_sample_not_of_the_batch():
    x_max, d_max = np.array([0.9, 0.01, 0.0, 5.0]), np.array([0.5, 0.02, 1.0, 2.0])
    together = UpdateParameters().scales(x_max, d_max, 0.1, STEP)
    for k in range(4):
        alone = UpdateParameters().scales(x_max[k : k + 1], d_max[k : k + 1], 0.1, STEP)
        for one, all_of_them in zip(alone, together, strict=True):
            assert one[0] == all_of_them[k]


COPIES = 16


def counts(options: dict, lr: float, repeats: int = 20_000, seed: int = 1, **device) -> np.ndarray:
    """Return signed pulse counts ``(repeats, out=2, in=3)``, positive = down.

    A step of 1 with bounds far away makes the weights whole numbers, exact below 2^24; the rate is scaled with it.
    The tile holds several copies of the columns and rows: blocks on its diagonal share no train.
    """
    wide = ConstantStep(dw_min=1.0, w_max=1e7, w_min=-1e7, **PLAIN | device)
    tile = Tile(2 * COPIES, 3 * COPIES, wide, update=UpdateParameters(**options), seed=seed)
    x = torch.tensor(np.tile(X, COPIES), dtype=torch.float32)[None]
    d = torch.tensor(np.tile(D, COPIES), dtype=torch.float32)[None]
    found, before = [], np.zeros((2 * COPIES, 3 * COPIES))
    for _ in range(repeats // COPIES):
        tile.update(x, d, lr / STEP)
        after = tile.weights.numpy().astype(float)
        blocks = (before - after).reshape(COPIES, 2, COPIES, 3)
        found.append(blocks[np.arange(COPIES), :, np.arange(COPIES), :])
        before = after
    return np.concatenate(found)


@pytest.mark.conformance("T25")
@pytest.mark.parametrize("row", TABLE)
def test_counts_are_binomial_with_the_products_of_probabilities(row):
    """20 000 repeats: mean within 4.5 standard errors, variance within 6 %, 12 % below one expected pulse."""
    options, lr, length, p, q = TABLE[row]
    n = counts(options, lr)
    np.testing.assert_array_equal(np.sign(n) * np.sign(np.outer(D, X)) >= 0, True)
    _, p, q = scales(options, lr)
    for i in range(2):
        for j in range(3):
            hit, sample = p[j] * q[i], np.abs(n[:, i, j])
            if hit == 1:
                assert (sample == length).all()
                continue
            judge.mean(sample, length * hit, what=f"mean {i} {j}")
            limit = 0.06 if length * hit >= 1 else 0.12
            assert sample.var() == pytest.approx(length * hit * (1 - hit), rel=limit)


# Peer, mean counts of (d1, x1), (d1, x2), (d2, x1), as theory gives them; its 20 000 repeats agree.
@pytest.mark.conformance("T25")
@pytest.mark.parametrize(
    ("row", "peer"),
    [
        ("default", (4.5, 2.0, 1.8)),
        ("clipped", (31, 13.778, 18)),
        ("saturated", (31, 13.778, 31)),
        ("grad scale", (22.749, 10.110, 18.0)),
        ("unmanaged", (4.5, 2.0, 1.8)),
        ("grown trains", (45, 20, 18)),
        ("balance only", (4.5, 2.0, 1.8)),
        ("short trains", (10, 4.444, 10)),
    ],
)
def test_mean_counts_equal_the_peer_s(row, peer):
    options, lr, *_ = TABLE[row]
    n = np.abs(counts(options, lr, seed=2))
    for (i, j), mean in zip(((0, 0), (0, 1), (1, 0)), peer, strict=True):
        sample = n[:, i, j]
        assert abs(sample.mean() - mean) < 5e-4 + judge.Z * sample.std() / np.sqrt(sample.size)


@pytest.mark.conformance("T26")
@pytest.mark.parametrize("row", ["default", "unmanaged", "grown trains"])
def test_counts_on_one_line_are_correlated_by_their_shared_train(row):
    """Same row N q (1-q) p p', same column N p (1-p) q q', else 0; independent counts for each crosspoint fail."""
    options, lr, length, _, _ = TABLE[row]
    _, p, q = scales(options, lr)
    n = np.abs(counts(options, lr, seed=3))
    row_cov = length * q[0] * (1 - q[0]) * p[0] * p[1]
    column_cov = length * p[0] * (1 - p[0]) * q[0] * q[1]
    judge.covariance(n[:, 0, 0], n[:, 0, 1], row_cov, what="same row")
    judge.covariance(n[:, 0, 0], n[:, 1, 0], column_cov, what="same column")
    judge.covariance(n[:, 0, 0], n[:, 1, 1], 0.0, what="diagonal")
    assert row_cov > judge.Z * 0.01  # so the sample above would show independent counts


@pytest.mark.conformance("T25", "T26")
@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("row", TABLE)
def test_counts_of_a_large_batch_have_the_same_statistics(row, seed):
    """20 000 samples of one batch, counted before any device moves: moments, and covariances on lines and across."""
    options, lr, length, _, _ = TABLE[row]
    x, d = (torch.tensor(v, dtype=torch.float32).expand(20_000, -1).contiguous() for v in (X, D))
    signed = UpdateParameters(**options).job(x, d, lr, STEP).coincidences(seed, 0).numpy()
    np.testing.assert_array_equal(np.sign(signed) * np.sign(np.outer(D, X)) <= 0, True)
    n = np.abs(signed).astype(float)
    _, p, q = scales(options, lr)
    for i in range(2):
        for j in range(3):
            hit, sample = p[j] * q[i], n[:, i, j]
            if hit < 1:
                judge.mean(sample, length * hit, what=f"mean {i} {j}")
                assert sample.var() == pytest.approx(length * hit * (1 - hit), rel=0.06 if length * hit >= 1 else 0.12)
    if q[0] < 1:
        judge.covariance(n[:, 0, 0], n[:, 0, 1], length * q[0] * (1 - q[0]) * p[0] * p[1], what="same row")
    if p[1] < 1:
        judge.covariance(n[:, 0, 1], n[:, 1, 1], length * p[1] * (1 - p[1]) * q[0] * q[1], what="same column")
    if q[1] < 1:
        judge.covariance(n[:, 0, 1], n[:, 1, 2], 0.0, what="across")


def test_counts_of_successive_samples_are_independent():
    n = np.abs(counts({}, 0.01, seed=4)).reshape(-1, COPIES, 2, 3)
    judge.correlation(n[1:, :, 0, 1], n[:-1, :, 0, 1], 0.0, within=judge.Z / np.sqrt(20_000))


@pytest.mark.conformance("T25")
def test_cycle_noise_adds_to_the_variance_of_the_update():
    """N pi (1 - pi) + N pi sigma^2 at sigma 0.3: 0.855, 1.38, 1.314 steps squared; peer 0.8559, 1.3821, 1.3180."""
    n = counts({}, 0.01, seed=5, dw_min_std=0.3)
    for (i, j), variance in (((0, 0), 0.855), ((0, 1), 1.38), ((1, 0), 1.314)):
        assert n[:, i, j].var() == pytest.approx(variance, rel=0.06)


def test_cycle_noise_is_fresh_in_every_sample_and_at_every_crosspoint():
    """One certain pulse in each of two samples, 40 000 devices: standard error of a correlation 0.005."""
    device = ConstantStep(dw_min=0.01, w_max=9.0, w_min=-9.0, **PLAIN | {"dw_min_std": 1.0})
    tile, moves = Tile(200, 200, device, update=ONE_PULSE, seed=1), []
    for _ in range(2):
        before = tile.weights.numpy().copy()
        tile.update(torch.ones(1, 200), torch.ones(1, 200), 1.0)
        moves.append(tile.weights.numpy() - before)
        judge.mean(moves[-1], -0.01)
        judge.std(moves[-1], 0.01, within=0.02)
    judge.correlation(*moves, 0.0, within=0.0225)
    judge.correlation(moves[0][:, 1:], moves[0][:, :-1], 0.0, within=0.0225)
    judge.correlation(moves[0][1:], moves[0][:-1], 0.0, within=0.0225)


@pytest.mark.conformance("T25")
def test_expected_update_is_minus_lr_d_x():
    """Mean over 20 000 repeats where nothing is clipped, in units of the step."""
    n = counts({}, 0.01, seed=6)
    for i in range(2):
        for j in range(3):
            judge.mean(n[:, i, j], 0.01 * D[i] * X[j] / STEP)


@pytest.mark.conformance("T32")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_soft_bounds_expected_update(seed):
    """Step 0.01, w 0.5, lr 0.1 (5 slots); peer means 0.43372, 0.50991, 0.50894, stds 0.00972, 0.00536, 0.00528."""
    device = SoftBounds(dw_min=0.01, w_max=1.0, w_min=-1.0, **PLAIN)
    tile = Tile(2 * COPIES, 3 * COPIES, device, seed=seed)
    x = torch.tensor(np.tile(X, COPIES), dtype=torch.float32)[None]
    d = torch.tensor(np.tile(D, COPIES), dtype=torch.float32)[None]
    start, found = torch.full(tile.weights.shape, 0.5), []
    for _ in range(20_000 // COPIES):
        tile.set_weights(start)
        tile.update(x, d, 0.1)
        blocks = tile.weights.numpy().reshape(COPIES, 2, COPIES, 3)
        found.append(blocks[np.arange(COPIES), :, np.arange(COPIES), :].astype(float))
    w = np.concatenate(found)
    length, p, q = scales({}, 0.1, step=0.01)
    table = {(0, 0): (0.43370, 0.00971), (0, 1): (0.50992, 0.00539), (1, 0): (0.50894, 0.00529)}
    for (i, j), rounded in table.items():
        way = -1 if D[i] * X[j] > 0 else 1
        hit, room, a = p[j] * q[i], 1 - way * 0.5, 0.01
        mean = way * (1 - room * (1 - a * hit) ** length)
        spread = room * np.sqrt((1 - hit + hit * (1 - a) ** 2) ** length - (1 - a * hit) ** (2 * length))
        assert (mean, spread) == (pytest.approx(rounded[0], abs=1e-5), pytest.approx(rounded[1], abs=1e-5))
        judge.mean(w[:, i, j], mean)
        judge.std(w[:, i, j], spread, within=0.03)


def single(x: float, d: float) -> float:
    tile = Tile(1, 1, ConstantStep(dw_min=0.01, **PLAIN), update=ONE_PULSE)
    tile.update(torch.tensor([[x]]), torch.tensor([[d]]), 1.0)
    return tile.weights.item()


@pytest.mark.conformance("T01")
@pytest.mark.parametrize(
    ("x", "d", "change"),
    [(1, 1, -0.01), (-1, 1, 0.01), (1, -1, 0.01), (-1, -1, -0.01), (0, 1, 0), (1, 0, 0), (0, 0, 0)],
)
def test_update_goes_against_the_sign_of_x_times_d(x, d, change):
    assert single(float(x), float(d)) == np.float32(change)


@pytest.mark.conformance("T01")
def test_three_single_pulses_add_up():
    tile = Tile(1, 1, ConstantStep(dw_min=0.01, **PLAIN), update=ONE_PULSE)
    tile.update(torch.full((3, 1), -1.0), torch.ones(3, 1), 1.0)
    assert tile.weights.item() == pytest.approx(0.03, abs=1e-8)


@pytest.mark.conformance("T28")
@pytest.mark.parametrize(("order", "expected"), [((-1.0, 1.0), 0.1), ((1.0, -1.0), 0.15)])
def test_samples_of_a_batch_act_in_order(order, expected):
    """Bounds 0.2, step 0.1, from 0.15: up then down gives 0.1, down then up 0.15."""
    tile = Tile(1, 1, ConstantStep(dw_min=0.1, w_max=0.2, w_min=-0.2, **PLAIN), update=ONE_PULSE)
    tile.set_weights(torch.tensor([[0.15]]))
    tile.update(torch.tensor([[v] for v in order]), torch.ones(2, 1), 1.0)
    assert tile.weights.item() == pytest.approx(expected, abs=1e-7)


def batch(rows: int, columns: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(samples)
    x = torch.randn(samples, columns, generator=generator)
    d = torch.randn(samples, rows, generator=generator) * 0.1
    x[x.abs() < 0.2] = 0.0  # zeros and a silent sample must not shift the streams
    x[1] = 0.0
    return x, d


@pytest.mark.conformance("T28")
@pytest.mark.parametrize("preset", ["reram_exp_hfo2_2018", "capacitor_14nm_2018", "reram_array_optimized_2022"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (65, 130), (2, 2100)])
def test_update_of_a_batch_equals_single_updates_bit_for_bit(preset, shape):
    x, d = batch(*shape, 9)
    whole, parts = (Tile(*shape, device=preset, seed=3) for _ in range(2))
    whole.update(x, d, 0.05)
    parts.update(x[:4], d[:4], 0.05)
    for k in range(4, 9):
        parts.update(x[k : k + 1], d[k : k + 1], 0.05)
    torch.testing.assert_close(whole.hidden, parts.hidden, rtol=0, atol=0)
    torch.testing.assert_close(whole.weights, parts.weights, rtol=0, atol=0)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 127, 1000])
def test_trains_of_any_length_count_every_slot(length):
    """All probabilities 1: every slot of the train fires, in words of 32 with a rest."""
    tile = Tile(3, 70, ConstantStep(dw_min=1.0, w_max=1e7, w_min=-1e7, **PLAIN),
                update=UpdateParameters(desired_bl=length))  # fmt: skip
    tile.update(torch.ones(1, 70), torch.ones(1, 3), 1e6)
    assert (tile.weights == -length).all()


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 63), (4, 64), (7, 65), (65, 129), (3, 1025), (2, 2100)])
def test_update_reaches_every_crosspoint_of_any_shape_with_its_own_sign(shape):
    """Probability-1 trains: each crosspoint moves by the full train against the sign of d x."""
    rows, columns = shape
    x = torch.where(torch.arange(columns) % 3 == 0, -1.0, 1.0)[None]
    d = torch.where(torch.arange(rows) % 2 == 0, 1.0, -1.0)[None]
    tile = Tile(rows, columns, ConstantStep(dw_min=1.0, w_max=1e7, w_min=-1e7, **PLAIN))
    tile.update(x, d, 1e6)
    torch.testing.assert_close(tile.weights, -31 * d.T @ x, rtol=0, atol=0)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (64, 64), (33, 130)])
def test_ideal_device_update_is_the_floating_point_update(shape):
    """1e-6 of the summed magnitudes: single precision, samples added one by one."""
    x, d = batch(*shape, 12)
    tile = Tile(*shape, Ideal())
    start = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    tile.set_weights(start)
    tile.update(x, d, 0.03)
    exact = start.double() - 0.03 * d.double().T @ x.double()
    scale = start.abs().double() + 0.03 * d.abs().double().T @ x.abs().double()
    assert ((tile.weights - exact).abs() <= 1e-6 * scale).all()
    torch.testing.assert_close(tile.hidden, tile.weights, rtol=0, atol=0)


def test_update_with_rate_zero_or_no_samples_changes_nothing():
    tile = Tile(4, 3, "reram_exp_hfo2_2018", seed=1)
    before = tile.weights.clone()
    tile.update(torch.ones(2, 3), torch.ones(2, 4), 0.0)
    tile.update(torch.ones(0, 3), torch.ones(0, 4), 0.1)
    torch.testing.assert_close(tile.weights, before, rtol=0, atol=0)


@pytest.mark.parametrize("lr", [-0.1, float("nan"), float("inf"), "0.1", None])
def test_update_with_an_invalid_rate_is_refused(lr):
    tile = Tile(2, 3)
    with pytest.raises(ParameterError, match="lr = "):
        tile.update(torch.ones(1, 3), torch.ones(1, 2), lr)


@pytest.mark.parametrize(
    ("x", "d", "message"),
    [
        (torch.ones(1, 4), torch.ones(1, 2), r"x: got shape \(1, 4\), expected \(batch=any, in=3\)"),
        (torch.ones(1, 3), torch.ones(1, 3), r"d: got shape \(1, 3\), expected \(batch=1, out=2\)"),
        (torch.ones(2, 3), torch.ones(1, 2), r"d: got shape \(1, 2\), expected \(batch=2, out=2\)"),
        (torch.ones(3), torch.ones(2), r"x: got shape \(3,\)"),
        (torch.ones(1, 3).double(), torch.ones(1, 2), r"x: got torch.float64"),
        (torch.ones(1, 3), torch.tensor([[1.0, float("nan")]]), r"d: holds NaN or infinity"),
        (np.ones((1, 3), np.float32), torch.ones(1, 2), r"x: got ndarray, expected a torch.Tensor"),
    ],
)
def test_update_with_bad_input_names_both_sides(x, d, message):
    tile = Tile(2, 3)
    with pytest.raises(ShapeError, match=message):
        tile.update(x, d, 0.1)


def test_update_of_strided_input_uses_its_values():
    x, d = batch(5, 4, 6)
    one, two = (Tile(5, 4, "ecram_li_2018", seed=2) for _ in range(2))
    one.update(x, d, 0.1)
    two.update(x.T.contiguous().T, d.repeat(1, 2)[:, :5], 0.1)
    torch.testing.assert_close(one.weights, two.weights, rtol=0, atol=0)


@pytest.mark.parametrize("pulse_type", ["stochastic_compressed", "deterministic_implicit"])
def test_update_of_very_many_samples_made_in_parts_has_the_bits_of_one(pulse_type, monkeypatch):
    draw = torch.Generator().manual_seed(5)
    x, d = torch.rand(50, 70, generator=draw), torch.randn(50, 6, generator=draw)
    made = []
    for at_most in (1 << 24, 1):
        monkeypatch.setattr("engine.ops.MASK_BYTES", at_most)
        tile = Tile(6, 70, SoftBounds(), seed=3, update=UpdateParameters(pulse_type=pulse_type))
        before = tile.hidden.clone()
        tile.update(x, d, 0.05)
        made.append(tile.hidden)
        assert not torch.equal(tile.hidden, before)
    assert torch.equal(*made)
