# SPDX-License-Identifier: Apache-2.0
"""The GPU's kernels give the bits of the CPU's: on a GPU, and everywhere through the emulator (T37)."""

import lives
import pytest
import torch

from engine import devices, ops
from engine.cuda import program
from engine.tiles import Tile, UpdateParameters

PULSED = [s for s in devices.names() if devices.get(s).pulsed]
NARROW = (5, 70)  # no multiple of a warp
WIDE = (2, 1100)  # two spans, the second with idle threads


@pytest.fixture(scope="module")
def lives_prepared(emulator) -> None:
    """The kernels of every device's life, compiled on all cores instead of one by one."""
    headers = sorted({devices.get(s).header() for s in devices.names()})
    noisy = [(h, ops.schema(h)["has_write_noise"], len(ops.schema(h)["cells"])) for h in headers]
    tiles = [program.tile_program(h, write_noise=w, cells=c) for h, w, c in noisy]
    form = {"counts": True, "kind": 0, "words": 1, "columns": NARROW[1]}
    updates = [program.update_program(h, write_noise=w, cells=c, **form)[0] for h, w, c in noisy if h in PULSED]
    emulator.prepare([*tiles, *updates])


@pytest.mark.conformance("T37")
@pytest.mark.usefixtures("lives_prepared")
@pytest.mark.parametrize("stem", devices.names())
def test_life_of_a_tile_on_a_gpu_has_the_bits_of_the_cpu(stem, place):
    ours = lives.whole_life(stem, NARROW, "cpu")
    with place() as where:
        theirs = lives.whole_life(stem, NARROW, where)
    lives.assert_same_bits(ours, theirs)
    if devices.get(stem).pulsed:
        assert int(ours["up"].sum()) > 20
        assert (ours["hidden updated"] != ours["hidden pulsed"]).any()


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("write_noise", [0.0, 3.0])
def test_update_over_two_spans_has_the_bits_of_the_cpu_whoever_goes_first(write_noise, backwards, emulator):
    """A thread that read what another had still to write would show when the order is turned round."""
    ours = lives.updated("exp_step", WIDE, "cpu", UpdateParameters(), write_noise_std=write_noise)
    emulator.backwards = backwards
    with emulator.instead_of_a_gpu() as where:
        theirs = lives.updated("exp_step", WIDE, where, UpdateParameters(), write_noise_std=write_noise)
    emulator.backwards = False
    lives.assert_same_bits(ours, theirs)


UPDATES = {
    "narrow": ((3, 7), UpdateParameters()),
    "single column": ((40, 1), UpdateParameters()),
    "half a span": ((3, 300), UpdateParameters()),
    "several words": (NARROW, UpdateParameters(desired_bl=100)),
    "one slot": (NARROW, UpdateParameters(desired_bl=1)),
    "trains that grow": (NARROW, UpdateParameters(desired_bl=5, fixed_bl=False, update_bl_management=False)),
    "bins": (NARROW, UpdateParameters(res=0.05)),
    "stochastic bins": (NARROW, UpdateParameters(res=0.05, sto_round=True)),
    "mean count": (NARROW, UpdateParameters(pulse_type="mean_count")),
    "mean count, stochastic bins": (NARROW, UpdateParameters(pulse_type="mean_count", res=0.02, sto_round=True)),
    "implicit": (NARROW, UpdateParameters(pulse_type="deterministic_implicit", x_res_implicit=0.1)),
    "digital": (NARROW, UpdateParameters(pulse_type="none")),
    "digital with bounds": (NARROW, UpdateParameters(pulse_type="none_with_device")),
}


@pytest.mark.parametrize(("shape", "update"), UPDATES.values(), ids=UPDATES)
def test_update_of_every_kind_has_the_bits_of_the_cpu(shape, update, place):
    ours = lives.updated("soft_bounds", shape, "cpu", update)
    with place() as where:
        theirs = lives.updated("soft_bounds", shape, where, update)
    lives.assert_same_bits(ours, theirs)
    assert (ours["hidden updated"] != 0).any()


@pytest.mark.parametrize("kind", ["stochastic_compressed", "mean_count"])
def test_update_with_a_hundred_pulses_at_a_crosspoint_has_the_bits_of_the_cpu(kind, place):
    """More levels than are voted on together, more draws than shared memory holds, twice over."""
    update = UpdateParameters(pulse_type=kind, desired_bl=100, update_bl_management=False)
    ours = lives.updated("soft_bounds", (2, 300), "cpu", update, lr=20.0, count=3, write_noise_std=1.0)
    with place() as where:
        theirs = lives.updated("soft_bounds", (2, 300), where, update, lr=20.0, count=3, write_noise_std=1.0)
    lives.assert_same_bits(ours, theirs)
    x, d = lives.samples((2, 300), 3)
    assert update.job(x, d, 20.0, lives.device_of("soft_bounds").granularity).coincidences(7, 0).abs().max() > 64


def test_update_of_many_samples_in_slices_has_the_bits_of_one_call(place, monkeypatch):
    ours = lives.updated("soft_bounds", NARROW, "cpu", UpdateParameters(), count=40)
    monkeypatch.setattr("engine.cuda.arrays._SCRATCH", 4 * 7 * sum(NARROW))  # seven samples at a time
    with place() as where:
        theirs = lives.updated("soft_bounds", NARROW, where, UpdateParameters(), count=40)
    lives.assert_same_bits(ours, theirs)


@pytest.mark.parametrize("stem", devices.names())
@pytest.mark.parametrize("direction", [1, -1])
def test_step_on_a_gpu_has_the_bits_of_the_cpu(stem, direction, place):
    w = 0.3 * torch.randn(NARROW, generator=torch.Generator().manual_seed(4))
    device = lives.device_of(stem)
    with place() as where:
        tile = Tile(*NARROW, device, seed=7, torch_device=where)
        found = tile._arrays.step(w.to(tile.torch_device), direction)
        cells = {n: c.cpu().numpy() for n, c in tile._arrays.cells.items()}
    for ours, theirs in zip(device.steps_of(cells, w.numpy(), direction), found, strict=True):
        assert torch.equal(torch.as_tensor(ours), theirs.cpu())


@pytest.mark.parametrize("normal", [True, False])
def test_random_numbers_of_a_gpu_are_those_of_the_cpu(normal, place):
    draw = ops.element_normals if normal else ops.element_uniforms
    ours = draw(2**61 + 3, "diffusion", 2**40 + 5, 1001, 3)
    with place() as where:
        theirs = draw(2**61 + 3, "diffusion", 2**40 + 5, 1001, 3, torch.device(where))
    assert torch.equal(ours, theirs.cpu())


@pytest.mark.parametrize("kind", ["stochastic_compressed", "mean_count", "deterministic_implicit"])
def test_coincidences_on_a_gpu_are_those_of_the_cpu(kind, place):
    x, d = lives.samples((37, 45), 5)
    update = UpdateParameters(pulse_type=kind, desired_bl=70)
    ours = update.job(x, d, 3.0, 0.01).coincidences(11, 2**33)
    with place() as where:
        theirs = update.job(x.to(where), d.to(where), 3.0, 0.01).coincidences(11, 2**33)
    assert torch.equal(ours, theirs.cpu())
    assert ours.unique().numel() > 4
