# SPDX-License-Identifier: Apache-2.0
"""Time MiniLM-L6 on tiles beside torch: ``python -m bench.embedding [--repeats N] [--threads N ...] [--json FILE]``.

The 706 strings of WordSim-353 (both words of each pair) become vectors: in floating point, then the model is converted
with default converters, then again on its tiles. The three alternate in one run, so a ratio is of neighbours in time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bench import machine
from bench.converted_networks import default
from bench.meters import Clocked, clock, spread
from engine.errors import PackageError
from engine.nn import convert
from explorer import networks

NETWORK = "minilm-l6"
LIMIT = 2.5
"""Most times longer than floating point that conversion and embedding together are to take."""
HEAD = (
    "threads", "digital, s", "convert, s", "analog, s", "analog/digital", "with conversion", "the same, CPU", "load",
)  # fmt: skip


def alternating(model: torch.nn.Module, inputs: list[torch.Tensor], repeats: int) -> dict[str, list[Clocked]]:
    """Return what each of ``repeats`` rounds took after one that warms up: digital, conversion, analog."""
    times: dict[str, list[Clocked]] = {"digital": [], "convert": [], "analog": []}
    for _ in range(repeats + 1):
        made: list[torch.nn.Module] = []
        steps: dict[str, Callable[[], object]] = {
            "digital": lambda: embed(model, inputs),
            "convert": lambda made=made: made.append(convert(model, default())),
            "analog": lambda made=made: embed(made[0], inputs),
        }
        for name, step in steps.items():
            times[name].append(clock(step))
    return {name: series[1:] for name, series in times.items()}


def embed(model: torch.nn.Module, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the vectors of all inputs."""
    with torch.no_grad():
        return [model(x) for x in inputs]


def record(times: dict[str, list[Clocked]]) -> dict[str, Any]:
    """Return medians with extremes, and the ratios of neighbours."""
    found: dict[str, Any] = {}
    for name, series in times.items():
        least, middle, most = spread([one.wall_s for one in series])
        found |= {f"{name}_s": middle, f"{name}_min_s": least, f"{name}_max_s": most}
    rounds = list(zip(times["digital"], times["convert"], times["analog"], strict=True))
    ratios = {
        "ratio": [a.wall_s / d.wall_s for d, _, a in rounds],
        "ratio_with_conversion": [(c.wall_s + a.wall_s) / d.wall_s for d, c, a in rounds],
        "ratio_with_conversion_cpu": [(c.cpu_s + a.cpu_s) / d.cpu_s for d, c, a in rounds],
    }
    for name, series in ratios.items():
        least, middle, most = spread(series)
        found |= {name: middle, f"{name}_min": least, f"{name}_max": most}
    return found


def measured(threads: int, repeats: int) -> dict[str, Any]:
    """Return the row of a number of threads."""
    network = networks.get_scored(NETWORK)
    model, inputs = network.trained(), network.strings()
    torch.set_num_threads(threads)
    before = machine.load()
    found = record(alternating(model, inputs, repeats))
    around = {"load_before": before, "load_after": machine.load()}
    counts = {"strings": sum(len(x) for x in inputs), "tokens": sum(x.numel() for x in inputs)}
    return {"network": NETWORK, "threads": threads, "repeats": repeats, "limit": LIMIT, **counts, **found, **around}


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table for a page."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for r in rows:
        cells = [str(r["threads"]), *(f"{r[f'{name}_s']:.3f}" for name in ("digital", "convert", "analog"))]
        cells += [f"{r[n]:.2f}" for n in ("ratio", "ratio_with_conversion", "ratio_with_conversion_cpu")]
        lines.append("| " + " | ".join([*cells, f"{r['load_before']:.1f}"]) + " |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; the exit status is 1 where the package is not installed."""
    parser = argparse.ArgumentParser(description="Time MiniLM-L6 on tiles beside torch.")
    parser.add_argument("--repeats", type=int, default=10, help="rounds after the first (default: 10)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of torch (default: 1 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        parser.error(f"--repeats = {options.repeats}: too few (at least 1).")
    try:
        rows = [measured(threads, options.repeats) for threads in options.threads]
    except PackageError as problem:
        print(problem, file=sys.stderr)
        return 1
    print(table(rows))
    if options.json is not None:
        kept = {"benchmark": "embedding", "machine": machine.machine(), "rows": rows}
        options.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
