# SPDX-License-Identifier: Apache-2.0
"""Pulsed updates on a GPU beside torch's own rank update there, with bytes, operations and the share of the roofline.

Every row checks its answer against the CPU's, bit by bit. ``python -m bench.gpu_rows --json FILE`` writes a record
after each row, so that what was measured survives a time-out; docs/cuda.md explains the columns.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench.machine import machine
from engine import devices
from engine.cuda.availability import availability
from engine.tiles import Tile

DEVICES = ("constant_step", "soft_bounds", "soft_bounds_reference", "exp_step")
SIZES = (512, 1024, 4096)
BATCH = 64
COINCIDENCES = {"dense": 1.9, "moderate": 0.38}  # mean pulses per crosspoint and sample, as in bench.operations.update
CHECKED = 512  # rows of a tile that are compared with the CPU's
CPU_SIZE = 4096  # of the comparison with the CPU engine
# Instructions that an update cannot do without, counted in core/random.h and the headers.
CALL = 10 * 10  # a call of the generator, four draws: ten rounds of 4 half products, 4 exclusive ors, 2 sums
NORMAL = 22  # a normal: half of a logarithm, a root, a sine with its cosine
PULSE = 12  # a constant step with noise, clipped: the least a device does
LOOK = 4  # each crosspoint and sample: load, and, count ones, compare
Clock = Callable[[Callable[[], object]], float]


def on_gpu(call: Callable[[], object]) -> float:
    """Return the seconds between two marks on the stream before and after ``call``."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    begin.record()
    call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3


def on_cpu(call: Callable[[], object]) -> float:
    """Return the seconds that ``call`` takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def repeated(clock: Clock, call: Callable[[], object], repeats: int) -> float:
    """Return the median time, after one call that is not counted."""
    call()
    return statistics.median(clock(call) for _ in range(repeats))


def inputs(size: int, batch: int, where: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x and d, uniform in -1 .. 1."""
    source = torch.Generator().manual_seed(20160101)
    return tuple((2 * torch.rand(batch, size, generator=source) - 1).to(where) for _ in range(2))


def work(tile: Tile, x: torch.Tensor, d: torch.Tensor, lr: float) -> dict[str, float]:
    """Return what an update has to do at least: bytes moved, pulses, operations."""
    few = (v[:, :CHECKED].contiguous() for v in (x, d))
    job = tile.config.update.job(*few, lr, tile.device.granularity)
    share = float(job.coincidences(tile.seed, 0).abs().float().mean())
    crosspoints, batch = tile.hidden.numel(), x.shape[0]
    pulses = share * crosspoints * batch
    arrays = len(tile._arrays.cells) + 3  # each cell array and the hidden weight read, both weights written
    return {
        "bytes": 4.0 * arrays * crosspoints + 4.0 * (x.numel() + d.numel()),
        "pulses": pulses,
        "operations": pulses * (CALL / 4 + NORMAL + PULSE) + LOOK * crosspoints * batch,
    }


def limits(where: str, clock: Clock) -> dict[str, float]:
    """Return bytes a second of a copy and operations a second of single-precision arithmetic, both measured here."""
    many = torch.empty(1 << (28 if where == "cuda" else 20), device=where)
    other = torch.empty_like(many)
    copied = 2 * 4 * many.numel() / repeated(clock, lambda: other.copy_(many), 5)
    size = 8192 if where == "cuda" else 256
    a, b = (torch.rand(size, size, device=where) for _ in range(2))
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    # A fused multiply-add is two operations to a product, one instruction to us, who must not fuse.
    instructions = size**3 / repeated(clock, lambda: a @ b, 5)
    torch.backends.cuda.matmul.allow_tf32 = before
    return {"bytes_per_s": copied, "operations_per_s": instructions}


def row(stem: str, size: int, density: str, where: str, clock: Clock, top: dict[str, float], repeats: int = 10) -> dict:
    """Measure one tile; compare a tile of the same kind, small enough for the CPU, with the CPU's."""
    device = devices.get(stem)()
    lr = 4 * COINCIDENCES[density] * device.granularity
    x, d = inputs(size, BATCH, where)
    tile = Tile(size, size, device, seed=1, torch_device=where)
    weights = torch.zeros(size, size, device=where)
    ours = repeated(clock, lambda: tile.update(x, d, lr), repeats)
    theirs = repeated(clock, lambda: weights.addmm_(d.T, x, alpha=-lr), repeats)
    needed = work(tile, x, d, lr)
    least = max(needed["bytes"] / top["bytes_per_s"], needed["operations"] / top["operations_per_s"])
    return {
        "device": stem, "size": size, "batch": BATCH, "density": density, "ours_s": ours, "torch_s": theirs,
        "ratio_torch": ours / theirs, **needed, "roofline_s": least, "roofline_share": least / ours,
        "bound_by": "memory" if least == needed["bytes"] / top["bytes_per_s"] else "arithmetic",
        "same_bits_as_cpu": agrees(stem, lr, where),
    }  # fmt: skip


def agrees(stem: str, lr: float, where: str) -> bool:
    """Return whether an update on ``where`` leaves the weights that it leaves on the CPU."""
    found = []
    for place in ("cpu", where):
        tile = Tile(CHECKED // 8, CHECKED, devices.get(stem)(), seed=1, torch_device=place)
        x, d = inputs(CHECKED, 8, place)
        tile.update(x, d[:, : CHECKED // 8].contiguous(), lr)
        found.append(tile.weights.cpu())
    return torch.equal(*found)


def beside_the_cpu(stem: str, where: str, clock: Clock, size: int = CPU_SIZE) -> dict[str, Any]:
    """Return how many times faster than two threads of the CPU engine the GPU updates one large tile."""
    device, times = devices.get(stem)(), {}
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    for side, place, by in (("cpu_s", "cpu", on_cpu), ("gpu_s", where, clock)):
        tile = Tile(size, size, device, seed=1, torch_device=place)
        x, d = inputs(size, BATCH, place)
        lr = 4 * COINCIDENCES["moderate"] * device.granularity
        times[side] = repeated(by, lambda t=tile, a=x, b=d, r=lr: t.update(a, b, r), 1 if place == "cpu" else 10)
    torch.set_num_threads(before)
    return {"device": stem, "size": size, "batch": BATCH, **times, "ratio_cpu": times["cpu_s"] / times["gpu_s"]}


def table(record: dict[str, Any]) -> str:
    """Return the record as Markdown."""
    lines = [
        f"GPU: {record['gpu']}; a copy moves {record['limits']['bytes_per_s'] / 1e9:.0f} GB/s, "
        f"single precision {record['limits']['operations_per_s'] / 1e12:.2f} T instructions/s",
        "",
        "| device | tile | pulses | ours ms | torch ms | ours/torch | GB | Gop | bound by | of roofline | as CPU |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in record["rows"]:
        lines.append(
            f"| {r['device']} | {r['size']}² | {r['density']} | {r['ours_s'] * 1e3:.3f} | {r['torch_s'] * 1e3:.3f} | "
            f"{r['ratio_torch']:.1f} | {r['bytes'] / 1e9:.3f} | {r['operations'] / 1e9:.1f} | {r['bound_by']} | "
            f"{r['roofline_share']:.2f} | {'yes' if r['same_bits_as_cpu'] else 'NO'} |"
        )
    for r in record["cpu"]:
        lines += ["", f"{r['device']}, {r['size']}²: {r['cpu_s'] * 1e3:.0f} ms on two threads of the CPU, "
                  f"{r['gpu_s'] * 1e3:.2f} ms here: {r['ratio_cpu']:.0f} times faster"]  # fmt: skip
    return "\n".join(lines) + "\n"


def write(path: Path, record: dict[str, Any]) -> None:
    """Replace the file in one step, so that a reader never meets a half."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1))
    part.replace(path)
    path.with_suffix(".md").write_text(table(record))


def measure(path: Path, where: str, clock: Clock, sizes: tuple[int, ...], seconds: float, gpu: str) -> dict[str, Any]:
    """Measure row after row until ``seconds`` are over; the comparison with the CPU comes first."""
    end = time.monotonic() + seconds
    record: dict[str, Any] = {"machine": machine(), "gpu": gpu, "limits": limits(where, clock), "cpu": [], "rows": []}
    record["cpu"].append(beside_the_cpu("soft_bounds", where, clock, max(sizes)))
    write(path, record)
    for density, size, stem in itertools.product(COINCIDENCES, sizes, DEVICES):
        if time.monotonic() > end:
            record["cut_short"] = True
            break
        record["rows"].append(row(stem, size, density, where, clock, record["limits"]))
        write(path, record)
    write(path, record)
    return record


def main() -> int:
    """Run on the GPU that is there; 1 without one, or where an answer is not the CPU's."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_rows", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where the record goes; the table beside it, as .md")
    parser.add_argument("--seconds", type=float, default=150, help="no new row begins after so many")
    options = parser.parse_args()
    found = availability()
    if found.state != "available":
        print(f"{found.state}: {found.text}. {found.remedy}")
        return 1
    record = measure(options.json, "cuda", on_gpu, SIZES, options.seconds, found.text)
    print(table(record))
    return 0 if all(r["same_bits_as_cpu"] for r in record["rows"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
