# SPDX-License-Identifier: Apache-2.0
"""The analog product against a plain reference in double precision, then its noise (docs/physics/tile.md).

Numbers marked "table" were computed in double precision and agree with aihwkit 1.2.0 within 7e-7.
"""

import judge
import numpy as np
import pytest
import torch

from engine.devices.ideal import Ideal
from engine.errors import ParameterError
from engine.tiles import IOParameters, Tile

QUIET = {"out_noise": 0.0, "bound_management": "none"}
BARE = {
    "out_noise": 0.0,
    "bound_management": "none",
    "inp_res": 0.0,
    "out_res": 0.0,
    "inp_bound": 0.0,
    "out_bound": 0.0,
}
SHAPES = [(1, 1), (1, 7), (9, 1), (3, 5), (4, 16), (5, 17), (64, 64), (63, 65), (130, 33), (33, 130)]


def tile_with(weights, forward=None, backward=None, seed: int = 1) -> Tile:
    weights = torch.as_tensor(np.asarray(weights), dtype=torch.float32)
    tile = Tile(*weights.shape, Ideal(), forward, backward, seed=seed)
    tile.set_weights(weights)
    return tile


def random_weights(shape, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.6, 0.6, shape).astype(np.float32)


def random_inputs(samples: int, size: int, seed: int = 1) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(samples, size)).astype(np.float32))


def fraction_of(resolution: float) -> float:
    return 1 / resolution if resolution > 1 else resolution


def converted(v: np.ndarray, bound: float, resolution: float) -> np.ndarray:
    step = 2 * bound * fraction_of(resolution)
    v = np.rint(v / step) * step if step > 0 else v
    return np.clip(v, -bound, bound) if bound > 0 else v


def before_adc(w: np.ndarray, x: np.ndarray, io: IOParameters) -> tuple[np.ndarray, np.ndarray]:
    """Return array output ``(samples, out)`` and input scale ``(samples, 1)`` without noise, in double precision."""
    x = x.astype(float)
    alpha = np.abs(x).max(1, keepdims=True) if io.noise_management == "abs_max" else np.ones((len(x), 1))
    z = converted(x / np.where(alpha > 0, alpha, 1), io.inp_bound, io.inp_res)
    return z @ w.astype(float).T, alpha


def off_ties(x: torch.Tensor, io: IOParameters) -> torch.Tensor:
    """Move inputs away from the middle between two DAC codes, where single precision decides."""
    alpha = x.abs().amax(1, keepdim=True).double()
    step = 2 * io.inp_bound * fraction_of(io.inp_res)
    code = x.double() / alpha / step
    close = ((code - code.floor()) - 0.5).abs() < 1e-3
    return torch.where(close, x * 0.99, x)


# -- without noise ---------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T1")
@pytest.mark.parametrize("samples", [1, 3, 4, 9])
@pytest.mark.parametrize("shape", SHAPES)
def test_perfect_product_of_any_shape_is_the_matrix_product(shape, samples):
    """1e-6 of the summed magnitudes: single precision, at most 130 terms in 16 partial sums."""
    w = random_weights(shape)
    perfect = IOParameters(is_perfect=True, out_scale=1.5, out_noise=3.0, w_noise=1.0, inp_noise=1.0)
    tile = tile_with(w, perfect, perfect)
    for call, matrix, size in ((tile.forward, w.T, shape[1]), (tile.backward, w, shape[0])):
        x = random_inputs(samples, size)
        y, exact = call(x).numpy(), 1.5 * x.numpy().astype(float) @ matrix.astype(float)
        scale = 1.5 * np.abs(x.numpy()).astype(float) @ np.abs(matrix).astype(float)
        assert y.shape == exact.shape
        assert (np.abs(y - exact) <= 1e-6 * scale).all()


SETTINGS = [
    IOParameters(**QUIET),
    IOParameters(**QUIET, noise_management="none"),
    IOParameters(**QUIET, noise_management="none", inp_bound=0.7, inp_res=1 / 30, out_bound=2.0, out_res=1 / 62),
    IOParameters(**QUIET, inp_res=254, out_res=254, out_bound=10.0, out_scale=0.25),
    IOParameters(**QUIET, inp_res=1 / 14, out_res=1 / 30, out_bound=1.0),
    IOParameters(**QUIET, out_res=0.9, out_bound=3.0),
]


@pytest.mark.tile_conformance("T2")
@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("io", SETTINGS, ids=lambda io: f"{io.noise_management}-{io.inp_res:.3g}-{io.out_res:.3g}")
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (64, 64), (33, 130)])
def test_product_without_noise_is_the_reference_to_the_code(shape, io, way):
    """Every output is a whole ADC code, and a correct rounding of the exact value to 1e-3 of a code."""
    w = random_weights(shape)
    matrix = w if way == "forward" else w.T
    x = off_ties(random_inputs(50, matrix.shape[1]), io)
    y = getattr(tile_with(w, io, io), way)(x).numpy().astype(float)
    exact, alpha = before_adc(matrix, x.numpy(), io)
    step = 2 * io.out_bound * fraction_of(io.out_res)
    code = y / (io.out_scale * alpha) / step
    top = io.out_bound / step
    whole = np.abs(code - np.rint(code)) < 1e-3
    assert (whole | (np.abs(np.abs(code) - top) < 1e-3)).all()
    assert (np.abs(code - np.clip(exact / step, -top, top)) <= 0.5 + 1e-3).all()


W = [[0.51, -0.26, 0.74, 0.11], [-0.97, 0.33, 0.19, -0.58], [0.07, 0.88, -0.47, 0.93]]
X = [[1.01, -0.53, 0.27, 1.93], [0.13, 0.22, -0.31, 0.41], [-2.9, 1.37, 0.06, -0.71]]
TABLE = {
    "ideal": (
        {"is_perfect": True},
        [[1.065, -2.2227, 1.2723], [-0.1752, -0.3502, 0.7297], [-1.8689, 3.6883, 0.3141]],
    ),
    "scaled": (
        QUIET,
        [[1.0898824, -2.1797647, 1.2715294], [-0.1736471, -0.3472941, 0.7331765], [-1.9105882, 3.6847059, 0.4094118]],
    ),
    "unscaled": (
        QUIET | {"noise_management": "none"},
        [[0.9411765, -1.6941176, 0.4235294], [-0.1882353, -0.3294118, 0.7529412], [-0.8, 1.7411765, 0.0941176]],
    ),
    "coarse": (
        QUIET | {"inp_res": 1 / 14, "out_res": 1 / 30, "out_bound": 1.5},
        [[1.158, -2.316, 1.351], [-0.164, -0.328, 0.615], [-2.03, 3.77, 0]],
    ),
    "digital factor": (
        QUIET | {"inp_res": 0.0, "out_res": 0.0, "out_scale": 2.0},
        [[2.13, -4.4454, 2.5446], [-0.3504, -0.7004, 1.4594], [-3.7378, 7.3766, 0.6282]],
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_product_equals_the_table(row):
    """2e-6 absolute: single precision at outputs of a few units."""
    settings, expected = TABLE[row]
    y = tile_with(W, IOParameters(**settings)).forward(torch.tensor(X))
    np.testing.assert_allclose(y.numpy(), expected, atol=2e-6)


def test_transposed_product_equals_the_table():
    io = IOParameters(**QUIET, inp_res=1 / 14, out_res=1 / 30, out_bound=1.5)
    y = tile_with(W, IOParameters(is_perfect=True), io).backward(
        torch.tensor([[0.52, -1.03, 0.24], [1.9, 0.11, -0.34]])
    )
    np.testing.assert_allclose(y.numpy(), [[1.339, -0.206, 0.103, 0.927], [0.95, -0.76, 1.52, 0]], atol=2e-6)


@pytest.mark.tile_conformance("T5")
@pytest.mark.parametrize("codes", [7, 15, 31, 63, 127])
def test_half_a_code_rounds_to_even_for_every_resolution(codes):
    """Input 0.5 is exactly between two codes when their number is odd; a step in single precision is not."""
    io = IOParameters(**BARE | {"inp_bound": 1.0, "inp_res": 1 / (2 * codes), "noise_management": "none"})
    y = tile_with([[1.0]], io).forward(torch.tensor([[0.5], [-0.5]]))
    np.testing.assert_allclose(y[:, 0] * codes, np.array([1, -1]) * np.rint(codes / 2), rtol=1e-6)


@pytest.mark.tile_conformance("T5")
@pytest.mark.parametrize(("x", "y"), [(0.5, 0), (1.5, 2), (2.5, 2), (-0.5, 0), (-1.5, -2), (0.49, 0), (2.51, 3)])
def test_converter_rounds_half_to_even(x, y):
    io = IOParameters(**BARE | {"out_bound": 8.0, "out_res": 1 / 16, "noise_management": "none"})
    assert tile_with([[1.0]], io).forward(torch.tensor([[x]])).item() == y


@pytest.mark.tile_conformance("T4")
@pytest.mark.parametrize(("bits", "part"), [(7, "inp"), (9, "out")])
def test_default_converters_have_the_stated_number_of_levels(bits, part):
    """2^b - 1 codes, symmetric around an exact zero, the top one on the bound: 7-bit DAC, 9-bit ADC."""
    keep = {f"{part}_{n}": getattr(IOParameters(), f"{part}_{n}") for n in ("bound", "res")}
    bound = keep[f"{part}_bound"]
    io = IOParameters(**BARE | keep | {"noise_management": "none"})
    ramp = torch.linspace(-1.3 * bound, 1.3 * bound, 20_001)[:, None]
    levels = tile_with([[1.0]], io).forward(ramp).unique()
    assert len(levels) == 2**bits - 1
    assert (levels.min(), levels.max()) == (-bound, bound)
    assert 0.0 in levels
    torch.testing.assert_close(levels, -levels.flip(0), rtol=0, atol=0)


@pytest.mark.tile_conformance("T3")
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_quantisation_error_of_a_uniform_signal_is_a_twelfth_of_a_step_squared(bits):
    """2e5 values over the inner range; the mean square has a relative standard error of 0.9/sqrt(N) = 0.2 %."""
    io = IOParameters(**BARE | {"out_bound": 1.0, "out_res": 1 / (2**bits - 2), "noise_management": "none"})
    x = torch.from_numpy(np.random.default_rng(3).uniform(-1, 1, (200_000, 1)).astype(np.float32))
    error = (tile_with([[1.0]], io).forward(x) - x).numpy().astype(float)
    assert (error**2).mean() == pytest.approx((2 / (2**bits - 2)) ** 2 / 12, rel=0.01)


@pytest.mark.tile_conformance("T7")
@pytest.mark.parametrize("part", ["inp", "out"])
@pytest.mark.parametrize("resolution", [0.0, 1 / 126, 64])
def test_bound_of_zero_neither_clips_nor_quantises(part, resolution):
    io = IOParameters(**BARE | {f"{part}_res": resolution, "noise_management": "none"})
    x = torch.tensor([[1e-6], [0.3141], [123456.7], [-1e9]])
    torch.testing.assert_close(tile_with([[1.0]], io).forward(x), x, rtol=0, atol=0)


def test_input_above_the_bound_clips_without_scaling():
    io = IOParameters(**BARE | {"inp_bound": 0.5, "noise_management": "none"})
    y = tile_with([[1.0]], io).forward(torch.tensor([[0.4], [0.6], [-7.0]]))
    torch.testing.assert_close(y[:, 0], torch.tensor([0.4, 0.5, -0.5]), rtol=0, atol=0)


def test_output_above_the_bound_clips_in_scaled_units():
    """With input scaling the bound counts before the rescaling: 2 x alpha = 3 gives 6."""
    io = IOParameters(**BARE | {"out_bound": 2.0})
    y = tile_with([[1.0, 1.0, 1.0]], io).forward(torch.tensor([[3.0, 3.0, 3.0], [3.0, 0.0, -3.0]]))
    torch.testing.assert_close(y[:, 0], torch.tensor([6.0, 0.0]), rtol=0, atol=0)


def test_absolute_maximum_scaling_with_default_converter():
    """Inputs -2, -1, -0.5: codes 63, 32 (31.5 to even), 16 (15.75) of 63, times 2: 3.523810 (table)."""
    io = IOParameters(**QUIET, out_res=0.0)
    y = tile_with([[1.0, 1.0, 1.0]], io).forward(torch.tensor([[-2.0, -1.0, -0.5]]))
    assert y.item() == pytest.approx(-3.523810, abs=2e-6)


@pytest.mark.tile_conformance("T23")
def test_all_zero_input_under_scaling_gives_exact_zeros():
    io = IOParameters(out_noise=1.0, inp_noise=1.0, w_noise=1.0)
    y = tile_with(random_weights((5, 4)), io).forward(torch.tensor([[0.0] * 4, [1.0, 0, 0, 0]]))
    assert (y[0] == 0).all()
    assert (y[1] != 0).all()


def test_empty_batch_gives_an_empty_result():
    tile = tile_with(random_weights((5, 4)))
    assert tile.forward(torch.empty(0, 4)).shape == (0, 5)
    assert tile.backward(torch.empty(0, 5)).shape == (0, 4)


def test_directions_use_their_own_parameters():
    w = random_weights((3, 5))
    double, treble = (IOParameters(is_perfect=True, out_scale=s) for s in (2.0, 3.0))
    tile = tile_with(w, double, treble)
    np.testing.assert_allclose(tile.forward(torch.eye(5)), 2 * w.T, rtol=1e-6)
    np.testing.assert_allclose(tile.backward(torch.eye(3)), 3 * w, rtol=1e-6)


# -- noise -----------------------------------------------------------------------------------------------------

N = 40_000  # repeats; a standard deviation then has a relative standard error of 0.35 %


def repeated(w, x, seed: int = 1, **noise) -> np.ndarray:
    """Return N noisy products of one input, ``(N, out)``."""
    x = torch.as_tensor(x, dtype=torch.float32)
    return tile_with(w, IOParameters(**BARE | noise), seed=seed).forward(x.repeat(N, 1)).numpy().astype(float)


@pytest.mark.tile_conformance("T8")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_output_noise_has_its_size_in_scaled_units(seed):
    """0.06 alpha out_scale; independent between outputs."""
    w, x = random_weights((3, 5)), [3.1, -0.2, 0.7, 1.5, -2.0]
    y = repeated(w, x, seed, out_noise=0.06, out_scale=0.5)
    for i in range(3):
        judge.mean(y[:, i], 0.5 * float(np.dot(w[i].astype(float), x)))
        judge.std(y[:, i], 0.06 * 3.1 * 0.5, within=0.016)
    judge.correlation(y[:, 0], y[:, 1], 0.0, within=judge.Z / np.sqrt(N))


@pytest.mark.tile_conformance("T13")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_weight_noise_is_output_referred(seed):
    """w_noise |z| alpha: what independent noise on each weight would give; independent between outputs."""
    w, x = random_weights((3, 5)), np.array([3.0, -0.2, 0.7, 1.5, -2.0])
    y = repeated(w, x, seed, w_noise=0.0175)
    for i in range(3):
        judge.mean(y[:, i], float(np.dot(w[i].astype(float), x)))
        judge.std(y[:, i], 0.0175 * np.linalg.norm(x), within=0.016)
    judge.correlation(y[:, 0], y[:, 2], 0.0, within=judge.Z / np.sqrt(N))


@pytest.mark.tile_conformance("T10", "T12")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_input_noise_reaches_all_outputs_with_its_covariance(seed):
    """sigma^2 alpha^2 W W^T: the same noisy input is seen by every output."""
    w = random_weights((3, 16))
    x = random_inputs(1, 16).numpy().ravel()
    alpha = np.abs(x).max()
    y = repeated(w, x, seed, inp_noise=0.1)
    expected = (0.1 * alpha) ** 2 * w.astype(float) @ w.astype(float).T
    for i in range(3):
        for k in range(i + 1):
            judge.covariance(y[:, i], y[:, k], expected[i, k])


@pytest.mark.tile_conformance("T11")
def test_input_noise_comes_after_the_clip():
    y = repeated([[1.0]], [1.0], inp_bound=1.0, inp_noise=0.1, noise_management="none")
    assert y.max() > 1.3  # 3 sigma beyond the bound is passed 54 times in 40 000
    judge.std(y, 0.1, within=0.016)


def test_output_noise_comes_before_the_converter():
    io = {"out_bound": 1.0, "out_res": 1 / 4, "noise_management": "none", "out_noise": 0.3}
    y = repeated([[1.0]], [0.9], **io)
    assert {0.0, 0.5, 1.0} <= set(np.unique(y)) <= {-1.0, -0.5, 0.0, 0.5, 1.0}


@pytest.mark.tile_conformance("T9")
@pytest.mark.parametrize("reads", [10, 100, 1000])
def test_average_of_reads_has_the_noise_of_one_over_the_root_of_their_number(reads):
    """Inputs up to 3.1: 0.186 / sqrt(K) over the 40 000 / K averages, their deviation known to 1/sqrt(2 N / K)."""
    y = repeated(random_weights((1, 5)), [3.1, -0.2, 0.7, 1.5, -2.0], out_noise=0.06)
    averages = y.reshape(-1, reads).mean(1)
    judge.std(averages, 0.06 * 3.1 / np.sqrt(reads), within=judge.Z / np.sqrt(2 * len(averages)))


def test_independent_noises_add_their_variances():
    y = repeated([[0.5, 0.5]], [1.0, -1.0], out_noise=0.05, w_noise=0.03, inp_noise=0.04)
    judge.std(y, np.sqrt(0.05**2 + 2 * 0.03**2 + 0.5 * 0.04**2), within=0.016)


def test_forward_and_backward_noises_are_independent():
    io = IOParameters(**BARE | {"out_noise": 0.1})
    tile = tile_with([[0.0]], io, io)
    ones = torch.ones(N, 1)
    judge.correlation(tile.forward(ones), tile.backward(ones), 0.0, within=judge.Z / np.sqrt(N))


NOISY = IOParameters(inp_noise=0.02, w_noise=0.03)


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (70, 65), (33, 257)])
def test_batch_split_anywhere_gives_the_same_bits(shape):
    x, d = random_inputs(11, shape[1]), random_inputs(11, shape[0])
    whole, parts = (tile_with(random_weights(shape), NOISY, NOISY) for _ in range(2))
    y, e = whole.forward(x), whole.backward(d)
    for begin, end in ((0, 4), (4, 5), (5, 11)):
        torch.testing.assert_close(parts.forward(x[begin:end]), y[begin:end], rtol=0, atol=0)
    for begin, end in ((0, 7), (7, 11)):
        torch.testing.assert_close(parts.backward(d[begin:end]), e[begin:end], rtol=0, atol=0)


def test_repeated_product_draws_fresh_noise():
    tile = tile_with(random_weights((6, 6)), NOISY, NOISY)
    x = random_inputs(1, 6)
    assert (tile.forward(x) != tile.forward(x)).any()


# -- parameters ------------------------------------------------------------------------------------------------


def test_scaling_with_another_input_bound_is_refused():
    with pytest.raises(ParameterError, match=r"IOParameters.inp_bound = 2 in: must be 1 .*noise_management to 'none'"):
        IOParameters(inp_bound=2.0)
    IOParameters(inp_bound=2.0, noise_management="none")
    IOParameters(inp_bound=2.0, is_perfect=True)
    IOParameters(inp_bound=0.0)


def test_unknown_noise_management_names_the_options():
    with pytest.raises(ParameterError, match=r"IOParameters.noise_management = 'absmax'.*none, abs_max.*'abs_max'"):
        IOParameters(noise_management="absmax")
