# SPDX-License-Identifier: Apache-2.0
"""What a tile lives through in the tests, and everything it leaves behind."""

from __future__ import annotations

import any_device
import numpy as np
import torch

from engine.tiles import Tile, UpdateParameters

RICH = {
    "dw_min_std": 0.5,
    "write_noise_std": 3.0,
    "apply_write_noise_on_set": True,
    "corrupt_devices_prob": 0.1,
    "reference_std": 0.1,
    "subtract_symmetry_point": True,
    "dw_min_dtod_log_normal": True,
    "diffusion": 0.01,
    "diffusion_dtod": 0.3,
    "lifetime": 50.0,
    "lifetime_dtod": 0.3,
    "reset_dtod": 0.02,
    "reset_std": 0.01,
    "drift_nu": 0.05,
    "drift_nu_dtod": 0.3,
    "drift_nu_std": 0.1,
    "drift_w_noise_std": 0.01,
}
Found = dict[str, torch.Tensor]


def device_of(stem: str, **others):
    return any_device.make(stem, **RICH | others)


def samples(shape: tuple[int, int], count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x, d and a sample of each without pulses, as well as zeros among the others."""
    generator = torch.Generator().manual_seed(1)
    x, d = (torch.randn(count, n, generator=generator) for n in (shape[1], shape[0]))
    x[0], d[1] = 0.0, 0.0
    x[:, ::5] = 0.0
    return x, d


def construct(tile: Tile) -> Found:
    return {f"cell {n}": c.clone() for n, c in tile.cells.items()} | states(tile, "new")


def write(tile: Tile) -> Found:
    generator = torch.Generator().manual_seed(2)
    target = 0.4 * torch.randn(tuple(tile.hidden.shape), generator=generator)
    tile.set_weights(target.to(tile.torch_device))
    return states(tile, "written")


def pulses(tile: Tile) -> Found:
    found = {}
    found["hidden trace"], found["apparent trace"] = tile.pulse([1, 1, -1, 0, 1, -1, 1])
    each = np.random.default_rng(3).choice([-1, 0, 1], (6, *tile.hidden.shape))
    found["hidden each"], found["apparent each"] = tile.pulse(each, read_every=4)
    return found | states(tile, "pulsed")


def updates(tile: Tile, count: int = 6, lr: float = 0.1) -> Found:
    x, d = (v.to(tile.torch_device) for v in samples(tuple(tile.hidden.shape), count))
    tile.update(x, d, lr)
    return states(tile, "updated")


def in_time(tile: Tile) -> Found:
    """The second drift is the first that moves a weight, and only where nothing was written in between."""
    found = {}
    for name, act in {
        "diffusion": tile.diffuse,
        "decay": tile.decay,
        "decay but the last column": lambda: tile.decay(0.5, skip_last_column=True),
        "reset": lambda: tile.reset_columns(tile.in_features - 1, 3, 0.5),
        "drift begins": lambda: tile.drift(1.0),
        "drift": lambda: tile.drift(10.0),
        "clip": tile.clip,
    }.items():
        act()
        found |= states(tile, name)
    return found


def states(tile: Tile, name: str) -> Found:
    return {f"hidden {name}": tile.hidden.clone(), f"apparent {name}": tile.weights.clone()}


def whole_life(stem: str, shape: tuple[int, int], torch_device: str) -> Found:
    """Every kind of call, with every kind of noise and pulses counted."""
    tile = Tile(*shape, device_of(stem), seed=7, count_pulses=True, torch_device=torch_device)
    found = construct(tile) | write(tile) | pulses(tile) | updates(tile)
    found["up"], found["down"] = (c.clone() for c in tile.pulse_counts)
    return found | in_time(tile)


def updated(stem: str, shape: tuple[int, int], torch_device: str, update: UpdateParameters, **how) -> Found:
    """An update alone, without counters."""
    noise = how.pop("write_noise_std", 0.0)
    tile = Tile(*shape, device_of(stem, write_noise_std=noise), update=update, seed=7, torch_device=torch_device)
    return updates(tile, **how)


def assert_same_bits(ours: Found, theirs: Found) -> None:
    assert set(ours) == set(theirs)
    for name in ours:
        one, other = ours[name].cpu(), theirs[name].cpu()
        differing = int((one != other).sum())
        assert torch.equal(one, other), (
            f"{name}: {differing} of {one.numel()}, first {one[one != other][:3]} {other[one != other][:3]}"
        )
