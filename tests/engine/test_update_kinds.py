# SPDX-License-Identifier: Apache-2.0
"""The other ways to turn x and d into pulses: two passes, deterministic counts, arithmetic, bins, negative rates.

Numbers marked "peer" were measured on aihwkit 1.2.0 (CPU). Samples as in test_update.py: x = (0.9, -0.4, 0.1),
d = (0.5, -0.2), assumed step 0.001.
"""

import judge
import numpy as np
import pytest
import torch

from engine.devices.constant_step import ConstantStep
from engine.devices.soft_bounds import SoftBounds
from engine.errors import ParameterError
from engine.tiles import Tile, UpdateParameters
from engine.tiles.update import PULSE_TYPES

X, D = torch.tensor([[0.9, -0.4, 0.1]]), torch.tensor([[0.5, -0.2]])
STEP = 0.001
UNMANAGED = {"update_management": False, "update_bl_management": False}
PULSED_KINDS = [k for k in PULSE_TYPES if not k.startswith("none")]


def counts(lr: float, repeats: int = 1, seed: int = 1, **options) -> np.ndarray:
    """Return signed pulse counts ``(repeats, out=2, in=3)``, positive = down, each repeat a sample of one batch."""
    x, d = X.expand(repeats, -1).contiguous(), D.expand(repeats, -1).contiguous()
    return -UpdateParameters(**options).job(x, d, lr, STEP).coincidences(seed, 0).numpy().astype(float)


def assert_binomial(n: np.ndarray, length: int, p, q) -> None:
    """Means within 4.5 standard errors, variances within 6 % (12 % below one expected pulse) at 20 000 repeats."""
    wider = np.sqrt(20_000 / len(n))
    for i in range(2):
        for j in range(3):
            hit, sample = q[i] * p[j], np.abs(n[:, i, j])
            if hit in (0, 1):
                assert (sample == length * hit).all()
                continue
            judge.mean(sample, length * hit, what=f"mean {i} {j}")
            assert sample.var() == pytest.approx(
                length * hit * (1 - hit), rel=wider * (0.06 if length * hit >= 1 else 0.12)
            )


# -- positive and negative inputs in two passes ----------------------------------------------------------------


@pytest.mark.conformance("T29")
def test_stochastic_in_two_passes_has_the_statistics_of_one_pass():
    """Peer, first row: 4.494, 1.992, 1.799 with variances 0.458, 1.193, 1.157; covariances along rows and columns."""
    n = counts(0.01, 20_000, pulse_type="stochastic")
    p, q = np.sqrt(0.9) * np.array([1, 4 / 9, 1 / 9]), np.sqrt(0.9) * np.array([1, 0.4])
    assert_binomial(n, 5, p, q)
    size = np.abs(n)
    judge.covariance(size[:, 0, 0], size[:, 0, 1], 5 * q[0] * (1 - q[0]) * p[0] * p[1], what="same row")
    judge.covariance(size[:, 0, 0], size[:, 1, 0], 5 * p[0] * (1 - p[0]) * q[0] * q[1], what="same column")
    judge.covariance(size[:, 0, 0], size[:, 1, 1], 0.0, what="diagonal")


@pytest.mark.conformance("T29")
@pytest.mark.parametrize("lr", [0.001, 0.01, 0.1, 1.0])
def test_stochastic_in_two_passes_sends_the_same_pulses(lr):
    """A train is drawn per line, whatever its sign, so the two kinds agree pulse by pulse."""
    np.testing.assert_array_equal(
        counts(lr, 50, pulse_type="stochastic"), counts(lr, 50, pulse_type="stochastic_compressed")
    )


# -- deterministic counts --------------------------------------------------------------------------------------

IMPLICIT = {"pulse_type": "deterministic_implicit", "x_res_implicit": 0.1, "d_res_implicit": 0.1}
COARSE = IMPLICIT | {"x_res_implicit": 0.25, "d_res_implicit": 0.05}
TABLES = [
    (IMPLICIT, 0.01, [[4, -2, 0], [-2, 1, 0]]),
    (IMPLICIT | {"desired_bl": 10}, 0.1, [[10, -4, 1], [-10, 4, -1]]),
    (IMPLICIT, 0.0005, [[0, 0, 0], [0, 0, 0]]),
    (COARSE, 0.1, [[31, -16, 0], [-19, 9, 0]]),  # 15.5 rounds to the even number
    ({"pulse_type": "mean_count"}, 0.01, [[5, -2, 1], [-2, 1, 0]]),
    ({"pulse_type": "mean_count"}, 0.1, [[31, -14, 3], [-18, 8, -2]]),
]


@pytest.mark.conformance("T30")
@pytest.mark.parametrize(("options", "lr", "table"), TABLES)
def test_deterministic_counts_equal_the_peer_s(options, lr, table):
    """Every repeat, every seed: nothing is drawn."""
    for seed in (1, 2):
        for n in counts(lr, 3, seed, **options):
            np.testing.assert_array_equal(n, table)


@pytest.mark.conformance("T30")
@pytest.mark.parametrize(("options", "lr", "table"), TABLES)
def test_deterministic_update_moves_the_tile_by_its_counts(options, lr, table):
    """Steps of one with bounds far away; noise off."""
    device = ConstantStep(dw_min=1.0, w_max=1e7, w_min=-1e7, dw_min_std=0.0, dw_min_dtod=0.0, up_down_dtod=0.0)
    tile = Tile(2, 3, device, update=UpdateParameters(**options))
    for k in (1, 2):
        tile.update(X, D, lr / STEP)
        np.testing.assert_array_equal(tile.weights, -k * np.array(table))


@pytest.mark.conformance("T30")
@pytest.mark.parametrize(
    ("number", "width"),
    [
        (IMPLICIT | {"x_res_implicit": 10, "d_res_implicit": 20}, IMPLICIT | {"d_res_implicit": 0.05}),
        ({"pulse_type": "mean_count", "res": 8}, {"pulse_type": "mean_count", "res": 0.125}),
        ({"res": 4}, {"res": 0.25}),
    ],
)
def test_resolution_above_one_is_a_number_of_bins(number, width):
    """aihwkit takes it as a width, and then no pulse is ever sent."""
    got = counts(0.1, 20, **number)
    np.testing.assert_array_equal(got, counts(0.1, 20, **width))
    assert np.abs(got).max() > 5


@pytest.mark.conformance("T30")
@pytest.mark.parametrize("lr", [0.001, 0.02, 0.3])
def test_mean_count_is_the_rounded_expectation(lr):
    """n = rint(c e / BL) with c = rint(BL p), e = rint(BL q); random x and d, 20 samples."""
    generator = torch.Generator().manual_seed(3)
    x, d = torch.randn(20, 9, generator=generator), torch.randn(20, 7, generator=generator)
    update = UpdateParameters(pulse_type="mean_count")
    length, b, a = update.scales(x.abs().amax(1).numpy(), d.abs().amax(1).numpy(), lr, STEP)
    got = np.abs(update.job(x, d, lr, STEP).coincidences(1, 0).numpy())
    for t in range(20):
        c, e = (np.clip(np.rint(length[t] * np.abs(v[t].numpy()) * s[t]), 0, length[t]) for v, s in ((x, b), (d, a)))
        expected = np.outer(e, c) / length[t]
        tie = np.abs(expected % 1 - 0.5) < 1e-5  # a tie may fall either way in single precision
        assert (np.abs(got[t] - np.rint(expected)) <= tie).all()


# -- arithmetic ------------------------------------------------------------------------------------------------


def small(pulse_type: str, **values) -> Tile:
    device = SoftBounds(w_max=0.03, w_min=-0.03, w_max_dtod=0.0, w_min_dtod=0.0, **values)
    return Tile(2, 3, device, update=UpdateParameters(pulse_type=pulse_type), seed=1)


@pytest.mark.conformance("T31")
def test_arithmetic_update_ignores_the_device():
    """Peer: -0.045 at the first crosspoint although its bound is -0.03."""
    tile = small("none")
    tile.update(X, D, 0.1)
    torch.testing.assert_close(tile.weights, -0.1 * D.T @ X, rtol=1e-6, atol=0)
    assert tile.weights[0, 0].item() == pytest.approx(-0.045, abs=1e-8)
    torch.testing.assert_close(tile.hidden, tile.weights, rtol=0, atol=0)


@pytest.mark.conformance("T31")
def test_arithmetic_update_with_the_device_stops_at_its_bounds():
    tile = small("none_with_device")
    tile.update(X, D, 0.1)
    expected = (-0.1 * D.T @ X).clamp(-0.03, 0.03)
    torch.testing.assert_close(tile.weights, expected, rtol=1e-6, atol=0)
    assert tile.weights[0, 0].item() == np.float32(-0.03)


@pytest.mark.conformance("T31")
def test_arithmetic_update_with_the_device_keeps_write_noise_apart():
    """The hidden weight moves, the apparent one is written anew; aihwkit loses the update."""
    tile = small("none_with_device", write_noise_std=5.0)
    before = tile.weights.clone()
    tile.update(X, D, 0.1)
    torch.testing.assert_close(tile.hidden, (-0.1 * D.T @ X).clamp(-0.03, 0.03), rtol=1e-6, atol=0)
    assert (tile.weights != before).all()
    assert (tile.weights != tile.hidden).all()


@pytest.mark.conformance("T31")
@pytest.mark.parametrize("pulse_type", ["none", "none_with_device"])
def test_arithmetic_update_sends_no_pulses(pulse_type):
    tile = Tile(2, 3, SoftBounds(), update=UpdateParameters(pulse_type=pulse_type), count_pulses=True)
    tile.update(X, D, 0.1)
    assert all((n == 0).all() for n in tile.pulse_counts)


# -- bins of the probabilities ---------------------------------------------------------------------------------


def test_coarse_probabilities_round_to_their_bins():
    """Peer: mean counts 31, 15.5, 0 and 15.6, 7.8, 0 at width 0.5 (theory 15.5 and 7.75 in the second row)."""
    n = counts(0.1, 20_000, res=0.5)
    assert_binomial(n, 31, np.array([1.0, 0.5, 0.0]), np.array([1.0, 0.5]))


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("res", [0.5, 0.25, 0.01])
def test_stochastic_rounding_is_unbiased(res, seed):
    """Trains of 31 without management: the mean count stays N p q, 20 000 repeats; a fixed rounding fails for wide
    bins."""
    options = {**UNMANAGED, "res": res}
    n = np.abs(counts(0.01, 20_000, seed, **options, sto_round=True))
    for i in range(2):
        for j in range(3):
            judge.mean(n[:, i, j], 0.01 * abs(float(X[0, j] * D[0, i])) / STEP)
    if res == 0.5:
        fixed = np.abs(counts(0.01, 100, seed, **options))
        assert (fixed[:, :, 2] == 0).all()  # p = 0.0568 rounds to nothing


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_stochastic_rounding_of_implicit_values_is_unbiased(seed):
    """Bins of a half and trains of four: every product is a whole count. 20 000 repeats."""
    options = {"x_res_implicit": 0.5, "d_res_implicit": 0.5, "desired_bl": 4, "sto_round": True}
    n = np.abs(counts(0.002, 20_000, seed, pulse_type="deterministic_implicit", **UNMANAGED, **options))
    assert {0, 1, 2} <= set(np.unique(n)) <= {0, 1, 2, 4}
    for i in range(2):
        for j in range(3):
            judge.mean(n[:, i, j], 0.002 * abs(float(X[0, j] * D[0, i])) / STEP)


def test_stochastic_rounding_is_independent_between_lines_and_samples():
    """Copies of one value in four columns: their rounded levels are uncorrelated. 20 000 samples."""
    x, d = torch.full((20_000, 4), 0.25), torch.ones(20_000, 1)
    update = UpdateParameters(pulse_type="deterministic_implicit", x_res_implicit=0.5, sto_round=True, desired_bl=2,
                              **UNMANAGED)  # fmt: skip
    n = -update.job(x, d, 2 * STEP, STEP).coincidences(1, 0).numpy()[:, 0].astype(float)
    judge.fraction(n > 0, 0.5, within=judge.Z * 0.5 / np.sqrt(80_000))
    limit = judge.Z / np.sqrt(20_000)
    for k in range(1, 4):
        judge.correlation(n[:, 0], n[:, k], 0.0, within=limit)
    judge.correlation(n[1:, 0], n[:-1, 0], 0.0, within=limit)


# -- long trains -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [100, 1000])
def test_long_trains_are_binomial(length):
    """Without train management every train has the full length; the largest pair fires in a third of its slots."""
    n = counts(0.3 * length * STEP / 0.45, 4_000, desired_bl=length, update_bl_management=False)
    p, q = (np.sqrt(0.3) * np.array(v) for v in ((1, 4 / 9, 1 / 9), (1, 0.4)))
    assert_binomial(n, length, p, q)


@pytest.mark.parametrize(("lr", "length"), [(0.5, 500), (5.0, 5000), (32.0, 32000)])
def test_trains_grow_beyond_the_desired_length(lr, length):
    """Slots grow with the rate; a pair of ones fires in each."""
    update = UpdateParameters(fixed_bl=False, **UNMANAGED)
    n = update.job(torch.ones(1, 2), torch.tensor([[1.0, 0.5]]), lr, STEP).coincidences(1, 0)[0].numpy()
    assert (n[0] == -length).all()
    spread = np.sqrt(length) / 2
    assert (np.abs(n[1] + length / 2) < judge.Z * spread).all()


def test_train_too_long_to_hold_is_refused():
    tile = Tile(2, 3, update=UpdateParameters(fixed_bl=False, **UNMANAGED))
    with pytest.raises(
        ParameterError, match=r"UpdateParameters.fixed_bl = False: a train of 5000000 slots is too long"
    ):
        tile.update(X, D, 1000.0)


# -- negative rates, which algorithms use within ----------------------------------------------------------------


@pytest.mark.conformance("T01")
@pytest.mark.parametrize("pulse_type", PULSED_KINDS)
def test_negative_rate_reverses_every_pulse(pulse_type):
    generator = torch.Generator().manual_seed(5)
    x, d = torch.randn(6, 70, generator=generator), torch.randn(6, 5, generator=generator)
    x[:, ::7] = 0.0
    update = UpdateParameters(pulse_type=pulse_type)
    plus, minus = (update.job(x, d, lr, STEP).coincidences(3, 0) for lr in (0.01, -0.01))
    assert plus.abs().sum() > 0
    assert torch.equal(plus, -minus)
    assert (plus.float().sign() * (d[:, :, None] * x[:, None, :]).sign() <= 0).all()


@pytest.mark.conformance("T01")
def test_negative_rate_moves_the_devices_the_other_way():
    """Noise-free constant steps with even bounds: mirrored bit by bit."""
    device = ConstantStep(dw_min_std=0.0, up_down_dtod=0.0)
    one, two = (Tile(2, 3, device, seed=4) for _ in range(2))
    update = UpdateParameters()
    for tile, lr in ((one, 0.01), (two, -0.01)):
        tile._arrays.update(update.job(X, D, lr, STEP), 0)
    assert (one.hidden[0, 0] < 0).all()
    assert torch.equal(one.hidden, -two.hidden)


# -- order -----------------------------------------------------------------------------------------------------


def patches(samples: int, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Many vectors of one layer, as the positions of a convolution give them."""
    generator = torch.Generator().manual_seed(samples)
    x = torch.randn(samples, columns, generator=generator).clamp(min=0)  # half of them zero
    return x, 0.1 * torch.randn(samples, rows, generator=generator)


@pytest.mark.conformance("T28")
@pytest.mark.parametrize("pulse_type", PULSE_TYPES)
def test_many_vectors_at_once_equal_the_same_one_by_one(pulse_type):
    """64 positions of 16 x 75 weights; with counters, write noise and stochastic rounding."""
    device = SoftBounds(dw_min=0.01, write_noise_std=2.0)
    update = UpdateParameters(pulse_type=pulse_type, res=0.1, sto_round=True)
    whole, single = (Tile(16, 75, device, update=update, seed=2, count_pulses=True) for _ in range(2))
    x, d = patches(64, 16, 75)
    whole.update(x, d, 0.05)
    for k in range(64):
        single.update(x[k : k + 1], d[k : k + 1], 0.05)
    assert torch.equal(whole.hidden, single.hidden)
    for a, b in zip(whole.pulse_counts, single.pulse_counts, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(whole.weights, single.weights)
