# SPDX-License-Identifier: Apache-2.0
"""Transfer reads: lines of a tile, or all of it, through converters of their own."""

import judge
import numpy as np
import pytest
import torch

from engine.devices.ideal import Ideal
from engine.errors import ParameterError, ShapeError
from engine.rng import derive_seed
from engine.tiles import IOParameters, Tile
from engine.tiles.reference import analog_product

PERFECT = IOParameters(is_perfect=True)
IO = {
    "default": IOParameters(),
    "coarse": IOParameters(inp_res=1 / 14, out_res=1 / 30, out_bound=1.0, out_noise=0.01),
    "all noise": IOParameters(
        inp_noise=0.05, w_noise=0.03, w_noise_type="pcm_read", v_offset_std=0.05, out_noise_std=0.3
    ),
    "phases": IOParameters(mv_type="pos_neg_separate", w_read_asymmetry_dtod=0.2, ir_drop=1.0, ir_drop_g_ratio=300.0),
    "unscaled": IOParameters(noise_management="none", bound_management="none"),
}


def tile_with(shape=(9, 13), seed: int = 3, **others) -> Tile:
    tile = Tile(*shape, Ideal(), PERFECT, PERFECT, seed=seed, construction_seed=4, **others)
    tile.set_weights(torch.from_numpy(np.random.default_rng(0).uniform(-0.9, 0.9, shape).astype(np.float32)))
    return tile


@pytest.mark.parametrize("way", ["columns", "rows"])
@pytest.mark.parametrize("io", IO)
def test_read_is_the_reference_code_by_code(io, way):
    """All lines twice; at most one output of 234 may lie on a code's edge in single precision."""
    tile, transposed = tile_with(), way == "rows"
    count = 9 if transposed else 13
    found = getattr(tile, f"read_{way}")([*range(count), *range(count)], IO[io])
    seeds = {"seed": derive_seed(3, "read"), "construction_seed": derive_seed(4, "read")}
    expected, _ = analog_product(tile.weights, torch.eye(count).repeat(2, 1), IO[io], transposed=transposed, **seeds)
    assert ((found - expected).abs() > 1e-5).sum() <= 1


def test_read_by_perfect_converters_gives_the_lines():
    tile = tile_with()
    torch.testing.assert_close(tile.read_columns([4, 0, 4], PERFECT), tile.weights[:, [4, 0, 4]].T, rtol=0, atol=0)
    torch.testing.assert_close(tile.read_rows([8], PERFECT), tile.weights[8:], rtol=0, atol=0)


def test_read_has_the_bits_and_noise_of_its_own_converters():
    """Weights come back in whole codes of the read's ADC, 1/15, although the tile's own products are exact."""
    io = IOParameters(out_noise=0.0, out_bound=1.0, out_res=1 / 30)
    found = tile_with().read_columns(range(13), io).double() * 15
    torch.testing.assert_close(found, found.round(), rtol=0, atol=1e-5)
    assert found.unique().numel() > 10


def test_reads_one_by_one_have_the_bits_of_all_at_once():
    together, apart = tile_with(), tile_with()
    whole = together.read_columns(range(13))
    assert torch.equal(torch.cat([apart.read_columns([j]) for j in range(13)]), whole)


def test_read_draws_nothing_of_the_tile_s_products():
    noisy = IOParameters()
    plain, reading = (Tile(3, 4, Ideal(), noisy, noisy, seed=1) for _ in range(2))
    reading.read_columns([0, 1])
    reading.read_rows([2])
    assert torch.equal(plain.forward(torch.ones(5, 4)), reading.forward(torch.ones(5, 4)))
    assert torch.equal(plain.backward(torch.ones(5, 3)), reading.backward(torch.ones(5, 3)))


def test_noise_of_reads_is_fresh_and_of_its_size():
    """8000 reads of one weight; the deviation has a relative standard error of 1/sqrt(2 N)."""
    tile = Tile(1, 1, Ideal(), seed=2)
    io = IOParameters(out_noise=0.06, out_res=0.0, inp_res=0.0)
    judge.std(tile.read_columns([0] * 8000, io), 0.06, within=judge.Z / np.sqrt(2 * 8000))


def test_read_goes_on_after_a_reload_where_it_stood():
    tile, other = tile_with(), tile_with()
    tile.read_columns([1, 2])
    other.load_state_dict(tile.state_dict())
    assert torch.equal(tile.read_columns([3]), other.read_columns([3]))
    assert torch.equal(tile.read_rows([3]), other.read_rows([3]))


def test_state_without_reads_starts_them_at_the_beginning():
    """States saved before there were reads lack their counters."""
    tile, other = tile_with(), tile_with()
    state = tile.state_dict()
    for name in ("read_columns", "read_rows"):
        del state["steps"][name], state["averages"][name]
    other.load_state_dict(state)
    assert torch.equal(tile.read_columns([3]), other.read_columns([3]))


def test_running_mean_of_reads_is_their_own():
    tile = Tile(2, 2, Ideal(), seed=1)
    tile.read(torch.full((1, 2), 3.0), IOParameters(noise_management="average_abs_max"))
    assert tile._averages == {"forward": 0.0, "backward": 0.0, "read_columns": 3.0, "read_rows": 0.0}


@pytest.mark.parametrize("lines", [[13], [-1], [0.5], [True]])
def test_line_that_does_not_exist_is_refused(lines):
    with pytest.raises(ParameterError, match=r"columns = .*does not exist in this tile \(allowed: .* 0 to 12\)"):
        tile_with().read_columns(lines)


def test_vectors_of_a_wrong_size_are_refused():
    with pytest.raises(ShapeError, match=r"expected \(batch=any, out=9\)"):
        tile_with().read(torch.ones(1, 13), transposed=True)


# -- all weights -----------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T53")
@pytest.mark.parametrize(
    ("shape", "over_sampling", "expected"),
    [((8, 16), 10, 0.0113), ((8, 16), 100, 0.0035), ((16, 32), 10, 0.0088), ((16, 32), 100, 0.0027)],
)
def test_weights_read_by_least_squares_have_the_stated_error(shape, over_sampling, expected):
    """Root mean square error of 128 or 512 weights; the specification's limit of 20 %, seed 3."""
    tile = Tile(*shape, Ideal(), seed=3)
    tile.set_weights(torch.from_numpy(np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(np.float32)))
    error = tile.read_weights(over_sampling=over_sampling) - tile.weights
    assert error.square().mean().sqrt().item() == pytest.approx(expected, rel=0.2)


def test_weights_read_by_perfect_products_are_the_weights():
    tile = tile_with()
    torch.testing.assert_close(tile.read_weights(over_sampling=2), tile.weights, rtol=0, atol=1e-5)


@pytest.mark.parametrize("count", [0, 1.5, True])
def test_over_sampling_that_is_no_count_is_refused(count):
    with pytest.raises(ParameterError, match=r"over_sampling = .*must be a whole number"):
        tile_with().read_weights(over_sampling=count)
