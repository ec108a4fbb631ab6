# SPDX-License-Identifier: Apache-2.0
"""A tile as a user holds it: sizes, weights, pulses, arrays of its devices, bad input."""

import numpy as np
import pytest
import torch

from engine import presets
from engine.devices.constant_step import ConstantStep
from engine.devices.ideal import Ideal
from engine.devices.soft_bounds import SoftBounds
from engine.errors import ParameterError, ShapeError
from engine.tiles import IOParameters, Tile, TileConfig, UpdateParameters

SHAPES = [(1, 1), (1, 5), (6, 1), (3, 7), (8, 8), (9, 15), (64, 1), (65, 2), (13, 67)]
PRESETS = ["reram_exp_hfo2_2018", "reram_array_hfo2_2022", "ecram_li_2018", "rpu_baseline_2016"]


def directions(pulses: int, shape=None, seed: int = 1) -> np.ndarray:
    size = (pulses,) if shape is None else (pulses, *shape)
    return np.random.default_rng(seed).choice([-1, 0, 1], size).astype(np.int8)


def same(one, other) -> None:
    torch.testing.assert_close(one, other, rtol=0, atol=0)


# -- construction ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, -1, 1.5, "3", None, True])
def test_size_that_is_no_whole_number_above_zero_is_refused(size):
    with pytest.raises(ParameterError, match=r"Tile.out_features = .*whole number"):
        Tile(size, 3)
    with pytest.raises(ParameterError, match=r"Tile.in_features = .*whole number"):
        Tile(3, size)


def test_size_beyond_the_counter_is_refused_before_allocating():
    with pytest.raises(ParameterError, match=r"out_features \* in_features = 4294967296: .*Split the layer"):
        Tile(2**16, 2**16)


@pytest.mark.parametrize("seed", [-1, 2**63, 0.5, "1", True])
def test_invalid_seed_names_its_parameter(seed):
    with pytest.raises(ParameterError, match=r"Tile\.seed = "):
        Tile(2, 2, seed=seed)
    with pytest.raises(ParameterError, match=r"Tile\.construction_seed = "):
        Tile(2, 2, construction_seed=seed)


def test_unknown_preset_names_near_misses():
    with pytest.raises(ParameterError, match=r"preset = 'ecram_li'.*Did you mean 'ecram_li_2018'"):
        Tile(2, 2, "ecram_li")


@pytest.mark.parametrize("device", [None, 3, SoftBounds, IOParameters()])
def test_device_that_is_none_is_refused(device):
    with pytest.raises(ParameterError, match=r"TileConfig.device = .*must be a device"):
        Tile(2, 2, device)


@pytest.mark.parametrize("part", ["forward", "backward", "update"])
def test_periphery_of_the_wrong_class_is_refused(part):
    with pytest.raises(ParameterError, match=rf"TileConfig.{part} = .*must be"):
        Tile(2, 2, **{part: ConstantStep()})


def test_configuration_belongs_to_the_tile_alone():
    device, forward = SoftBounds(dw_min=0.01), IOParameters(out_noise=0.5)
    tile = Tile(2, 2, device, forward)
    device.dw_min, forward.out_noise = 0.5, 0.0
    tile.config.device.dw_min = 0.7
    assert tile.config.device.dw_min == 0.01
    assert tile.config.forward.out_noise == 0.5


def test_configuration_copied_revalidates_values_that_do_not_fit_together():
    device = SoftBounds(reverse_up=True)
    device.mult_noise = False  # single values are checked on assignment, their combination when used
    with pytest.raises(ParameterError, match=r"SoftBounds.mult_noise = False"):
        Tile(2, 2, device)


def test_configuration_round_trips_through_its_dict():
    config = TileConfig("reram_exp_hfo2_2018", IOParameters(out_noise=0.1), update=UpdateParameters(desired_bl=7))
    other = TileConfig.from_dict(config.to_dict())
    assert other == config
    assert other.differences(config.to_dict()) == {}
    other.update.desired_bl = 9
    assert other.differences(config.to_dict()) == {"update.desired_bl": (7, 9)}


def test_fresh_tile_is_at_weight_zero():
    tile = Tile(3, 4, "ecram_li_2018")
    assert (tile.hidden == 0).all()
    assert (tile.weights == 0).all()
    assert repr(tile) == "Tile(3 x 4, linear_step, seed=0)"


# -- weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_set_weights_clips_to_each_device_s_bounds(preset, shape):
    """The state is clipped to its plain bounds, also where a reference is subtracted (docs/physics/devices.md, 2.4)."""
    tile = Tile(*shape, preset, seed=5)
    wanted = torch.from_numpy(np.random.default_rng(2).normal(0, 1, shape).astype(np.float32))
    tile.set_weights(wanted)
    low, high = tile.cells["min_bound"], tile.cells["max_bound"]
    same(tile.hidden, wanted.clamp(low, high))


def test_set_weights_on_the_ideal_device_keeps_any_value():
    tile = Tile(1, 3, Ideal())
    tile.set_weights(torch.tensor([[-1e30, 0.1, 1e30]]))
    same(tile.weights, torch.tensor([[-1e30, 0.1, 1e30]]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.zeros(3, 2), r"weights: got shape \(3, 2\), expected \(out=2, in=3\)"),
        (torch.zeros(2, 3, dtype=torch.float64), "weights: got torch.float64"),
        (torch.zeros(2, 3, dtype=torch.int32), "weights: got torch.int32"),
        (torch.full((2, 3), float("nan")), "weights: holds NaN or infinity"),
        (torch.full((2, 3), float("inf")), "weights: holds NaN or infinity"),
        (np.zeros((2, 3), np.float32), "weights: got ndarray"),
        ([[0.0] * 3] * 2, "weights: got list"),
    ],
)
def test_set_weights_with_bad_input_changes_nothing(weights, message):
    tile = Tile(2, 3, "reram_exp_hfo2_2018")
    before = tile.weights.clone()
    with pytest.raises(ShapeError, match=message):
        tile.set_weights(weights)
    same(tile.weights, before)


def test_set_weights_takes_a_parameter_and_a_strided_tensor():
    wanted = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    tile = Tile(4, 6, Ideal())
    tile.set_weights(torch.nn.Parameter(wanted))
    same(tile.weights, wanted)
    tile.set_weights(wanted.T.contiguous().T)
    same(tile.weights, wanted)


# -- products --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "size", "axis"), [("forward", 3, r"\(batch=any, in=3\)"), ("backward", 2, r"\(batch=any, out=2\)")]
)
def test_product_of_bad_input_says_what_is_expected(way, size, axis):
    call = getattr(Tile(2, 3), way)
    for wrong in (torch.ones(size), torch.ones(1, size + 1), torch.ones(1, 1, size)):
        with pytest.raises(ShapeError, match=axis):
            call(wrong)
    with pytest.raises(ShapeError, match="float64"):
        call(torch.ones(1, size, dtype=torch.float64))
    for bad in (float("nan"), float("-inf")):
        with pytest.raises(ShapeError, match="NaN or infinity"):
            call(torch.full((1, size), bad))


# -- pulses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", SHAPES)
def test_pulse_sequence_split_anywhere_equals_the_whole(preset, shape):
    """Also where a cut falls inside the four pulses that share one call of the generator."""
    sequence = directions(23, shape)
    whole, parts = (Tile(*shape, preset, seed=4) for _ in range(2))
    trace = whole.pulse(sequence)
    pieces = [parts.pulse(sequence[a:b]) for a, b in ((0, 1), (1, 6), (6, 6), (6, 17), (17, 23))]
    same(torch.cat([p.hidden for p in pieces]), trace.hidden)
    same(torch.cat([p.apparent for p in pieces]), trace.apparent)
    same(whole.hidden, trace.hidden[-1])
    same(whole.weights, trace.apparent[-1])


@pytest.mark.parametrize("preset", PRESETS)
def test_pulse_directions_shared_by_all_equal_the_same_for_each(preset):
    sequence = directions(40)
    one, two = (Tile(5, 13, preset, seed=4) for _ in range(2))
    each = np.broadcast_to(sequence[:, None, None], (40, 5, 13))
    same(one.pulse(sequence).apparent, two.pulse(each).apparent)


@pytest.mark.parametrize("read_every", [1, 2, 3, 7, 40, 41])
def test_pulse_read_every_keeps_each_nth_state(read_every):
    sequence = directions(40)
    every, some = (Tile(3, 7, "reram_exp_hfo2_2018", seed=4) for _ in range(2))
    full, part = every.pulse(sequence), some.pulse(sequence, read_every)
    assert len(part.hidden) == 40 // read_every
    same(part.hidden, full.hidden[read_every - 1 :: read_every])
    same(part.apparent, full.apparent[read_every - 1 :: read_every])
    same(some.weights, every.weights)


def test_pulse_of_direction_zero_leaves_the_device():
    tile = Tile(5, 13, "reram_array_hfo2_2022", seed=4)
    hidden, apparent = tile.hidden.clone(), tile.weights.clone()
    trace = tile.pulse([0, 0, 0])
    same(trace.hidden, hidden.expand(3, -1, -1))
    same(trace.apparent, apparent.expand(3, -1, -1))


def test_pulse_moves_every_device_in_its_own_direction():
    tile = Tile(7, 11, presets.load("capacitor_14nm_2018").nominal())
    way = directions(1, (7, 11))
    same(tile.pulse(way).hidden[0].sign(), torch.from_numpy(way[0]).float())


@pytest.mark.parametrize("given", [[1, -1], (1, -1), np.array([1.0, -1.0]), torch.tensor([1, -1]), np.int64([1, -1])])
def test_pulse_directions_of_any_array_like_kind_work(given):
    assert Tile(2, 2).pulse(given).hidden.shape == (2, 2, 2)


def test_pulse_of_no_directions_reads_nothing():
    assert Tile(2, 3).pulse([]).hidden.shape == (0, 2, 3)


@pytest.mark.parametrize("value", [2, -2, 0.5, float("nan"), 127])
def test_pulse_direction_that_is_none_is_refused(value):
    with pytest.raises(ParameterError, match=r"directions = .*-1, 0, \+1"):
        Tile(2, 2).pulse([1, value])


@pytest.mark.parametrize("shape", [(), (4, 2), (4, 3, 2), (4, 2, 3, 1)])
def test_pulse_directions_of_a_wrong_shape_name_the_tile_s(shape):
    with pytest.raises(ShapeError, match=r"directions: got shape .*expected \(pulses\) or \(pulses, out=2, in=3\)"):
        Tile(2, 3).pulse(np.ones(shape, np.int8))


@pytest.mark.parametrize("read_every", [0, -1, 1.5])
def test_pulse_read_every_below_one_is_refused(read_every):
    with pytest.raises(ParameterError, match="read_every = "):
        Tile(2, 2).pulse([1], read_every)


def test_refused_pulse_does_not_move_the_random_streams():
    one, two = (Tile(3, 3, "reram_exp_hfo2_2018", seed=1) for _ in range(2))
    with pytest.raises(ParameterError):
        one.pulse([1, 5])
    same(one.pulse([1]).apparent, two.pulse([1]).apparent)


# -- arrays of the devices -------------------------------------------------------------------------------------


def test_cells_are_the_tile_s_own_memory():
    tile = Tile(4, 4, "capacitor_14nm_2018", seed=1)
    tile.cells["dwmin_up"][2, 1] = 0.0
    tile.cells["slope_up"][2, 1] = 0.0
    moved = tile.pulse([1]).hidden[0] != 0
    assert not moved[2, 1]
    assert moved.sum() == 15


def test_noise_free_twin_by_copied_cells_follows_the_mean():
    """A population copied into a tile without noise: the noisy trace scatters around the twin's."""
    device = presets.load("capacitor_14nm_2018")
    tile, twin = Tile(30, 30, device, seed=1), Tile(30, 30, device.copy(dw_min_std=0.0), seed=2)
    for name, cell in tile.cells.items():
        twin.cells[name].copy_(cell)
    noisy, clean = tile.pulse([1] * 50).hidden[-1], twin.pulse([1] * 50).hidden[-1]
    # Cycle noise after 50 pulses of 0.005 w at 30 %: sqrt(50) x 0.0015 = 0.0106 w.
    assert 0.009 < (noisy - clean).std() < 0.013
    assert clean.std() > 0.02


def test_cells_of_a_shape_hold_one_value_for_each_crosspoint():
    tile = Tile(3, 5, "reram_array_hfo2_2022")
    in_time = {"decay_scales", "diffusion_rates", "reset_bias", "drift_nu"}
    assert set(tile.cells) == {"max_bound", "min_bound", "dwmin_up", "dwmin_down", "reference"} | in_time
    assert all(c.shape == (3, 5) and c.dtype == torch.float32 for c in tile.cells.values())
