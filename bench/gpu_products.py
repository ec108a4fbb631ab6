# SPDX-License-Identifier: Apache-2.0
"""Analog products on a GPU beside torch's matrix product there, checked against the CPU's outputs.

``python -m bench.gpu_products --json FILE`` writes a record after each row; docs/cuda.md explains the columns.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import torch

from bench.gpu_rows import Clock, on_gpu, repeated
from bench.machine import machine
from engine.cuda.availability import availability
from engine.cuda.product import multiply
from engine.devices.ideal import Ideal
from engine.tiles import IOParameters, Tile

SHAPES = ((64, 512, 512), (64, 1024, 1024), (256, 4096, 4096))  # batch, out, in
WAYS = ("forward", "backward")
# A code flips where the two sums lie on either side of a middle. With torch's product on a CPU in the place of the
# GPU's, two outputs in 10^5 did at most; another library may err more. A wrong draw or formula flips most of them.
MOST_FLIPPED = 1e-3
FEWEST_ALIKE = 0.95  # vectors of as many rounds on both sides: a flip at the bound repeats a vector on one side only


def tile_on(where: str, out: int, in_: int) -> Tile:
    """Return a tile with the default periphery, weights uniform in ``+-3 / sqrt(in)``: sums of order 1."""
    tile = Tile(out, in_, Ideal(), seed=1, torch_device=where)
    limit = 3 / math.sqrt(in_)
    weights = torch.empty(out, in_).uniform_(-limit, limit, generator=torch.Generator().manual_seed(2))
    tile.set_weights(weights.to(where))
    return tile


def vectors(batch: int, size: int) -> torch.Tensor:
    """Return inputs uniform in -1 .. 1, ``(batch, size)``."""
    return torch.empty(batch, size).uniform_(-1, 1, generator=torch.Generator().manual_seed(3))


def compare(ours: torch.Tensor, theirs: torch.Tensor, rounds: list[torch.Tensor], unit: torch.Tensor) -> dict:
    """Compare a GPU's outputs with the CPU's.

    Parameters
    ----------
    ours, theirs : torch.Tensor
        ``(batch, m)``, on the CPU.
    rounds : list of torch.Tensor
        Rounds of each vector on both sides, ``(batch,)``.
    unit : torch.Tensor
        What a code is worth, ``(batch, 1)``.

    Returns
    -------
    dict
        ``alike``, the share of vectors with equal rounds, and among these: ``flipped``, the share of outputs on another
        code, ``codes_apart``, the largest distance. ``as_cpu``: that is what the order of summation explains.
    """
    alike = rounds[0] == rounds[1]
    apart = ((ours - theirs).abs() / unit)[alike]
    share = float((apart > 0.5).double().mean()) if apart.numel() else 1.0
    furthest = float(apart.max()) if apart.numel() else math.inf
    same = float(alike.double().mean())
    good = same >= FEWEST_ALIKE and share <= MOST_FLIPPED and furthest < 1.01
    return {"alike": same, "flipped": share, "codes_apart": furthest, "as_cpu": good}


def agreement(way: str, batch: int, out: int, in_: int, where: str) -> dict:
    """Return `compare` of the first product of a tile on ``where`` and of one on the CPU."""
    v, found, rounds = vectors(batch, in_ if way == "forward" else out), [], []
    for place in (where, "cpu"):
        tile = tile_on(place, out, in_)
        found.append(getattr(tile, way)(v.to(place)).cpu())
        rounds.append(tile.rounds.cpu())
    io = IOParameters()
    unit = v.abs().amax(1, keepdim=True) * 2 ** (rounds[1][:, None] - 1) * 2 * io.out_bound * io.out_res
    return compare(*found, rounds, unit) | {"rounds_mean": float(rounds[0].double().mean())}


def row(way: str, shape: tuple[int, int, int], where: str, clock: Clock, repeats: int = 10) -> dict[str, Any]:
    """Measure one product; torch's is the same sums alone, in single precision without TF32."""
    batch, out, in_ = shape
    tile = tile_on(where, out, in_)
    v = vectors(batch, in_ if way == "forward" else out).to(where)
    ours = repeated(clock, lambda: getattr(tile, way)(v), repeats)
    theirs = repeated(clock, lambda: multiply(tile.weights, v, transposed=way == "backward"), repeats)
    return {
        "way": way, "batch": batch, "out": out, "in": in_, "ours_s": ours, "torch_s": theirs,
        "ratio_torch": ours / theirs, "gflop": 2e-9 * batch * out * in_, **agreement(way, *shape, where),
    }  # fmt: skip


def table(record: dict[str, Any]) -> str:
    """Return the record as Markdown."""
    lines = [
        f"Products, default IO. GPU: {record['gpu']}",
        "",
        "| way | batch x out x in | ours ms | torch ms | ours/torch | rounds | codes flipped | as CPU |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r['way']} | {r['batch']} x {r['out']} x {r['in']} | {r['ours_s'] * 1e3:.3f} | {r['torch_s'] * 1e3:.3f} | "
        f"{r['ratio_torch']:.1f} | {r['rounds_mean']:.2f} | {r['flipped']:.1e} | {'yes' if r['as_cpu'] else 'NO'} |"
        for r in record["rows"]
    ]
    return "\n".join(lines) + "\n"


def measure(path: Path, where: str, clock: Clock, seconds: float, gpu: str) -> dict[str, Any]:
    """Measure row after row until ``seconds`` are over, and write what is there after each."""
    end = time.monotonic() + seconds
    record: dict[str, Any] = {"machine": machine(), "gpu": gpu, "rows": []}
    for shape, way in ((s, w) for s in SHAPES for w in WAYS):
        if time.monotonic() > end:
            record["cut_short"] = True
            break
        record["rows"].append(row(way, shape, where, clock))
        path.write_text(json.dumps(record, indent=1))
    path.write_text(json.dumps(record, indent=1))
    path.with_suffix(".md").write_text(table(record))
    return record


def main() -> int:
    """Run on the GPU that is there; 1 without one, or where outputs differ by more than the order of summation."""
    parser = argparse.ArgumentParser(prog="python -m bench.gpu_products", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, required=True, help="where the record goes; the table beside it, as .md")
    parser.add_argument("--seconds", type=float, default=40, help="no new row begins after so many")
    options = parser.parse_args()
    found = availability()
    if found.state != "available":
        print(f"{found.state}: {found.text}. {found.remedy}")
        return 1
    record = measure(options.json, "cuda", on_gpu, options.seconds, found.text)
    print(table(record))
    return 0 if all(r["as_cpu"] for r in record["rows"]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
