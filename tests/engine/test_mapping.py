# SPDX-License-Identifier: Apache-2.0
"""Layers on several tiles: splitting, mapping scales, learned output scales, analog bias.

Unless said otherwise tolerances are 1e-5: sums of some ten terms in single precision.
"""

import copy

import pytest
import torch
from layer_cases import EXACT, NOISY, PERFECT, configured, layer_state, perceptron, randn, steps, through_a_file
from torch import nn

from engine.devices.ideal import Ideal
from engine.devices.soft_bounds import SoftBounds
from engine.errors import ConfigMismatch, ParameterError, ShapeError, StateError
from engine.nn import AnalogLinear, convert, load_state
from engine.nn.core import AnalogCore
from engine.optim import AnalogSGD
from engine.tiles import IOParameters, MappingParameters, Tile, TileConfig
from engine.tiles.mapping import split

SCALES = {
    "plain": {},
    "omega": {"weight_scaling_omega": 0.6},
    "columnwise": {"weight_scaling_omega": 0.6, "weight_scaling_columnwise": True},
    "rate": {"weight_scaling_omega": 0.6, "weight_scaling_lr_compensation": True},
    "rate columnwise": {
        "weight_scaling_omega": 0.3,
        "weight_scaling_columnwise": True,
        "weight_scaling_lr_compensation": True,
    },
    "learned": {"weight_scaling_omega": 0.6, "learn_out_scaling": True},
    "learned columnwise": {"learn_out_scaling": True, "out_scaling_columnwise": True},
}
SPLITS = {"whole": {}, "split": {"max_input_size": 5, "max_output_size": 4}}
BIASES = {"digital": {}, "analog": {"digital_bias": False}}
cases = pytest.mark.parametrize("scales", SCALES)
splits = pytest.mark.parametrize("parts", SPLITS)
biases = pytest.mark.parametrize("bias", BIASES)


def layer_of(scales="plain", parts="whole", bias="digital", **more) -> AnalogLinear:
    config = configured(EXACT, **SCALES[scales], **SPLITS[parts], **BIASES[bias], **more)
    return AnalogLinear(11, 9, config=config, seed=3)


# -- splitting -------------------------------------------------------------------------------------------------


@pytest.mark.tile_conformance("T45")
@pytest.mark.parametrize(
    ("size", "largest", "expected"),
    [
        (513, 512, [257, 256]),
        (1025, 512, [342, 342, 341]),
        (1000, 300, [250] * 4),
        (1000, 512, [500, 500]),
        (7, 3, [3, 2, 2]),
        (512, 512, [512]),
        (32, 10, [8] * 4),
        (1000, 0, [1000]),
    ],
)
def test_split_gives_fewest_and_most_equal_parts(size, largest, expected):
    parts = split(size, largest)
    assert [p.stop - p.start for p in parts] == expected
    assert [i for p in parts for i in range(p.start, p.stop)] == list(range(size))


@pytest.mark.parametrize(
    ("size", "largest", "expected"), [(1025, 512, [512, 512, 1]), (7, 3, [3, 3, 1]), (512, 512, [512]), (9, 0, [9])]
)
def test_split_that_fills_gives_full_parts_and_a_rest(size, largest, expected):
    assert [p.stop - p.start for p in split(size, largest, "fill")] == expected


@pytest.mark.parametrize(("bias", "columns"), [("digital", [5, 5, 1]), ("analog", [5, 5, 2])])
def test_layer_that_fills_its_tiles_multiplies_as_any_other(bias, columns):
    layer = layer_of(bias=bias, max_input_size=5, max_output_size=4, splitting="fill")
    assert [tuple(t.weights.shape) for t in layer.tiles] == [(r, c) for r in (4, 4, 1) for c in columns]
    x, (weight, offset) = randn(6, 11), layer.logical_weights()
    torch.testing.assert_close(layer(x).detach(), x @ weight.T + offset, rtol=1e-5, atol=1e-5)


def test_bias_line_does_not_stand_alone_on_a_tile():
    """Ten inputs and the bias on tiles of five: 5, 4 and the last input with the bias."""
    layer = AnalogLinear(10, 3, config=configured(EXACT, digital_bias=False, max_input_size=5, splitting="fill"))
    assert [tuple(t.weights.shape) for t in layer.tiles] == [(3, 5), (3, 4), (3, 2)]
    x, (weight, offset) = randn(6, 10), layer.logical_weights()
    torch.testing.assert_close(layer(x).detach(), x @ weight.T + offset, rtol=1e-5, atol=1e-5)


def test_filling_tiles_without_a_largest_size_is_refused():
    text = r"MappingParameters.splitting = 'fill': has no effect without max_input_size .*leave it at 'balanced'"
    with pytest.raises(ParameterError, match=text):
        MappingParameters(splitting="fill")


def test_layer_of_seven_by_thirteen_becomes_a_grid_of_nine_tiles():
    layer = AnalogLinear(13, 7, config=configured(EXACT, max_input_size=5, max_output_size=3), seed=1)
    assert [tuple(t.weights.shape) for t in layer.tiles] == [(r, c) for r in (3, 2, 2) for c in (5, 4, 4)]
    assert list(layer.analog_weights)[:4] == ["weight_0_0", "weight_0_1", "weight_0_2", "weight_1_0"]
    assert len({t.seed for t in layer.tiles}) == 9
    assert repr(layer) == "AnalogLinear(in_features=13, out_features=7, bias=True, device=ideal, tiles=9)"
    with pytest.raises(StateError, match=r"AnalogLinear\.tile: the layer has 9 tiles.*Use \.tiles"):
        _ = layer.tile


def test_split_layer_starts_from_the_weights_of_the_whole_one():
    whole, parts = layer_of(), layer_of(parts="split")
    for one, other in zip(whole.logical_weights(), parts.logical_weights(), strict=True):
        assert torch.equal(one, other)


def test_partial_sums_pass_the_converters_of_their_own_tile():
    """Each input slice is scaled and quantised alone; the digital sum has the bits of the tiles' own products."""
    config = TileConfig("reram_exp_hfo2_2018", mapping=MappingParameters(max_input_size=4, max_output_size=3))
    layer = AnalogLinear(8, 6, bias=False, config=config, seed=2)
    twins = copy.deepcopy(layer.tiles)
    x = randn(5, 8)
    parts = [tile.forward(x[:, 4 * (k % 2) : 4 * (k % 2) + 4]) for k, tile in enumerate(twins)]
    expected = torch.cat([parts[0] + parts[1], parts[2] + parts[3]], 1)
    assert torch.equal(layer(x), expected)


def test_input_of_the_wrong_width_names_the_layer_s():
    with pytest.raises(ShapeError, match=r"x: got shape \(2, 4\), expected \(batch=any, in=11\)"):
        layer_of(parts="split")(torch.ones(2, 4))


# -- what the layer computes and learns ------------------------------------------------------------------------


@cases
@splits
@biases
def test_perfect_layer_computes_with_its_logical_weights(scales, parts, bias):
    layer = layer_of(scales, parts, bias)
    twin = nn.Linear(11, 9)
    with torch.no_grad():
        for name, value in zip(("weight", "bias"), layer.logical_weights(), strict=True):
            getattr(twin, name).copy_(value)
    x, way = randn(6, 11), randn(6, 9, seed=1)
    found = []
    for module in (layer, twin):
        given = x.clone().requires_grad_()
        y = module(given)
        (y * way).sum().backward()
        found.append((y.detach(), given.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.tile_conformance("T43")
@cases
@splits
@biases
def test_written_logical_weights_are_read_back(scales, parts, bias):
    """1e-6: a weight is divided and multiplied by its scale, two roundings."""
    layer = layer_of(scales, parts, bias)
    weight, offset = randn(9, 11), randn(9, seed=1)
    weight[2] = 0.0
    layer.set_weights(weight, offset)
    for got, given in zip(layer.logical_weights(), (weight, offset), strict=True):
        torch.testing.assert_close(got, given, rtol=1e-6, atol=1e-6)


@pytest.mark.tile_conformance("T43")
def test_mapping_scale_brings_the_largest_weight_to_omega():
    weight = randn(9, 11)
    weight[2] = 0.0
    whole = AnalogLinear(11, 9, False, config=configured(EXACT, **SCALES["omega"]))
    rows = AnalogLinear(11, 9, False, config=configured(EXACT, **SCALES["columnwise"]))
    for layer in (whole, rows):
        layer.set_weights(weight)
    assert whole.tile.weights.abs().max().item() == pytest.approx(0.6, rel=1e-6)
    largest = rows.tile.weights.abs().amax(1)
    torch.testing.assert_close(largest, torch.full((9,), 0.6).index_fill(0, torch.tensor([2]), 0.0))
    assert rows.mapping_scales[0, 2] == 1
    zero = AnalogLinear(2, 2, False, config=configured(EXACT, **SCALES["omega"]))
    zero.set_weights(torch.zeros(2, 2))
    assert torch.equal(zero.mapping_scales, torch.ones(1, 2))


def test_analog_bias_takes_part_in_the_scale():
    layer = layer_of("omega", bias="analog")
    layer.set_weights(torch.zeros(9, 11), torch.full((9,), 3.0))
    assert layer.bias is None
    assert torch.equal(layer.mapping_scales, torch.full((1, 9), 5.0))
    assert layer.tile.weights.shape == (9, 12)
    assert torch.allclose(layer.tile.weights[:, -1], torch.tensor(0.6))


@pytest.mark.tile_conformance("T44")
@cases
@splits
@biases
def test_step_moves_logical_weights_as_plain_descent_does_whatever_the_scale(scales, parts, bias):
    """Ideal devices, perfect periphery: m W moves by -lr (d o) x^T; 1e-6 of the largest change of about 1."""
    layer = layer_of(scales, parts, bias)
    if layer.out_scaling is not None:
        with torch.no_grad():
            layer.out_scaling.copy_(1 + 0.3 * randn(*layer.out_scaling.shape, seed=8))
    x, d = randn(6, 11), randn(6, 9, seed=1)
    behind = {name: layer.analog_scale(name) for name in layer.blocks}
    before = {name: w.tile.weights * behind[name][0] for name, w in layer.analog_weights.items()}
    learned = {name: behind[name][1].clone() for name in behind}
    layer(x).backward(d)
    AnalogSGD(layer.parameters(), 0.05).step()
    for name, block in layer.blocks.items():
        lines = torch.cat([x[:, block.inputs], torch.ones(6, int(block.bias_line))], 1)
        expected = -0.05 * (d[:, block.rows] * learned[name].reshape(1, -1)).T @ lines
        change = layer.analog_weights[name].tile.weights * behind[name][0] - before[name]
        torch.testing.assert_close(change, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.tile_conformance("T44")
@pytest.mark.parametrize("scales", [s for s in SCALES if "learned" not in s])
@splits
@biases
def test_training_follows_the_digital_layer_for_any_mapping(scales, parts, bias):
    """Five steps; 2e-5 after five updates in single precision."""
    layer, twin = layer_of(scales, parts, bias), nn.Linear(11, 9)
    with torch.no_grad():
        for name, value in zip(("weight", "bias"), layer.logical_weights(), strict=True):
            getattr(twin, name).copy_(value)
    ours, theirs = AnalogSGD(layer.parameters(), 0.1), torch.optim.SGD(twin.parameters(), 0.1)
    for k in range(5):
        for module, optimizer in ((layer, ours), (twin, theirs)):
            optimizer.zero_grad()
            (module(randn(4, 11, seed=k)) - randn(4, 9, seed=50 + k)).square().mean().backward()
            optimizer.step()
    for one, other in zip(layer.logical_weights(), (twin.weight, twin.bias), strict=True):
        torch.testing.assert_close(one, other.detach(), rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("columnwise", [False, True])
@splits
def test_gradient_of_output_scales_is_that_of_a_factor_on_each_tile_s_output(columnwise, parts):
    layer = layer_of(parts=parts, learn_out_scaling=True, out_scaling_columnwise=columnwise)
    x, d = randn(6, 11), randn(6, 9, seed=1)
    layer(x).backward(d)
    expected = torch.zeros_like(layer.out_scaling)
    for name, block in layer.blocks.items():
        y = x[:, block.inputs] @ layer.analog_weights[name].tile.weights.T
        each = (d[:, block.rows] * y).sum(0)
        if columnwise:
            expected[block.column, block.rows] = each
        else:
            expected[block.column, block.row] = each.sum()
    torch.testing.assert_close(layer.out_scaling.grad, expected, rtol=1e-5, atol=1e-5)


def test_rate_compensation_moves_the_magnitude_between_error_and_rate():
    """Mean scale 2: the tile learns with half the rate; the error it is given is twice as large as without."""
    config = configured(EXACT, **SCALES["rate"])
    layer = AnalogLinear(3, 2, False, config=config)
    layer.set_weights(torch.tensor([[1.2, 0.0, 0.3], [0.1, -0.2, 0.0]]))
    x, d = randn(4, 3), randn(4, 2, seed=1)
    layer(x).backward(d)
    assert layer.weight.rate_scale == pytest.approx(0.5)
    ((_, delta),) = layer.weight.pending
    torch.testing.assert_close(delta, d)  # d / m / rate_scale = d / (2 * 0.5)


def test_backward_product_sees_the_error_times_the_scale_and_the_update_the_error_over_it():
    layer = AnalogLinear(5, 3, False, config=configured(NOISY, **SCALES["columnwise"]), seed=3)
    twin = copy.deepcopy(layer.tile)
    x, d, m = randn(4, 5).requires_grad_(), randn(4, 3, seed=1), layer.mapping_scales[0].clone()
    layer(x).backward(d)
    assert torch.equal(x.grad, twin.backward(d * m))
    AnalogSGD(layer.parameters(), 0.05).step()
    twin.update(x.detach(), d / m, 0.05)
    assert torch.equal(layer.tile.hidden, twin.hidden)


def test_split_layer_is_pulsed_block_by_block():
    config = configured(NOISY, max_input_size=3, max_output_size=2)
    layer = AnalogLinear(6, 4, False, config=config, seed=3)
    twins = copy.deepcopy(layer.tiles)
    x, d = randn(4, 6), randn(4, 4, seed=1)
    layer(x).backward(d)
    AnalogSGD(layer.parameters(), 0.05).step()
    for tile, twin, block in zip(layer.tiles, twins, layer.blocks.values(), strict=True):
        twin.update(x[:, block.inputs], d[:, block.rows], 0.05)
        assert torch.equal(tile.hidden, twin.hidden)


# -- groups and kernels ----------------------------------------------------------------------------------------


@splits
@biases
def test_groups_are_a_block_diagonal_matrix(parts, bias):
    config = configured(EXACT, **SPLITS[parts], **BIASES[bias])
    core = AnalogCore(14, 10, config=config, seed=3, groups=2)
    weight, offset = core.logical_weights()
    dense = torch.block_diag(weight[:5], weight[5:])
    x = randn(6, 14)
    torch.testing.assert_close(core(x).detach(), x @ dense.T + offset, rtol=1e-5, atol=1e-5)
    covered = torch.zeros(10, 7 + (bias == "analog"))
    for block in core.blocks.values():
        covered[block.rows, block.lines] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize(
    ("channels", "kernel", "largest", "expected"),
    [(64, 9, 512, [288, 288]), (4, 9, 20, [18, 18]), (4, 9, 8, [8, 7, 7, 7, 7]), (2, 9, 18, [18])],
)
def test_kernels_stay_whole_where_they_fit(channels, kernel, largest, expected):
    config = configured(EXACT, max_input_size=largest)
    core = AnalogCore(channels * kernel, 3, config=config, kernel=kernel)
    assert [t.in_features for t in core.tiles] == expected


def test_kernels_with_an_analog_bias_leave_room_for_its_line():
    config = configured(EXACT, max_input_size=18, digital_bias=False)
    core = AnalogCore(36, 3, config=config, kernel=9)
    assert [t.in_features for t in core.tiles] == [9, 9, 9, 10]


# -- configuration ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flag", "needed"),
    [
        ("weight_scaling_columnwise", "weight_scaling_omega"),
        ("weight_scaling_lr_compensation", "weight_scaling_omega"),
        ("out_scaling_columnwise", "learn_out_scaling"),
    ],
)
def test_flag_without_effect_is_refused(flag, needed):
    with pytest.raises(ParameterError, match=rf"MappingParameters\.{flag} = True: has no effect without {needed}"):
        MappingParameters(**{flag: True})


def test_configuration_saved_before_there_was_a_mapping_loads_as_the_default():
    config = TileConfig("reram_exp_hfo2_2018")
    old = {k: v for k, v in config.to_dict().items() if k not in ("mapping", "input_range")}
    assert TileConfig.from_dict(old) == config
    assert config.differences(old) == {}
    layer = AnalogLinear(3, 2, config=config)
    state = layer.state_dict()
    state["_extra_state"]["config"] = old
    layer.load_state_dict(state)
    tile = Tile.from_config(2, 3, config)
    tile.load_state_dict(state["_extra_state"])


def test_tile_keeps_the_mapping_of_its_configuration():
    config = configured(EXACT, max_input_size=7)
    tile = Tile.from_config(2, 3, config)
    config.mapping.max_input_size = 9
    assert tile.config.mapping.max_input_size == 7
    assert copy.deepcopy(tile).config == tile.config


def test_tile_that_takes_a_saved_configuration_computes_with_it():
    one, other = (Tile(2, 3, Ideal(), IOParameters(out_scale=s, is_perfect=True)) for s in (2.0, 3.0))
    weights, x = torch.ones(2, 3), torch.ones(1, 3)
    for tile in (one, other):
        tile.set_weights(weights)
        tile.forward(x)
    other.load_state_dict(one.state_dict(), config="saved")
    assert torch.equal(other.forward(x), one.forward(x))


def test_default_mapping_leaves_the_state_dict_as_it_was():
    assert list(AnalogLinear(3, 2, config=EXACT).state_dict()) == ["weight", "bias", "_extra_state"]


def test_weights_without_the_layer_s_bias_are_refused():
    with pytest.raises(ParameterError, match=r"AnalogLinear.bias = None: does not fit the layer.*\(out=9\)"):
        layer_of(bias="analog").set_weights(torch.zeros(9, 11))
    with pytest.raises(ShapeError, match=r"AnalogLinear.weight: got shape \(11, 9\), expected \(out=9, in=11\)"):
        layer_of().set_weights(torch.zeros(11, 9), torch.zeros(9))


def test_convert_writes_scaled_weights_within_the_bounds_of_the_devices():
    """Without the scale, weights of 5 would be clipped at 0.6; soft bounds without spread hold 0.6 exactly."""
    digital = nn.Linear(30, 20)
    nn.init.uniform_(digital.weight, -5.0, 5.0)
    device = SoftBounds().nominal()
    layer = convert(digital, TileConfig(device, PERFECT, PERFECT, mapping=MappingParameters(weight_scaling_omega=0.3)))
    torch.testing.assert_close(layer.logical_weights()[0], digital.weight.detach(), rtol=1e-6, atol=1e-6)


# -- copies and checkpoints ------------------------------------------------------------------------------------


def noisy(seed: int, **mapping) -> nn.Module:
    config = configured(NOISY, max_input_size=5, max_output_size=4, weight_scaling_omega=0.4,
                        learn_out_scaling=True, **mapping)  # fmt: skip
    return perceptron(config, seed)


@pytest.mark.tile_conformance("T61")
@pytest.mark.parametrize("mapping", [{}, {"digital_bias": False}, {"out_scaling_columnwise": True}], ids=str)
@pytest.mark.parametrize("load", [load_state, lambda m, s: m.load_state_dict(s)], ids=["load_state", "load_state_dict"])
def test_split_model_resumes_bit_by_bit(mapping, load):
    whole = noisy(5, **mapping)
    outputs = steps(whole, 0, 4)
    first = noisy(5, **mapping)
    steps(first, 0, 2)
    resumed = noisy(77, **mapping)
    load(resumed, through_a_file(first.state_dict()))
    for one, other in zip(steps(resumed, 2, 2), outputs[2:], strict=True):
        assert torch.equal(one, other)
    for one, other in zip(layer_state(resumed), layer_state(whole), strict=True):
        assert torch.equal(one, other)


def test_deep_copy_of_a_split_model_lives_on_alone_and_equal():
    model = noisy(5, weight_scaling_lr_compensation=True)
    steps(model, 0, 2)
    twin = copy.deepcopy(model)
    before = layer_state(model)
    copied = steps(twin, 2, 2)
    assert all(torch.equal(a, b) for a, b in zip(layer_state(model), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(steps(model, 2, 2), copied, strict=True))


def test_state_of_another_split_is_refused_and_changes_nothing():
    saved = noisy(5).state_dict()
    other = convert(nn.Sequential(nn.Linear(11, 9), nn.Tanh(), nn.Linear(9, 3)), configured(NOISY), seed=5)
    before = layer_state(other)
    with pytest.raises(ParameterError, match="weight_0_0 is unknown"):
        load_state(other, saved)
    with pytest.raises(StateError, match=r"holds 9 tiles, the layer has 1.*saved mapping"):
        other.load_state_dict(saved)
    assert all(torch.equal(a, b) for a, b in zip(layer_state(other), before, strict=True))


def test_other_mapping_of_the_same_shape_is_refused_unless_told():
    saved = noisy(5).state_dict()
    other = noisy(6, weight_scaling_columnwise=True)
    with pytest.raises(ConfigMismatch, match=r"0\.mapping\.weight_scaling_columnwise: saved False, here True"):
        load_state(other, saved)
    load_state(other, saved, config="saved")
    assert not other[0].tiles[0].config.mapping.weight_scaling_columnwise
    other[0].set_weights(randn(9, 11), randn(9))
    assert len(other[0].mapping_scales[0, :3].unique()) == 1


@pytest.mark.parametrize("move", [lambda m: m.double(), lambda m: m.half(), lambda m: m.to("meta")])
def test_casting_a_split_layer_is_refused_and_changes_nothing(move):
    layer = layer_of("learned", "split")
    before = layer_state(layer)
    with pytest.raises(StateError, match=r"AnalogLinear: cannot become .*allowed: torch.float32 on cpu"):
        move(layer)
    assert all(torch.equal(a, b) for a, b in zip(layer_state(layer), before, strict=True))
    assert layer.float().cpu() is layer


def test_weights_of_a_split_layer_are_the_tiles_memory():
    layer = layer_of(parts="split")
    for weight in layer.analog_weights.values():
        assert weight.data_ptr() == weight.tile.weights.data_ptr()
    assert isinstance(layer.tiles[0].device, Ideal)
