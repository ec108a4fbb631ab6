# SPDX-License-Identifier: Apache-2.0
"""What a device holds and what a read sees: size of the write error and when it is drawn anew (T17, T18)."""

import any_device
import judge
import numpy as np
import pytest
import torch

from engine import devices, ops
from engine.tiles import Tile

WRITTEN = [n for n in devices.names() if "write_noise_std" in devices.get(n).fields()]
STEP, ERROR = 0.01, 5.0  # weight units; units of the step


def tile_of(stem: str, rows: int = 200, columns: int = 200, seed: int = 1, **changes) -> Tile:
    device = any_device.make(stem, step=STEP, **{"write_noise_std": ERROR} | changes)
    return Tile(rows, columns, device, seed=seed)


def test_written_classes_are_those_whose_header_has_a_frozen_error():
    assert WRITTEN == [n for n in devices.names() if ops.schema(devices.get(n).header())["has_write_noise"]]
    assert not {"constant_step", "pow_step_reference", "ideal"} & set(WRITTEN)


@pytest.mark.parametrize("stem", WRITTEN)
@pytest.mark.parametrize("how", ["set", "pulse", "update"])
def test_write_error_is_write_noise_std_times_dw_min(stem, how):
    """N = 40 000: std within 2 % (5.6 standard errors), mean within 4.5 standard errors, the same for every gain."""
    tile = tile_of(stem)
    if how == "pulse":
        tile.pulse([1, -1, 1])
    if how == "update":
        tile.update(torch.ones(1, 200), torch.ones(1, 200), 1.0)
    error = (tile.weights - tile.hidden).numpy()
    judge.mean(error, 0.0)
    judge.std(error, 0.05, within=0.02)
    strong = tile.cells["dwmin_up"].numpy() > 0.011
    judge.std(error[strong], 0.05, within=0.04)  # the nominal dw_min counts, not the device's own step
    judge.std(error[~strong], 0.05, within=0.04)


@pytest.mark.parametrize("stem", WRITTEN)
def test_apparent_weight_may_exceed_the_bounds_hidden_may_not(stem):
    tile = tile_of(stem)
    tile.pulse([1] * 500)
    _, high = (torch.as_tensor(b) for b in tile.device.cell_range(tile.cells))
    assert (tile.hidden <= high).all()
    assert (tile.weights > high).float().mean() > 0.1


@pytest.mark.parametrize("stem", WRITTEN)
def test_update_redraws_touched_crosspoints_only(stem):
    tile = tile_of(stem, 20, 30)
    before, hidden = tile.weights.clone(), tile.hidden.clone()
    d = torch.zeros(1, 20)
    d[0, 3] = 1.0
    tile.update(torch.ones(1, 30), d, 1.0)
    assert (tile.weights[3] != before[3]).all()
    assert (tile.hidden[3] != hidden[3]).all()
    untouched = [i for i in range(20) if i != 3]
    torch.testing.assert_close(tile.weights[untouched], before[untouched], rtol=0, atol=0)
    torch.testing.assert_close(tile.hidden[untouched], hidden[untouched], rtol=0, atol=0)


@pytest.mark.parametrize("stem", WRITTEN)
def test_explicit_pulse_redraws_touched_crosspoints_only(stem):
    tile = tile_of(stem, 20, 30)
    before = tile.weights.clone()
    directions = np.zeros((2, 20, 30), np.int8)
    directions[0, :, 4] = 1
    trace = tile.pulse(directions)
    others = [j for j in range(30) if j != 4]
    assert (tile.weights[:, 4] != before[:, 4]).all()
    torch.testing.assert_close(tile.weights[:, others], before[:, others], rtol=0, atol=0)
    # The second pulse of the sequence touched nothing: the error of the first one stays.
    torch.testing.assert_close(trace.apparent[1], trace.apparent[0], rtol=0, atol=0)


WRITES = {
    "pulse": lambda t: t.pulse([1]),
    "update": lambda t: t.update(torch.ones(1, 200), torch.ones(1, 200), 1.0),
    "set": lambda t: t.set_weights(torch.zeros(200, 200)),
}


@pytest.mark.parametrize("stem", WRITTEN)
@pytest.mark.parametrize("how", WRITES)
def test_successive_write_errors_are_independent(stem, how):
    """N = 40 000; correlation of independent draws has standard error 0.005. Also between neighbours."""
    tile, errors = tile_of(stem), []
    for _ in range(2):
        WRITES[how](tile)
        errors.append((tile.weights - tile.hidden).numpy().copy())
    judge.correlation(*errors, 0.0, within=0.0225)
    judge.correlation(errors[0][:, 1:], errors[0][:, :-1], 0.0, within=0.0225)
    judge.correlation(errors[0][1:], errors[0][:-1], 0.0, within=0.0225)


@pytest.mark.parametrize("stem", WRITTEN)
def test_set_weights_without_the_flag_writes_exactly(stem):
    tile = tile_of(stem, 20, 30, apply_write_noise_on_set=False)
    tile.set_weights(torch.full((20, 30), 0.1))
    torch.testing.assert_close(tile.weights, tile.hidden, rtol=0, atol=0)
    tile.pulse([1])
    assert (tile.weights != tile.hidden).all()


@pytest.mark.parametrize("stem", WRITTEN)
def test_without_write_noise_there_is_one_weight(stem):
    tile = tile_of(stem, 20, 30, write_noise_std=0.0)
    tile.pulse([1, 1, -1])
    tile.update(torch.ones(1, 30), torch.ones(1, 20), 1.0)
    torch.testing.assert_close(tile.weights, tile.hidden, rtol=0, atol=0)


@pytest.mark.parametrize("stem", WRITTEN)
def test_products_see_the_apparent_weight(stem):
    from engine.tiles import IOParameters

    perfect = IOParameters(is_perfect=True)
    tile = Tile(7, 5, tile_of(stem, 1, 1).device, perfect, perfect, seed=1)
    assert (tile.weights != tile.hidden).all()
    torch.testing.assert_close(tile.forward(torch.eye(5)).T, tile.weights, rtol=0, atol=0)
    torch.testing.assert_close(tile.backward(torch.eye(7)), tile.weights, rtol=0, atol=0)
