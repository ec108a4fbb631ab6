# SPDX-License-Identifier: Apache-2.0
"""Where the time of an update on a GPU goes: torch's profiler over a few of them, as a table."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from bench.gpu_rows import BATCH, COINCIDENCES, inputs
from engine import devices
from engine.cuda.availability import availability
from engine.tiles import Tile


def main(path: Path) -> int:
    """Write the table to ``path``; 1 without a GPU."""
    found = availability()
    if found.state != "available":
        print(f"{found.state}: {found.text}")
        return 1
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    parts = [f"{found.text}, batch {BATCH}\n"]
    for size in (512, 4096):
        device = devices.get("soft_bounds")()
        tile = Tile(size, size, device, seed=1, torch_device="cuda")
        x, d = inputs(size, BATCH, "cuda")
        lr = 4 * COINCIDENCES["moderate"] * device.granularity
        tile.update(x, d, lr)
        with torch.profiler.profile(activities=activities) as profile:
            for _ in range(5):
                tile.update(x, d, lr)
            torch.cuda.synchronize()
        parts.append(f"{size} x {size}\n{profile.key_averages().table(sort_by='cuda_time_total', row_limit=15)}\n")
    path.write_text("\n".join(parts))
    print(path.read_text())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
