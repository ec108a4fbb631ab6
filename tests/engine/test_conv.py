# SPDX-License-Identifier: Apache-2.0
"""Convolutions on tiles against torch's own, and grouped ones against a dense matrix with a mask.

1e-5: sums of up to some hundred terms in single precision, taken in another order than torch's.
"""

import copy
import dataclasses

import pytest
import torch
from layer_cases import EXACT, NOISY, configured, layer_state, randn
from torch import nn

from engine.devices.ideal import Ideal
from engine.errors import ParameterError, ShapeError
from engine.nn import AnalogConv1d, AnalogConv2d, AnalogConv3d, conv
from engine.nn.core import AnalogCore
from engine.nn.grid import Shape
from engine.optim import AnalogSGD
from engine.tiles import IOParameters, MappingParameters, Tile, TileConfig, UpdateParameters

ANALOG = {1: AnalogConv1d, 2: AnalogConv2d, 3: AnalogConv3d}
DIGITAL = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
SIZES = {1: (13,), 2: (9, 7), 3: (6, 5, 7)}
GEOMETRIES = {
    "plain": {"kernel_size": 3},
    "stride, padding": {"kernel_size": 3, "stride": 2, "padding": 1},
    "dilation": {"kernel_size": 2, "dilation": 3, "padding": 2},
    "same, even": {"kernel_size": 4, "padding": "same"},
    "valid": {"kernel_size": 3, "padding": "valid", "bias": False},
    "one by one": {"kernel_size": 1},
    "reflect": {"kernel_size": 3, "padding": 2, "padding_mode": "reflect"},
    "replicate": {"kernel_size": 3, "padding": 1, "padding_mode": "replicate"},
    "circular, same": {"kernel_size": 2, "dilation": 2, "padding": "same", "padding_mode": "circular"},
    "grouped": {"kernel_size": 3, "groups": 2, "padding": 1},
    "depthwise": {"kernel_size": 3, "groups": 4, "stride": 2},
}
MAPPINGS = {
    "whole": {},
    "channels": {"max_input_size": 30, "max_output_size": 5},
    "anywhere": {"max_input_size": 7, "digital_bias": False, "weight_scaling_omega": 0.5},
    "packed": {"pack_groups": True, "max_input_size": 40, "digital_bias": False, "weight_scaling_omega": 0.5},
}


def pair(axes: int, config=EXACT, **geometry) -> tuple[nn.Module, nn.Module]:
    """Return an analog layer and torch's with the same weights."""
    ours = ANALOG[axes](4, 8, config=config, seed=3, **geometry)
    theirs = DIGITAL[axes](4, 8, **geometry)
    weight, bias = ours.logical_weights()
    with torch.no_grad():
        theirs.weight.copy_(weight.reshape(theirs.weight.shape))
        if bias is not None:
            theirs.bias.copy_(bias)
    return ours, theirs


def assert_same_step(ours: nn.Module, theirs: nn.Module, x: torch.Tensor) -> None:
    """Output, gradient of the input, and weights after a step of 0.01 agree."""
    way, found = None, []
    for module, rule in ((ours, AnalogSGD), (theirs, torch.optim.SGD)):
        given = x.clone().requires_grad_()
        y = module(given)
        way = randn(*y.shape, seed=1) if way is None else way
        (y * way).sum().backward()
        rule(module.parameters(), lr=0.01).step()
        found.append((y.detach(), given.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    weight, bias = ours.logical_weights()
    torch.testing.assert_close(weight, theirs.weight.detach().flatten(1), rtol=1e-5, atol=1e-5)
    if bias is not None:
        torch.testing.assert_close(bias, theirs.bias.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # torch's own copy
@pytest.mark.tile_conformance("T46")
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_perfect_convolution_equals_torch_in_output_gradient_and_step(axes, geometry):
    ours, theirs = pair(axes, **GEOMETRIES[geometry])
    assert_same_step(ours, theirs, randn(2, 4, *SIZES[axes]))


@pytest.mark.tile_conformance("T46")
@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("groups", [1, 2])
def test_split_convolution_equals_torch(mapping, groups):
    ours, theirs = pair(2, configured(EXACT, **MAPPINGS[mapping]), kernel_size=3, padding=1, groups=groups)
    assert_same_step(ours, theirs, randn(2, 4, 6, 5))


def test_size_for_each_axis_equals_torch():
    geometry = {"kernel_size": (3, 2), "stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)}
    assert_same_step(*pair(2, **geometry), randn(2, 4, 9, 7))


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_input_without_a_batch_gives_an_output_without(axes):
    ours, theirs = pair(axes, kernel_size=2)
    x = randn(4, *SIZES[axes])
    torch.testing.assert_close(ours(x).detach(), theirs(x).detach(), rtol=1e-5, atol=1e-5)


def test_output_is_contiguous_as_torch_s():
    ours, _ = pair(2, kernel_size=3)
    assert ours(randn(2, 4, 5, 5)).is_contiguous()


def test_tiles_keep_whole_kernels_where_one_fits():
    config = configured(EXACT, max_input_size=512, max_output_size=512)
    assert [t.weights.shape for t in AnalogConv2d(64, 8, 3, config=config).tiles] == [(8, 288), (8, 288)]
    small = AnalogConv2d(4, 8, 3, config=configured(EXACT, max_input_size=8))
    assert [t.in_features for t in small.tiles] == [8, 7, 7, 7, 7]


# -- groups ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [2, 4])
def test_groups_equal_a_dense_matrix_with_a_mask_forwards_backwards_and_in_the_update(groups):
    """Ideal devices: one dense tile over all channels, its weights outside the blocks held at zero."""
    layer = AnalogConv2d(4, 8, 3, groups=groups, bias=False, config=EXACT, seed=3)
    weight, _ = layer.logical_weights()
    dense = torch.block_diag(*weight.split(8 // groups))
    mask = torch.block_diag(*[torch.ones(8 // groups, 36 // groups)] * groups)
    tile = Tile.from_config(8, 36, EXACT)
    tile.set_weights(dense)
    x = randn(2, 4, 5, 6).requires_grad_()
    patches = layer.unfolded(x)
    vectors = patches.reshape(-1, 36)
    y = layer(x)
    rows = y.movedim(1, -1).reshape(-1, 8)
    torch.testing.assert_close(rows.detach(), tile.forward(vectors), rtol=1e-5, atol=1e-5)
    d = randn(*rows.shape, seed=1)
    rows.backward(d)
    (expected,) = torch.autograd.grad(patches, x, tile.backward(d).reshape(patches.shape))
    torch.testing.assert_close(x.grad, expected, rtol=1e-5, atol=1e-5)
    AnalogSGD(layer.parameters(), 0.1).step()
    tile.update(vectors.detach(), d, 0.1)
    blocks = torch.block_diag(*layer.logical_weights()[0].split(8 // groups))
    torch.testing.assert_close(blocks, tile.weights * mask, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 4])
def test_pulses_of_each_group_are_those_of_a_tile_with_its_vectors_in_order(groups):
    """Noisy devices and periphery: bit by bit, samples first, positions within."""
    layer = AnalogConv1d(4, 8, 3, groups=groups, bias=False, config=NOISY, seed=3)
    twins = copy.deepcopy(layer.tiles)
    x, d = randn(2, 4, 9), randn(2, 8, 7, seed=1)
    layer(x).backward(d)
    AnalogSGD(layer.parameters(), 0.05).step()
    size = 4 // groups
    for g, (tile, twin) in enumerate(zip(layer.tiles, twins, strict=True)):
        for sample in range(2):
            for place in range(7):
                patch = x[sample, g * size : (g + 1) * size, place : place + 3].reshape(1, -1)
                delta = d[sample, g * 8 // groups : (g + 1) * 8 // groups, place][None]
                twin.update(patch, delta, 0.05)
        assert torch.equal(tile.hidden, twin.hidden)


def test_depthwise_convolution_has_a_tile_with_its_own_devices_for_each_channel():
    layer = AnalogConv2d(5, 5, 3, groups=5, config=NOISY)
    assert [t.weights.shape for t in layer.tiles] == [(1, 9)] * 5
    assert len({t.seed for t in layer.tiles}) == 5
    assert not torch.equal(layer.tiles[0].cells["max_bound"], layer.tiles[1].cells["max_bound"])


def test_packed_groups_fill_the_diagonals_of_as_few_tiles_as_there_have_to_be():
    """64 channels of 3 x 3: 56 would fit on 512 inputs; two equal tiles of 32. A bias line takes one input."""
    tiles = MappingParameters(pack_groups=True, max_input_size=512, max_output_size=512)
    blocks = Shape(64, 576, groups=64, kernel=9).blocks(tiles)
    assert [(b.size, b.packed, b.crosspoints) for b in blocks] == [((32, 288), 32, 288)] * 2
    assert [b.span for b in blocks] == [(0, 288), (288, 576)]
    with_bias = Shape(64, 576, groups=64, kernel=9, analog_bias=True).blocks(tiles)
    assert [b.size for b in with_bias] == [(32, 289)] * 2
    alone = Shape(4, 36, groups=4, kernel=9).blocks(tiles.copy(max_input_size=17))
    assert [(b.size, b.packed) for b in alone] == [((1, 9), 1)] * 4


@pytest.mark.parametrize("follows", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_packed_groups_learn_as_on_tiles_of_their_own_and_the_rest_stays(follows, bias):
    """Ideal devices, by updates or by a gradient: as torch; what is between the blocks stays zero."""
    update = UpdateParameters(pulse_type="none_but_gradient") if follows else UpdateParameters()
    config = dataclasses.replace(configured(EXACT, pack_groups=True, digital_bias=False), update=update)
    ours, theirs = pair(1, config, kernel_size=3, groups=4, bias=bias)
    (tile,) = ours.tiles
    assert tuple(tile.weights.shape) == (8, 12 + bias)
    between = torch.block_diag(*[torch.ones(2, 3)] * 4) == 0
    assert (tile.weights[:, :12][between] == 0).all()
    assert_same_step(ours, theirs, randn(3, 4, 9))
    assert (tile.weights[:, :12][between] == 0).all()


def test_pulses_of_packed_groups_come_one_group_after_the_other():
    """Noisy devices: bit by bit, only the lines of one group driven; crosspoints between the blocks see no pulse."""
    layer = AnalogConv1d(4, 8, 3, groups=4, bias=False, config=configured(NOISY, pack_groups=True), seed=3)
    twin, before = copy.deepcopy(layer.tile), layer.tile.weights.clone()
    x, d = randn(2, 4, 9), randn(2, 8, 7, seed=1)
    layer(x).backward(d)
    AnalogSGD(layer.parameters(), 0.05).step()
    vectors, deltas = layer.unfolded(x).reshape(-1, 12), d.movedim(1, -1).reshape(-1, 8)
    for g in range(4):
        columns, rows = torch.arange(12) // 3 == g, torch.arange(8) // 2 == g
        twin.update(vectors * columns, deltas * rows, 0.05)
    assert torch.equal(layer.tile.hidden, twin.hidden)
    between = torch.block_diag(*[torch.ones(2, 3)] * 4) == 0
    moved = layer.tile.weights != before
    assert not moved[between].any()
    assert moved[~between].all()


def test_positions_have_fresh_noise():
    """A constant image, no converter behind the noise: no two of 49 positions agree."""
    config = dataclasses.replace(EXACT, forward=IOParameters(inp_res=0.0, out_res=0.0))
    assert AnalogConv2d(1, 1, 3, config=config)(torch.ones(1, 1, 9, 9)).unique().numel() == 49


# -- initial weights, refusals ---------------------------------------------------------------------------------


def test_initial_weights_are_uniform_in_torch_s_range_and_follow_the_seed():
    one, two, other = (AnalogConv2d(16, 50, 3, groups=2, config=EXACT, seed=s) for s in (4, 4, 5))
    assert all(torch.equal(a, b) for a, b in zip(layer_state(one), layer_state(two), strict=True))
    assert not torch.equal(one.logical_weights()[0], other.logical_weights()[0])
    limit = 72**-0.5
    weight, bias = one.logical_weights()
    assert 0.99 * limit < weight.abs().max() <= limit
    assert bias.abs().max() <= limit
    assert isinstance(one.tiles[0].device, Ideal)
    assert "groups=2, bias=True, device=ideal, tiles=2" in repr(one)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"groups": 3}, r"AnalogConv2d.in_channels = 4: does not fit its groups \(allowed: a multiple of groups = 3\)"),
        ({"kernel_size": (3, 3, 3)}, r"AnalogConv2d.kernel_size = \(3, 3, 3\): does not fit the axes"),
        ({"stride": 0}, r"AnalogConv2d.stride = 0"),
        ({"padding": -1}, r"AnalogConv2d.padding = -1"),
        ({"padding": "sane"}, r"AnalogConv2d.padding = 'sane': is unknown .*Did you mean 'same'"),
        ({"padding": "same", "stride": 2}, r"AnalogConv2d.padding = 'same': needs a stride of 1"),
        ({"padding_mode": "mirror"}, r"AnalogConv2d.padding_mode = 'mirror': is unknown"),
    ],
)
def test_invalid_argument_is_refused_by_name(wrong, named):
    with pytest.raises(ParameterError, match=named):
        AnalogConv2d(4, 8, **({"kernel_size": 3} | wrong), config=EXACT)


@pytest.mark.parametrize(
    ("shape", "named"),
    [
        ((2, 3, 5, 5), r"expected \(batch=any, channels=4, and 2 more axes\)"),
        ((2, 2, 4, 5, 5), r"expected \(batch=any, channels=4"),
        ((2, 4, 2, 5), r"got \(2, 5\) pixels with padding, the kernel spans \(3, 3\)"),
    ],
)
def test_input_that_does_not_fit_is_refused(shape, named):
    with pytest.raises(ShapeError, match=named):
        AnalogConv2d(4, 8, 3, config=EXACT)(torch.zeros(shape))


@pytest.mark.parametrize("groups", [1, 2])
def test_batch_unfolded_in_parts_gives_the_same_bits(groups, monkeypatch):
    """Parts of two samples, with the noise of the default periphery; training keeps its batches whole."""
    whole, parts = (AnalogConv2d(4, 6, 3, groups=groups, config=TileConfig(Ideal()), seed=1).eval() for _ in range(2))
    x = randn(5, 4, 7, 6)
    with torch.no_grad():
        y = whole(x)
        monkeypatch.setattr(conv, "_UNFOLDED_BYTES", 2 * 20 * 36 * 4)
        calls, product = [], AnalogCore.product
        monkeypatch.setattr(AnalogConv2d, "product", lambda self, v: calls.append(len(v)) or product(self, v))
        assert torch.equal(parts(x), y)
    assert calls == [40, 40, 20]
    parts.train()(x)
    assert calls[3:] == [100]
