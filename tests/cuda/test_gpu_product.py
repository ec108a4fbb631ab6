# SPDX-License-Identifier: Apache-2.0
"""The analog product by the GPU's kernels: on a GPU, and everywhere through the emulator.

With the same sums every code has to be the CPU's, so most tests put the CPU's sums in the place of torch's product.
What torch's own sums change is bounded in tests of their own.
"""

import contextlib

import lives
import pytest
import torch

from engine.cuda import product
from engine.cuda.arrays import GpuArrays
from engine.devices.ideal import Ideal
from engine.nn import AnalogLinear
from engine.optim import AnalogSGD
from engine.product_call import Product
from engine.tiles import IOParameters, Tile, TileConfig

SHAPE = (37, 50)  # neither a multiple of four nor of sixteen
PERFECT = IOParameters(is_perfect=True).pack()


def cpu_sums(weights: torch.Tensor, z: torch.Tensor, *, transposed: bool) -> torch.Tensor:
    """Return the product in the CPU's order of summation, wherever the arrays lie."""
    call = Product(PERFECT, transposed, 0, 0, 0)
    return call.on_cpu(weights.cpu().contiguous(), z.cpu())[0].to(z.device)


@pytest.fixture
def same_sums(monkeypatch) -> None:
    monkeypatch.setattr(product, "multiply", cpu_sums)


def vectors(shape: tuple[int, int], way: str, count: int = 20) -> torch.Tensor:
    """Return inputs of many sizes, one vector of zeros and one without a positive entry among them."""
    x = torch.randn(count, shape[way == "forward"], generator=torch.Generator().manual_seed(4))
    x[1::3] *= 0.05
    x[min(3, count - 1)] = 0.0
    x[min(5, count - 1)] = -x[min(5, count - 1)].abs()
    return x


def tile_with(io: IOParameters, where: str, shape: tuple[int, int] = SHAPE) -> Tile:
    tile = Tile(*shape, Ideal(), io, io, seed=5, construction_seed=9, torch_device=where)
    weights = 1.2 * torch.rand(shape, generator=torch.Generator().manual_seed(6)) - 0.6
    tile.set_weights(weights.to(tile.torch_device))
    return tile


def outputs(io: IOParameters, where: str, way: str = "forward", shape=SHAPE, count: int = 20) -> lives.Found:
    """Two calls, so that the second goes on with other draws."""
    tile, x = tile_with(io, where, shape), vectors(shape, way, count).to(where)
    found = {}
    for name in ("first", "second"):
        clipped = torch.full((count, shape[0]), 7, dtype=torch.uint8, device=x.device)
        found[f"y {name}"] = tile.forward(x, clipped=clipped) if way == "forward" else tile.backward(x)
        found[f"rounds {name}"] = tile.rounds
        found[f"clipped {name}"] = clipped
    return found | {"average": torch.tensor(tile._averages[way], dtype=torch.float64)}


# Every effect, alone and with others.
EFFECTS = {
    "default": {},
    "perfect": {"is_perfect": True, "out_scale": 0.7},
    "phases": {"mv_type": "pos_neg_separate", "w_read_asymmetry_dtod": 0.1, "w_noise": 0.05, "out_bound": 2.0},
    "digital phases": {"mv_type": "pos_neg_separate_digital_sum", "out_bound": 1.0, "inp_noise": 0.1,
                       "v_offset_std": 0.1, "out_sto_round": True},
    "phases, wires": {"mv_type": "pos_neg_separate", "w_read_asymmetry_dtod": 0.1, "ir_drop": 1.0,
                      "ir_drop_g_ratio": 200.0, "w_noise": 0.1, "w_noise_type": "pcm_read"},
    "unscaled": {"noise_management": "none", "inp_bound": 0.7},
    "largest value": {"noise_management": "max", "nm_thres": 1.0},
    "constant": {"noise_management": "constant", "nm_thres": 2.0},
    "running mean": {"noise_management": "average_abs_max", "nm_decay": 0.3},
    "sum of the inputs": {"noise_management": "abs_max_np_sum", "out_bound": 1.0},
    "narrow": {"out_bound": 1.0, "out_scale": 1.3},
    "very narrow": {"out_bound": 0.05, "inp_res": 0.0},
    "worst case": {"out_bound": 1.0, "bound_management": "iterative_worst_case"},
    "one side": {"out_bound": 1.0, "bm_test_negative_bound": False, "inp_res": 0.0},
    "one round": {"out_bound": 1.0, "bound_management": "none"},
    "by chance": {"inp_sto_round": True, "out_sto_round": True, "out_bound": 2.0, "inp_res": 1 / 14},
    "asymmetries": {"inp_asymmetry": 0.1, "out_asymmetry": 0.2, "inp_noise": 0.2, "inp_noise_before_clip": True},
    "smooth": {"inp_res": 0.0, "out_res": 0.0, "out_bound": 0.0, "out_noise": 0.0, "w_noise": 0.02},
    "power of the weight": {"w_noise": 0.05, "w_noise_type": "power", "w_noise_power": 0.7, "out_bound": 2.0},
    "columns": {"v_offset_std": 0.05, "v_offset_w_min": 0.0},
    "columns with a reference": {"v_offset_std": 0.05, "r_series": 0.01, "r_series_max_total": 0.1},
    "series resistance": {"r_series": 0.02, "slope_calibration": 0.3},
    "nonlinear": {"out_nonlinearity": 1.0, "out_nonlinearity_std": 0.3, "slope_calibration": 0.5,
                  "out_noise_std": 0.4, "out_bound": 2.0},
}  # fmt: skip
ROUNDS = {"narrow": 3, "very narrow": 5, "worst case": 2, "one side": 3, "digital phases": 2, "one round": 1}


@pytest.mark.usefixtures("same_sums")
@pytest.mark.parametrize("way", ["forward", "backward"])
@pytest.mark.parametrize("effect", EFFECTS)
def test_product_of_the_same_sums_has_the_codes_of_the_cpu(effect, way, place):
    """1480 or 2000 outputs each: equal, not close."""
    io = IOParameters(**EFFECTS[effect])
    ours = outputs(io, "cpu", way)
    with place() as where:
        theirs = outputs(io, where, way)
    lives.assert_same_bits(ours, theirs)
    assert ours["y first"].unique().numel() > 50
    assert way == "backward" or ours["rounds first"].max() >= ROUNDS.get(effect, 1)
    assert way == "forward" or ours["rounds first"].max() == 1


@pytest.mark.usefixtures("same_sums")
@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (4, 16), (2, 33), (2, 600)], ids=str)
@pytest.mark.parametrize("effect", ["phases", "sum of the inputs", "nonlinear"])
def test_product_of_every_width_has_the_codes_of_the_cpu(shape, effect, place):
    """Half a warp's sums with and without a rest, vectors of more entries than a block has threads."""
    io = IOParameters(**EFFECTS[effect])
    ours = outputs(io, "cpu", shape=shape, count=7)
    with place() as where:
        theirs = outputs(io, where, shape=shape, count=7)
    lives.assert_same_bits(ours, theirs)


@pytest.mark.usefixtures("same_sums")
@pytest.mark.parametrize("effect", ["phases", "sum of the inputs", "worst case"])
def test_product_does_not_depend_on_which_thread_goes_first(effect, emulator):
    io = IOParameters(**EFFECTS[effect])
    ours = outputs(io, "cpu", shape=(3, 600))
    emulator.backwards = True
    with emulator.instead_of_a_gpu() as where:
        theirs = outputs(io, where, shape=(3, 600))
    emulator.backwards = False
    lives.assert_same_bits(ours, theirs)


@pytest.mark.usefixtures("same_sums")
def test_blocks_that_take_several_vectors_have_the_codes_of_the_cpu(place, monkeypatch):
    monkeypatch.setattr(product, "_MOST_BLOCKS", 3)
    monkeypatch.setattr("engine.cuda.arrays._MOST_BLOCKS", 2)
    io = IOParameters(**EFFECTS["worst case"], w_noise=0.1)
    ours = outputs(io, "cpu")
    with place() as where:
        theirs = outputs(io, where)
    lives.assert_same_bits(ours, theirs)


@pytest.mark.usefixtures("same_sums")
def test_only_vectors_beyond_the_bound_are_multiplied_again(place, monkeypatch):
    rows = []

    def counted(weights: torch.Tensor, z: torch.Tensor, *, transposed: bool) -> torch.Tensor:
        rows.append(z.shape[0])
        return cpu_sums(weights, z, transposed=transposed)

    monkeypatch.setattr(product, "multiply", counted)
    with place() as where:
        tile = tile_with(IOParameters(out_bound=1.0), where)
        tile.forward(vectors(SHAPE, "forward").to(where))
    made = tile.rounds.tolist()
    assert made[3] == 0  # zeros go along in the first round, without a draw
    assert rows == [20, *(sum(r >= k for r in made) for k in range(2, max(made) + 1))]
    assert rows[-1] < rows[1] < 20


def test_empty_batch_and_batch_of_zeros_give_their_outputs(place):
    with place() as where:
        tile = tile_with(IOParameters(out_bound=0.1), where)
        assert tile.forward(torch.zeros(0, SHAPE[1], device=where)).shape == (0, SHAPE[0])
        assert tile.rounds.shape == (0,)
        y = tile.forward(torch.zeros(3, SHAPE[1], device=where))
        assert torch.equal(y.cpu(), torch.zeros(3, SHAPE[0]))
        assert tile.rounds.tolist() == [0, 0, 0]


def sum_error(weights: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """Return how far two orders of one sum may lie apart, ``(samples, out)``.

    n products and as many sums, each rounded once (fused or not): either is within n u / (1 - n u) of the sum of the
    products' sizes, u = 2^-24.
    """
    n = z.shape[1]
    relative = n * 2.0**-24 / (1 - n * 2.0**-24)
    return 2 * relative * (z.double().abs() @ weights.double().abs().T)


def test_product_without_converters_differs_by_the_order_of_summation_at_most(place):
    """Besides the sums' error, dividing by the scale and multiplying with it: three roundings, 4e-7 of the output."""
    io = IOParameters(inp_res=0.0, out_res=0.0, out_noise=0.0, bound_management="none")
    ours = tile_with(io, "cpu")
    x = vectors(SHAPE, "forward")
    expected = ours.forward(x)
    with place() as where:
        found = tile_with(io, where).forward(x.to(where)).cpu()
    allowed = sum_error(ours.weights, x) + 4e-7 * expected.double().abs()
    assert ((found - expected).double().abs() <= allowed).all()


def test_code_flips_only_where_a_sum_lies_within_its_error_of_the_middle_between_two(place, monkeypatch):
    """37 000 outputs without noise, with torch's own sums.

    Either sum lies within half of `sum_error` of the exact one; the converter adds three roundings of the code,
    u = 2^-24 each. A flip is one code. Some twenty outputs lie as near to a middle as that; a wrong draw or formula
    flips thousands.
    """
    io, sent = IOParameters(bound_management="none", out_noise=0.0), []
    real = product.multiply
    monkeypatch.setattr(product, "multiply", lambda w, z, **how: sent.append(z.cpu()) or real(w, z, **how))
    x = torch.randn(1000, SHAPE[1], generator=torch.Generator().manual_seed(8))
    ours = tile_with(io, "cpu")
    expected = ours.forward(x).double()
    with place() as where:
        found = tile_with(io, where).forward(x.to(where)).cpu().double()
    step = 2 * io.out_bound * io.out_res
    apart = (found - expected).abs() / (x.abs().amax(1, keepdim=True) * step)
    code = sent[0].double() @ ours.weights.double().T / step
    error = sum_error(ours.weights, sent[0]) / 2 / step + 3 * 2.0**-24 * code.abs()
    near = ((code - code.floor()) - 0.5).abs() <= error
    assert 0 < near.sum() < 100
    assert (apart[near] < 1.001).all()
    assert (apart[~near] < 1e-3).all()


@contextlib.contextmanager
def settings_kept():
    """Torch's settings are the process's: as they were, whatever happens."""
    matmul = torch.backends.cuda.matmul
    torch.set_float32_matmul_precision("highest")
    try:
        yield matmul
    finally:
        matmul.fp32_precision = "ieee"
        torch.set_float32_matmul_precision("highest")


@pytest.mark.parametrize("legacy", ["highest", "high", "medium"])
def test_product_is_single_precision_and_leaves_the_old_setting(legacy, monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "mm", lambda a, b: seen.append(torch.backends.cuda.matmul.allow_tf32) or a @ b)
    with settings_kept() as matmul:
        torch.set_float32_matmul_precision(legacy)
        product.multiply(torch.ones(2, 3), torch.ones(4, 3), transposed=False)
        assert seen == [False]
        assert torch.get_float32_matmul_precision() == legacy
        assert matmul.allow_tf32 == (legacy != "highest")


@pytest.mark.parametrize("kept", ["ieee", "tf32"])
def test_product_is_single_precision_and_leaves_the_new_setting(kept, monkeypatch):
    seen = []
    monkeypatch.setattr(torch, "mm", lambda a, b: seen.append(torch.backends.cuda.matmul.fp32_precision) or a @ b)
    with settings_kept() as matmul:
        matmul.fp32_precision = kept
        product.multiply(torch.ones(2, 3), torch.ones(4, 3), transposed=False)
        assert seen == ["ieee"]
        assert matmul.fp32_precision == kept


def test_setting_of_torch_is_restored_after_an_error(monkeypatch):
    monkeypatch.setattr(torch, "mm", lambda a, b: 1 / 0)
    with settings_kept():
        torch.set_float32_matmul_precision("high")
        with pytest.raises(ZeroDivisionError):
            product.multiply(torch.ones(2, 3), torch.ones(4, 3), transposed=False)
        assert torch.get_float32_matmul_precision() == "high"


def test_product_inside_autocast_is_single_precision(place):
    weights, z = (torch.randn(8, 8, generator=torch.Generator().manual_seed(k)) for k in (1, 2))
    with place() as where:
        expected = product.multiply(weights.to(where), z.to(where), transposed=False)
        with torch.autocast(torch.device(where).type, dtype=torch.bfloat16):
            found = product.multiply(weights.to(where), z.to(where), transposed=False)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.usefixtures("same_sums")
def test_running_mean_moves_in_training_only_and_as_on_the_cpu(place):
    io = IOParameters(noise_management="average_abs_max", nm_decay=0.3)

    def life(where: str) -> list[float]:
        tile, means = tile_with(io, where), []
        for training in (True, False, True):
            tile.training = training
            tile.forward(vectors(SHAPE, "forward").to(where) * (1 + len(means)))
            means.append(tile._averages["forward"])
        return means

    ours = life("cpu")
    with place() as where:
        assert life(where) == ours
    assert ours[0] == ours[1] != ours[2]


@pytest.mark.usefixtures("same_sums")
def test_layer_on_a_gpu_is_trained_as_on_the_cpu(place):
    """Forward, backward and update of a layer between digital ones, five steps."""

    def trained(where: str) -> lives.Found:
        config = TileConfig(lives.device_of("soft_bounds"), IOParameters(out_bound=1.0), IOParameters(w_noise=0.02))
        layer = AnalogLinear(9, 4, config=config, seed=2)
        layer.tile._place(layer.tile.state_dict(), torch.device(where))
        layer.weight.data, layer.bias.data = layer.tile.weights, layer.bias.data.to(where)
        optimizer = AnalogSGD(layer.parameters(), lr=0.1)
        x, d = (v.to(where) for v in lives.samples((4, 9), 5))
        x.requires_grad_()
        for _ in range(5):
            optimizer.zero_grad()
            y = layer(x.tanh())
            y.backward(d)
            optimizer.step()
        return {"y": y.detach(), "x.grad": x.grad, "weight": layer.weight.detach().clone()}

    ours = trained("cpu")
    with place() as where:
        theirs = trained("cuda:0" if where == "cuda" else where)
    lives.assert_same_bits(ours, theirs)


@pytest.mark.usefixtures("same_sums")
def test_product_after_a_move_goes_on_with_the_draws_of_a_tile_that_stays(place):
    stays, moves = (tile_with(IOParameters(), "cpu") for _ in range(2))
    x = vectors(SHAPE, "forward")
    ours = [stays.forward(x) for _ in range(3)]
    theirs = [moves.forward(x)]
    with place() as where:
        there = torch.device(where, 0) if where == "cuda" else torch.device(where)
        moves._place(moves.state_dict(), there)
        assert isinstance(moves._arrays, GpuArrays)
        theirs.append(moves.forward(x.to(there)).cpu())
    moves._place(moves.state_dict(), torch.device("cpu"))
    theirs.append(moves.forward(x))
    assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_outputs_and_rounds_lie_where_the_tile_lives(a_gpu):
    tile = tile_with(IOParameters(), a_gpu)
    assert tile.forward(vectors(SHAPE, "forward").to(a_gpu)).device == tile.torch_device
    assert tile.rounds.device == tile.torch_device
