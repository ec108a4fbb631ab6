# SPDX-License-Identifier: Apache-2.0
"""Pulse counters, and the memory that a tile takes."""

import copy

import any_device
import numpy as np
import pytest
import torch

from engine import devices, ops
from engine.devices.constant_step import ConstantStep
from engine.errors import StateError
from engine.tiles import Tile, UpdateParameters
from engine.tiles.update import PULSE_TYPES

STEMS = devices.names()
PULSED = [s for s in STEMS if devices.get(s).pulsed]
PULSED_KINDS = [k for k in PULSE_TYPES if not k.startswith("none")]


def samples(count: int, rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, columns, generator=generator), torch.randn(count, rows, generator=generator)


@pytest.mark.parametrize("stem", STEMS)
def test_explicit_pulses_are_counted_by_direction(stem):
    tile = Tile(5, 70, any_device.make(stem), count_pulses=True)
    sequence = np.random.default_rng(1).choice([-1, 0, 1], (40, 5, 70)).astype(np.int8)
    tile.pulse(sequence[:25], 7)
    tile.pulse(sequence[25:])
    up, down = tile.pulse_counts
    np.testing.assert_array_equal(up, (sequence > 0).sum(0))
    np.testing.assert_array_equal(down, (sequence < 0).sum(0))
    assert up.dtype == torch.int32


@pytest.mark.parametrize("stem", PULSED)
@pytest.mark.parametrize("pulse_type", PULSED_KINDS)
def test_update_pulses_are_counted_by_direction(stem, pulse_type):
    """The counters hold what the samples' own coincidences add up to; half the devices are stuck and count as well."""
    update = UpdateParameters(pulse_type=pulse_type)
    tile = Tile(9, 130, any_device.make(stem, corrupt_devices_prob=0.5), update=update, seed=6, count_pulses=True)
    x, d = samples(4, 9, 130)
    tile.update(x, d, 0.05)
    tile.update(x[:1], d[:1], 0.05)
    granularity = tile.device.granularity
    signed = update.job(x, d, 0.05, granularity).coincidences(6, 0)
    signed = torch.cat([signed, update.job(x[:1], d[:1], 0.05, granularity).coincidences(6, 4)])
    up, down = tile.pulse_counts
    assert torch.equal(up, signed.clamp(min=0).sum(0, dtype=torch.int32))
    assert torch.equal(down, -signed.clamp(max=0).sum(0, dtype=torch.int32))
    assert min(up.sum(), down.sum()) > 100


def test_counters_tell_the_weight_of_noise_free_constant_steps():
    device = ConstantStep(dw_min=1.0, w_max=1e7, w_min=-1e7, dw_min_std=0.0, dw_min_dtod=0.0, up_down_dtod=0.0)
    tile = Tile(3, 7, device, count_pulses=True)
    tile.update(*samples(20, 3, 7), 5.0)
    tile.pulse([1, 1, -1])
    up, down = tile.pulse_counts
    assert torch.equal(tile.weights, (up - down).float())


def test_counting_changes_no_result(threads):
    """Also on two threads, with work enough for both."""
    x, d = samples(3, 301, 467)
    results = []
    for number, counted in ((1, False), (1, True), (2, True)):
        threads(number)
        tile = Tile(301, 467, any_device.make("soft_bounds"), seed=3, count_pulses=counted)
        tile.update(x, d, 0.05)
        tile.pulse([1, -1, 1])
        results.append((tile, tile.pulse_counts if counted else None))
    assert all(torch.equal(tile.hidden, results[0][0].hidden) for tile, _ in results)
    assert all(torch.equal(a, b) for a, b in zip(results[1][1], results[2][1], strict=True))


def test_counters_that_were_not_asked_for_are_missed_with_a_remedy():
    with pytest.raises(
        StateError, match=r"Tile.pulse_counts: nothing was counted. Make the tile with count_pulses=True"
    ):
        Tile(2, 2).pulse_counts  # noqa: B018


@pytest.mark.conformance("T39")
def test_counters_go_on_after_loading_and_copying():
    """Also in a tile that was made without them: it continues as the saved one would have."""
    tile, other = Tile(3, 4, count_pulses=True), Tile(3, 4)
    tile.pulse([1, 1, -1])
    other.load_state_dict(tile.state_dict())
    for t in (tile, other, copy.deepcopy(tile)):
        t.pulse([1])
    assert (tile.pulse_counts[0] == 3).all()
    assert (other.pulse_counts[0] == 3).all()
    assert (other.pulse_counts[1] == 1).all()


def test_saved_counters_do_not_change_when_the_tile_goes_on():
    tile = Tile(3, 4, count_pulses=True)
    state = tile.state_dict()
    tile.pulse([1])
    assert (state["counters"][0] == 0).all()


def held(tile: Tile) -> int:
    """Return the bytes of all arrays that a tile holds, each memory once."""
    arrays = tile._arrays
    tensors = [arrays.hidden, arrays.apparent, *arrays.cells.values(), *(arrays.counters or ())]
    if tile._time is not None:
        tensors += [*tile._time.cells.values(), *tile._time.drift.values()]
    assert all(t.dtype in (torch.float32, torch.int32) for t in tensors)
    return sum(t.nbytes for t in {t.data_ptr(): t for t in tensors}.values())


@pytest.mark.parametrize("stem", STEMS)
def test_memory_is_four_bytes_for_each_array_and_both_weights(stem):
    """Per crosspoint: 4 x (cells + 2); counters add 8, processes in time 16 when first needed, drift another 12."""
    rows, columns = 31, 17
    device = any_device.make(stem, drift_nu=0.1)
    per_crosspoint = 4 * (len(ops.schema(device.header())["cells"]) + 2)
    tile = Tile(rows, columns, device)
    tile.pulse([1, -1])
    tile.update(*samples(2, rows, columns), 0.1)
    tile.forward(torch.ones(2, columns))
    tile.end_batch()
    assert held(tile) == rows * columns * per_crosspoint
    assert held(Tile(rows, columns, device, count_pulses=True)) == rows * columns * (per_crosspoint + 8)
    tile.clip()
    assert held(tile) == rows * columns * (per_crosspoint + 16)
    tile.drift(1.0)
    assert held(tile) == rows * columns * (per_crosspoint + 28)
