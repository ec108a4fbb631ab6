# SPDX-License-Identifier: Apache-2.0
"""One seed gives one result: for any number of threads, any instruction set, in any process (T38)."""

import any_device
import numpy as np
import pytest
import torch

from engine import devices, ops
from engine.devices.soft_bounds import SoftBounds
from engine.errors import BuildError
from engine.tiles import IOParameters, Tile

SHAPE = (301, 467)  # no multiples of the kernels' blocks, and work enough for a second thread
NOISY = IOParameters(inp_noise=0.01, w_noise=0.02, inp_res=1 / 126)
RICH = {
    "dw_min_std": 0.5,
    "write_noise_std": 3.0,
    "corrupt_devices_prob": 0.1,
    "reference_std": 0.1,
    "dw_min_dtod_log_normal": True,
    "diffusion": 0.01,
    "diffusion_dtod": 0.3,
    "lifetime": 50.0,
    "lifetime_dtod": 0.3,
    "reset_dtod": 0.02,
    "drift_nu": 0.05,
    "drift_nu_dtod": 0.3,
    "drift_nu_std": 0.1,
    "drift_w_noise_std": 0.01,
}


def device_of(stem: str):
    return any_device.make(stem, **RICH)


def history(stem: str, *, seed: int = 7, construction_seed: int | None = None, shape=SHAPE) -> dict[str, torch.Tensor]:
    """Return everything that a life with every kind of call leaves behind."""
    tile = Tile(*shape, device_of(stem), NOISY, NOISY, seed=seed, construction_seed=construction_seed)
    generator = torch.Generator().manual_seed(1)
    x, d = torch.randn(5, shape[1], generator=generator), torch.randn(5, shape[0], generator=generator)
    found = {f"cell {n}": c.clone() for n, c in tile.cells.items()}
    tile.set_weights(0.2 * torch.randn(shape, generator=generator))
    found["set"] = tile.weights.clone()
    found["hidden trace"], found["apparent trace"] = tile.pulse([1, 1, -1, 1, -1, 1])
    tile.update(x, d, 0.05)
    found["update"], found["update hidden"] = tile.weights.clone(), tile.hidden.clone()
    found["forward"], found["backward"] = tile.forward(x), tile.backward(d)
    return found | in_time(tile)


def in_time(tile: Tile) -> dict[str, torch.Tensor]:
    """Return what the processes in time leave behind; the second drift call is the first that moves a weight."""
    found = {}
    for name, act in {
        "diffusion": tile.diffuse,
        "decay": tile.decay,
        "reset": lambda: tile.reset_columns(1, 3, 0.5),
        "drift begins": lambda: tile.drift(1.0),
        "drift": lambda: tile.drift(10.0),
    }.items():
        act()
        found[name], found[f"{name} hidden"] = tile.weights.clone(), tile.hidden.clone()
    return found


def assert_same_bits(one: dict, other: dict) -> None:
    assert set(one) == set(other)
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.conformance("T38")
@pytest.mark.parametrize("stem", devices.names())
def test_two_threads_give_the_bits_of_one(stem, threads):
    threads(1)
    assert ops.threads_for(SHAPE[0] * SHAPE[1]) == 1
    single = history(stem)
    threads(2)
    assert ops.threads_for(SHAPE[0] * SHAPE[1]) == 2  # the smallest call of the history really runs on two
    assert_same_bits(single, history(stem))


@pytest.mark.conformance("T38")
@pytest.mark.parametrize("stem", devices.names())
def test_every_instruction_set_gives_the_same_bits(stem, instruction_set):
    available = ops.build_info()["isa_available"]
    if len(available) < 2:
        pytest.skip(f"only {available} runs on this CPU")
    instruction_set("portable")
    plain = history(stem, shape=(67, 131))
    for isa in available:
        instruction_set(isa)
        assert ops.build_info()["isa"] == isa
        assert_same_bits(plain, history(stem, shape=(67, 131)))


def test_random_numbers_are_the_same_on_every_instruction_set(instruction_set):
    drawn = []
    for isa in ops.build_info()["isa_available"]:
        instruction_set(isa)
        drawn.append(ops.normals(3, "forward_output", 9, 10_001))
    for other in drawn[1:]:
        np.testing.assert_array_equal(other, drawn[0])


def test_unknown_instruction_set_names_the_available_ones():
    with pytest.raises(BuildError, match=r"instruction set = 'sse9'.*portable"):
        ops.use_isa("sse9")


@pytest.mark.conformance("T38")
@pytest.mark.parametrize("stem", devices.names())
def test_same_seed_same_bits_other_seed_other_bits(stem):
    one, two, other = history(stem, shape=(9, 13)), history(stem, shape=(9, 13)), history(stem, seed=8, shape=(9, 13))
    assert_same_bits(one, two)
    noisy = ["forward", "backward", "diffusion", *(["update", "hidden trace"] if devices.get(stem).pulsed else [])]
    for name in noisy:
        assert not torch.equal(one[name], other[name]), name


@pytest.mark.conformance("T38")
@pytest.mark.parametrize("stem", [s for s in devices.names() if devices.get(s).pulsed])
def test_construction_seed_fixes_the_devices_only(stem):
    shape = (9, 13)
    one = history(stem, seed=7, construction_seed=5, shape=shape)
    same_chip = history(stem, seed=8, construction_seed=5, shape=shape)
    other_chip = history(stem, seed=7, construction_seed=6, shape=shape)
    for name in one:
        if name.startswith("cell"):
            assert torch.equal(one[name], same_chip[name]), name
            assert not torch.equal(one[name], other_chip[name]), name
    assert not torch.equal(one["hidden trace"], same_chip["hidden trace"])
    default = history(stem, seed=7, shape=shape)
    assert_same_bits(default, history(stem, seed=7, construction_seed=7, shape=shape))


@pytest.mark.conformance("T38")
def test_construction_seed_leaves_the_noise_of_the_seed():
    """Output noise belongs to the seed: two chips with equal weights read with equal noise."""
    io = IOParameters(inp_res=0.0, out_res=0.0)
    reads = []
    for chip in (1, 2):
        tile = Tile(5, 4, SoftBounds(), io, seed=3, construction_seed=chip)
        tile.hidden.zero_()
        tile.weights.zero_()
        reads.append(tile.forward(torch.ones(10, 4)))
    torch.testing.assert_close(reads[0], reads[1], rtol=0, atol=0)


def test_crosspoints_rows_and_columns_draw_different_numbers():
    tile = Tile(60, 70, device_of("soft_bounds"), seed=1)
    trace = tile.pulse([1, 1, 1, 1]).hidden
    steps = torch.diff(trace, dim=0).flatten()
    moving = steps[steps != 0]
    assert moving.unique().numel() > 0.99 * moving.numel()
