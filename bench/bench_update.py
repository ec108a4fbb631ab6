# SPDX-License-Identifier: Apache-2.0
"""Pulsed update: nanoseconds per sample and crosspoint, beside a floating-point update and, if installed, aihwkit.

    python bench/bench_update.py [--size 512] [--batch 64] [--threads 1] [--json FILE]

Every row checks its answer: the mean weight change has to be the floating-point one within 5 standard errors.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from harness import finish, parser

from engine import presets
from engine.tiles import Tile


@dataclass(frozen=True)
class Case:
    """One row: preset and mean number of coincidences per crosspoint and sample."""

    preset: str
    coincidences: float


CASES = [Case(p, n) for p in ("idealized_symmetric", "capacitor_14nm_2018", "reram_exp_hfo2_2018") for n in (0.38, 1.9)]


def best_of(call, repeats: int = 5) -> float:
    """Return the shortest of ``repeats`` run times, seconds."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def inputs(size: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x and d, uniform in -1..1, ``(batch, size)`` each."""
    generator = torch.Generator().manual_seed(0)
    return tuple(2 * torch.rand(batch, size, generator=generator) - 1 for _ in range(2))


def answer_error(size: int, batch: int) -> float:
    """Return how far the mean update is from the floating-point one, in standard errors (noise-free constant step)."""
    device = presets.load("idealized_symmetric").nominal().copy(w_max=10.0, w_min=-10.0)
    x, d = inputs(size, batch)
    lr = 7.6 * device.granularity
    tile = Tile(size, size, device)
    tile.update(x, d, lr)
    wanted = -lr * d.T @ x
    off = (tile.weights - wanted).double()
    return float(off.mean().abs() / (off.std() / off.numel() ** 0.5))


def run(case: Case, size: int, batch: int) -> dict:
    """Time one case; returns the row."""
    x, d = inputs(size, batch)
    device = presets.load(case.preset)
    lr = 4 * case.coincidences * device.granularity  # mean |x d| is 1/4 of the largest pair
    tile = Tile(size, size, device)
    seconds = best_of(lambda: tile.update(x, d, lr))
    weights = torch.zeros(size, size)
    digital = best_of(lambda: weights.addmm_(d.T, x, alpha=-lr))
    work = size * size * batch
    row = {"preset": case.preset, "coincidences": case.coincidences, "ns": seconds / work * 1e9}
    row["times_float"] = seconds / digital
    peer = peer_seconds(case, size, x, d, lr)
    if peer is not None:
        row |= {"peer_ns": peer / work * 1e9, "peer_over_ours": peer / seconds}
    return row


def peer_seconds(case: Case, size: int, x: torch.Tensor, d: torch.Tensor, lr: float) -> float | None:
    """Return aihwkit's time for the same update, or None where it is not installed."""
    try:
        from aihwkit.simulator.configs import SingleRPUConfig
        from aihwkit.simulator.presets import devices
        from aihwkit.simulator.tiles import AnalogTile
    except ImportError:
        return None
    names = {
        "idealized_symmetric": "IdealizedPresetDevice",
        "capacitor_14nm_2018": "CapacitorPresetDevice",
        "reram_exp_hfo2_2018": "ReRamESPresetDevice",
    }
    tile = AnalogTile(size, size, SingleRPUConfig(device=getattr(devices, names[case.preset])()))
    tile.set_learning_rate(lr)
    return best_of(lambda: tile.update(x, d), repeats=2)


def main() -> None:
    """Run all cases and print the table."""
    options = parser(__doc__, size=512, batch=64)
    torch.set_num_threads(options.threads)
    error = answer_error(options.size, options.batch)
    if not error < 5:
        raise SystemExit(f"wrong answer: mean update {error:.1f} standard errors off")
    rows = [run(case, options.size, options.batch) for case in CASES]
    finish("update", rows, options, checked={"mean_update_standard_errors": error})


if __name__ == "__main__":
    main()
