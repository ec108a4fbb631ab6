# SPDX-License-Identifier: Apache-2.0
"""Saving and loading a tile: bit for bit, never over another configuration by itself (T39)."""

import copy
import io

import any_device
import pytest
import torch

from engine import devices
from engine.devices.soft_bounds import SoftBounds
from engine.errors import ConfigMismatch, ParameterError, ShapeError, StateError
from engine.tiles import IOParameters, Tile, UpdateParameters

NOISE = {
    "dw_min_std": 1.0,
    "write_noise_std": 3.0,
    "diffusion": 0.003,
    "lifetime": 30.0,
    "drift_nu": 0.1,
    "drift_nu_std": 0.2,
}
X, D = (
    torch.randn(4, 7, generator=torch.Generator().manual_seed(1)),
    torch.randn(4, 5, generator=torch.Generator().manual_seed(2)),
)


def tile_of(stem: str, seed: int = 3, **changes) -> Tile:
    device = any_device.make(stem, **NOISE | changes)
    noisy = IOParameters(inp_noise=0.05, w_noise=0.05)
    return Tile(5, 7, device, noisy, noisy, UpdateParameters(desired_bl=12), seed=seed, count_pulses=True)


def live(tile: Tile) -> list[torch.Tensor]:
    """Use every stream of the tile; return all that can be seen."""
    found = [tile.forward(X), tile.backward(D)]
    tile.update(X, D, 0.05)
    found += [tile.weights.clone(), tile.hidden.clone(), *tile.pulse([1, -1, 1, 1, 1])]
    tile.end_batch()
    tile.reset_columns(2, 3, 0.5)
    tile.drift(3.0)
    tile.drift(3.0)
    found += [tile.weights.clone(), tile.hidden.clone(), *(n.clone() for n in tile.pulse_counts)]
    tile.set_weights(torch.full((5, 7), 0.1))
    return [*found, tile.weights.clone()]


def through_a_file(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def assert_equal(one, other) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a, b)


@pytest.mark.conformance("T39")
@pytest.mark.parametrize("stem", devices.names())
def test_resumed_tile_continues_bit_for_bit(stem):
    tile = tile_of(stem)
    live(tile)
    state = through_a_file(tile.state_dict())
    resumed = tile_of(stem, seed=99)  # other chip, other streams: all of it comes from the state
    resumed.load_state_dict(state)
    assert_equal(
        [resumed.hidden, resumed.weights, *resumed.cells.values()], [tile.hidden, tile.weights, *tile.cells.values()]
    )
    for _ in range(2):
        assert_equal(live(resumed), live(tile))


def test_saved_state_does_not_change_when_the_tile_goes_on():
    tile = tile_of("soft_bounds")
    state = tile.state_dict()
    before = copy.deepcopy(state)
    live(tile)
    tile.cells["max_bound"].zero_()
    assert torch.equal(state["hidden"], before["hidden"])
    assert torch.equal(state["cells"]["max_bound"], before["cells"]["max_bound"])
    assert state["steps"] == before["steps"]


def test_loaded_tile_does_not_share_memory_with_the_state():
    tile, other = tile_of("soft_bounds"), tile_of("soft_bounds")
    state = tile.state_dict()
    other.load_state_dict(state)
    kept = state["cells"]["dwmin_up"].clone()
    other.cells["dwmin_up"].zero_()
    other.pulse([1])
    assert torch.equal(state["cells"]["dwmin_up"], kept)
    assert torch.equal(state["hidden"], tile.hidden)


@pytest.mark.conformance("T39")
def test_edited_cells_survive_and_nominal_parameters_do_not_follow_them():
    """The peer replaces dw_min when loaded step scales are far from it; its re-loaded tile updates otherwise."""
    tile = tile_of("soft_bounds", up_down=0.5)
    tile.cells["dwmin_up"].mul_(0.2)
    resumed = tile_of("soft_bounds", up_down=0.5)
    resumed.load_state_dict(through_a_file(tile.state_dict()))
    assert torch.equal(resumed.cells["dwmin_up"], tile.cells["dwmin_up"])
    assert resumed.config.device.dw_min == 0.01
    assert_equal(live(resumed), live(tile))


def test_state_of_another_configuration_is_refused_with_the_difference():
    saved = tile_of("soft_bounds", step=0.02).state_dict()
    tile = tile_of("soft_bounds")
    before = copy.deepcopy(tile.state_dict())
    with pytest.raises(ConfigMismatch, match=r"parameters.dw_min: saved 0.02, here 0.01.*config='saved'") as caught:
        tile.load_state_dict(saved)
    assert caught.value.differences == {"parameters.dw_min": (0.02, 0.01)}
    after = tile.state_dict()
    assert torch.equal(after["hidden"], before["hidden"])
    assert torch.equal(after["apparent"], before["apparent"])
    assert (after["steps"], after["seed"], after["config"]) == (before["steps"], before["seed"], before["config"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"forward": IOParameters(out_noise=0.2)}, "forward.out_noise"),
        ({"backward": IOParameters(out_noise=0.2)}, "backward.out_noise"),
        ({"update": UpdateParameters(desired_bl=3)}, "update.desired_bl"),
        ({"device": "reram_exp_hfo2_2018"}, "device"),
    ],
)
def test_difference_in_any_part_is_found(changes, field):
    tile, other = Tile(5, 7, SoftBounds()), Tile(5, 7, **({"device": SoftBounds()} | changes))
    with pytest.raises(ConfigMismatch) as caught:
        tile.load_state_dict(other.state_dict())
    assert field in caught.value.differences


@pytest.mark.conformance("T39")
@pytest.mark.parametrize("stem", devices.names())
def test_config_saved_takes_the_configuration_too(stem):
    saved = tile_of(stem)
    live(saved)
    other = Tile(5, 7, "capacitor_14nm_2018", seed=1)
    other.load_state_dict(through_a_file(saved.state_dict()), config="saved")
    assert other.config == saved.config
    assert_equal(live(other), live(saved))


def test_config_keep_restores_devices_under_the_own_periphery():
    saved = tile_of("soft_bounds")
    live(saved)
    perfect = IOParameters(is_perfect=True)
    quiet = Tile(5, 7, saved.config.device, perfect, perfect)
    quiet.load_state_dict(saved.state_dict(), config="keep")
    assert quiet.config.forward == perfect
    assert torch.equal(quiet.hidden, saved.hidden)
    torch.testing.assert_close(quiet.forward(X), X @ saved.weights.T)


def test_config_keep_with_devices_of_another_kind_is_refused():
    tile = Tile(5, 7, SoftBounds(), seed=1)
    before = tile.hidden.clone()
    with pytest.raises(ConfigMismatch, match="per-device arrays"):
        tile.load_state_dict(tile_of("soft_bounds_reference").state_dict(), config="keep")
    assert torch.equal(tile.hidden, before)


def test_state_of_another_size_is_refused():
    with pytest.raises(ShapeError, match=r"\(out, in\) = \(5, 7\), this tile has \(7, 5\)"):
        Tile(7, 5, SoftBounds()).load_state_dict(Tile(5, 7, SoftBounds()).state_dict())


def test_state_of_an_unknown_format_is_refused():
    tile = tile_of("soft_bounds")
    with pytest.raises(StateError, match="format = 99"):
        tile.load_state_dict(tile.state_dict() | {"format": 99})


def test_unknown_config_option_is_refused():
    tile = tile_of("soft_bounds")
    with pytest.raises(ParameterError, match=r"config = 'Saved'.*same, saved, keep"):
        tile.load_state_dict(tile.state_dict(), config="Saved")


@pytest.mark.parametrize("stem", devices.names())
def test_deep_copy_lives_on_alone_and_equal(stem):
    tile = tile_of(stem)
    live(tile)
    tile.cells["dwmin_up"].mul_(0.9)
    twin = copy.deepcopy(tile)
    kept = tile.hidden.clone()
    changed = live(twin)
    assert torch.equal(tile.hidden, kept)
    assert_equal(live(tile), changed)
