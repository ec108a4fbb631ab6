# SPDX-License-Identifier: Apache-2.0
"""What the tests of programmed tiles share: the fixed tile, devices of one level, golden values."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import torch

from engine.inference import Faults, ProgrammedTile, Recipe, compensation, converters, noise
from engine.inference.draws import Draws
from engine.rng import derive_seed
from engine.tiles import IOParameters

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "inference_golden.json").read_text(encoding="utf-8"))
TILE = GOLDEN["peer"]["fixed_tile"]
TIMES = [float(t) for t in TILE["t"]]
YEAR = 31_536_000.0
DAY = 86_400.0
CPU = torch.device("cpu")
N = 400_000
PERFECT = IOParameters(is_perfect=True)
STANDARD = IOParameters(
    inp_res=1 / 254, out_res=1 / 254, out_bound=10.0, out_noise=0.04, w_noise=0.0175, w_noise_type="pcm_read",
    ir_drop=1.0, ir_drop_g_ratio=1 / (0.35 * 5e-6), noise_management="constant", nm_thres=1.0, bound_management="none",
)  # fmt: skip


@cache
def fixed_tile() -> tuple[torch.Tensor, torch.Tensor]:
    """Return weights ``(256, 256)`` and inputs ``(512, 256)`` that the peer was measured with."""
    rng = np.random.default_rng(1234)
    w = np.clip(rng.normal(0, 0.25, (256, 256)), -1, 1)
    w[0, 0] = 1
    x = rng.uniform(-1, 1, (512, 256))
    return torch.tensor(w, dtype=torch.float32), torch.tensor(x, dtype=torch.float32)


def recipe(model="pcm", converter=None, strategy="none", **others) -> Recipe:
    """Return a recipe from names or parts."""
    made = noise.made(model, "noise")
    given = made.converter() if converter is None else converters.made(converter, "converter")
    return Recipe(made, given, compensation.made(strategy, "compensation"), **others)


def programmed(weights: torch.Tensor, how: Recipe, chips: int = 10, io: IOParameters = PERFECT, seed: int = 7):
    """Return a tile on some chips."""
    seeds = tuple(derive_seed(seed, "chip", k) for k in range(chips))
    return ProgrammedTile(weights, how, seeds, io.pack())


def devices(model, level: float, count: int = N, chips: int = 1, seed: int = 3):
    """Return ``read(t)`` of ``count`` devices with one target (uS): ``(chip, count)`` float64; and their state."""
    draws = Draws(tuple(derive_seed(seed, k) for k in range(chips)), (1, 1, count), CPU)
    target = torch.full((1, 1, count), float(level))
    state = model.program(target, draws, 0)

    def read(t: float, read_id: int = 0) -> torch.Tensor:
        return model.conductances(target[None], state, t, draws, read_id)[:, 0, 0].double()

    return read, state


def close(found, wanted, relative: float) -> bool:
    """Return whether all numbers agree within a relative tolerance."""
    return bool(np.allclose(np.asarray(found, float), np.asarray(wanted, float), rtol=relative, atol=1e-12))


def slope(weights: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the least-squares slope on the wanted weights of each chip, ``(chip,)``."""
    return (weights.double() * wanted).sum((1, 2)) / (wanted.double() ** 2).sum()


def relative_error(tile: ProgrammedTile) -> torch.Tensor:
    """Return the norm of the error of compensated weights over that of the wanted ones, ``(chip,)``."""
    alpha = tile.alpha.double()
    factor = alpha[:, None, None] if alpha.dim() == 1 else alpha[:, :, None]
    wanted = tile.wanted.double()
    return (factor * tile.weights - wanted).norm(dim=(1, 2)) / wanted.norm()


def stuck(**rates) -> Faults:
    """Return stuck devices with exact counts."""
    from engine.tiles.faults import StuckFaults

    repair = rates.pop("repair", False)
    return Faults(StuckFaults(**rates), repair=repair)
