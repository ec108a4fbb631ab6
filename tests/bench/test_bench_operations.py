# SPDX-License-Identifier: Apache-2.0
"""What each operation runs, at a size that takes no time."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench import operations
from bench.agreement import along
from bench.cases import Case
from bench.operation import Operation, WrongAnswer, device_of
from bench.operations.memory import Memory
from bench.operations.update import COINCIDENCES, Update
from bench.peer import Peer
from engine import devices
from engine.errors import ParameterError
from engine.product_call import Product
from engine.tiles import IOParameters, Tile

FAKE = (sys.executable, str(Path(__file__).with_name("fake_peer.py")))


def small(op: str, **changes) -> Operation:
    row = operations.get(op).rows.narrowed(shape=(12, 8), batch=6).cases(op)[0]
    return operations.get(op)(Case(**{**vars(row), **changes}))


@pytest.mark.parametrize("op", operations.names())
def test_operation_knows_its_answer(op):
    operations.get(op).verify()


@pytest.mark.parametrize("op", operations.names())
def test_operation_without_peer_gives_a_record_without_verdict(op):
    record = small(op).measure(None, 4)
    assert record.get("mean_agrees") is None
    assert record.get("ratio_peer") is None


@pytest.mark.parametrize("op", sorted(set(operations.names()) - {"memory"}))
def test_timed_operation_repeats_with_new_noise_from_the_same_start(op):
    one = small(op)
    results = []
    for repetition in range(2):
        one.prepare(repetition)
        one.call()
        results.append(one.result().copy())
    assert not np.array_equal(*results)
    assert all(way.shape == results[0].shape for way in one.directions().values())


@pytest.mark.parametrize("variant", COINCIDENCES)
def test_update_expects_as_many_pulses_as_the_kernels_count(variant):
    update = small("update", shape=(200, 200), batch=32, variant=variant)
    slots, expected = update.trains()
    assert expected.mean() == pytest.approx(COINCIDENCES[variant], rel=0.1)  # x, d: samples of a uniform distribution
    assert slots.min() >= 1
    job = update.parameters.job(update.x, update.d, update.lr, update.tile.device.granularity)
    counts = job.coincidences(seed=5, first_step=0).abs().sum((1, 2)).numpy() / 200**2
    # 32 samples of mean pulses per crosspoint, independent of one another; z = 4.5.
    deviation = counts - expected
    assert abs(deviation.mean()) < 4.5 * deviation.std() / 32**0.5


def test_update_result_is_the_change_along_the_gradient():
    update = small("update", shape=(100, 100), batch=16)
    update.prepare(0)
    update.call()
    share = along([update.result()], update.directions()["gradient"])[0]
    # Steps differ from device to device by 30 %, some of which start at a bound: far from 1, but clearly down hill.
    assert 0.5 < share < 1.5


def test_update_verify_sees_a_kernel_that_is_five_percent_off(monkeypatch):
    plain = Tile.update
    monkeypatch.setattr(Tile, "update", lambda self, x, d, lr: plain(self, x, d, 1.05 * lr))
    with pytest.raises(WrongAnswer, match="update"):
        Update.verify()


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_product_verify_sees_a_wrong_product(way, monkeypatch):
    plain = Product.__call__
    monkeypatch.setattr(Product, "__call__", lambda *args: (plain(*args)[0] * 1.001, None))
    with pytest.raises(WrongAnswer, match=way):
        operations.get(way).verify()


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_product_verify_sees_noise_that_is_too_small(way, monkeypatch):
    plain = IOParameters.pack
    smaller = lambda io, **how: plain(io.copy(out_noise=0.058) if io.out_noise else io, **how)  # noqa: E731
    monkeypatch.setattr(IOParameters, "pack", smaller)
    with pytest.raises(WrongAnswer, match=f"{way}: noise"):
        operations.get(way).verify()


def test_product_variants_differ_in_how_often_vectors_are_repeated():
    rounds = {}
    for variant in ("default", "default, repeated"):
        one = small("forward", shape=(512, 512), batch=8, variant=variant)
        one.call()
        rounds[variant] = one.facts()["rounds"]
    assert rounds["default"] == 1
    assert rounds["default, repeated"] > 1.2


def test_response_ends_where_a_pulse_by_pulse_run_ends():
    response = small("response", shape=(5, 2), batch=8)
    response.prepare(0)
    response.call()
    assert response.result().shape == (2, 10)
    assert response.reads == [3, 7]
    np.testing.assert_array_equal(response.result()[1], response.tile.weights.flatten().numpy())


@pytest.mark.parametrize("stem", devices.names())
def test_memory_formula_is_what_the_tile_holds(stem):
    one = Memory(Case("memory", stem, (4, 5), 1, 31, 1, "tile"))
    tile = Tile(4, 5, device_of(stem))
    arrays = [tile.hidden, tile.weights, *(tile.cells[name] for name in tile.device.cell_names())]
    assert one.formula_bytes * 20 == sum(array.nbytes for array in arrays)


def test_memory_verdict_needs_a_size_at_which_noise_is_small():
    one = Memory(Case("memory", "constant_step", (64, 64), 1, 31, 1, "tile"))
    assert one.measure(None, 4)["formula_agrees"] is None
    assert one.as_the_formula(24.5)
    assert not one.as_the_formula(28.0)


def test_memory_asks_the_peer_for_its_bytes_per_crosspoint():
    with Peer(1, FAKE) as peer:
        record = Memory(Case("memory", "constant_step", (8, 8), 1, 31, 1, "tile")).measure(peer, 4)
    assert record["peer_bytes"] == 16.0


def test_device_of_takes_classes_and_presets_with_the_peers_habits():
    assert device_of("exp_step").peer_compat
    assert device_of("reram_exp_hfo2_2018").stem() == "exp_step"
    with pytest.raises(ParameterError, match="no_such"):
        device_of("no_such")


def test_floor_is_the_floating_point_update():
    update = small("update")
    update.floor()()
    torch.testing.assert_close(update.floating, -update.lr * update.d.T @ update.x)
