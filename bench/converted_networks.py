# SPDX-License-Identifier: Apache-2.0
"""Score the gallery's networks on tiles: ``python -m bench.converted_networks [name ...] [--seeds N] [--json FILE]``.

Every network once in floating point, once with perfect periphery (largest difference of the outputs, and score) and
with default periphery for several seeds. Devices are ideal: what is lost is lost to converters and noise of the
product. docs/networks.md holds the table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

from bench import machine
from bench.meters import clock
from engine.devices.ideal import Ideal
from engine.errors import PackageError
from engine.nn import analog_layers, convert
from engine.tiles import IOParameters, MappingParameters, TileConfig
from explorer import networks

PERFECT = IOParameters(is_perfect=True)
MAPPED = MappingParameters(weight_scaling_omega=1.0, weight_scaling_columnwise=True)
LONGEST_S = 3.0  # of alternating pairs; one is made in any case
HEAD = ("network", "measure", "digital", "perfect", "difference", "default, mean", "spread", "seeds",
        "CPU s a seed", "time, analog/digital")


def perfect() -> TileConfig:
    """Return tiles that multiply exactly."""
    return TileConfig(Ideal(), PERFECT, PERFECT, mapping=MAPPED)


def default() -> TileConfig:
    """Return tiles with the default periphery; weights are scaled so that the largest of each output is 1."""
    return TileConfig(Ideal(), mapping=MAPPED)


def difference(one: torch.nn.Module, other: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> float:
    """Return the largest difference of two models' outputs, as a share of the largest output."""
    with torch.no_grad():
        expected, found = one(*inputs), other(*inputs)
    return ((expected - found).abs().max() / expected.abs().max()).item()


def time_ratio(network: networks.ScoredNetwork, model: torch.nn.Module, analog: torch.nn.Module) -> float:
    """Return how many times longer the converted model is scored than the digital one: median of
    alternating pairs."""
    pairs, began = [], time.perf_counter()
    while not pairs or time.perf_counter() - began < LONGEST_S:
        times = [clock(lambda one=one: network.score(one)).wall_s for one in (model, analog)]
        pairs.append(times[1] / times[0])
    return statistics.median(pairs[1:] or pairs)  # the first pair warms up


def measured(name: str, seeds: int | None = None) -> dict[str, Any]:
    """Return the row of one network; ``seeds`` None takes as many as the network asks for."""
    network = networks.get_scored(name)
    model = network.trained()
    exact = convert(model, perfect())
    began = time.process_time()
    count = network.seeds if seeds is None else seeds
    scores = [network.score(convert(model, default(), seed=seed)) for seed in range(count)]
    seconds = (time.process_time() - began) / count
    return {
        "network": name,
        "time_ratio": time_ratio(network, model, convert(model, default(), seed=0)),
        "measure": network.measure,
        "parameters": sum(p.numel() for p in model.parameters()),
        "matrices": len(analog_layers(exact)),
        "digital": network.score(model),
        "perfect": network.score(exact),
        "difference": difference(model, exact, network.probe()),
        "scores": scores,
        "mean": statistics.fmean(scores),
        "spread": statistics.stdev(scores) if count > 1 else None,
        "seeds": count,
        "seconds_per_seed": seconds,
    }


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table for a page."""
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    for row in rows:
        spread = "-" if row["spread"] is None else f"{row['spread']:.4f}"
        cells = (
            row["network"], row["measure"], f"{row['digital']:.4f}", f"{row['perfect']:.4f}",
            f"{row['difference']:.1e}", f"{row['mean']:.4f}", spread, str(row["seeds"]),
            f"{row['seconds_per_seed']:.1f}", f"{row['time_ratio']:.2f}",
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description="Score the gallery's networks on tiles.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks (default: all)")
    parser.add_argument("--seeds", type=int, help="seeds of each network (default: what the network says)")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows there")
    options = parser.parse_args(arguments)
    if options.seeds is not None and options.seeds < 1:
        parser.error(f"--seeds = {options.seeds}: too few (at least 1).")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Print the table; a network whose package is not installed is named on the error output."""
    options = parsed(arguments)
    torch.set_num_threads(options.threads)
    rows = []
    for name in options.names or networks.scored_names():
        try:
            rows.append(measured(name, options.seeds))
        except PackageError as problem:
            print(f"{name}: {problem}", file=sys.stderr)
        else:
            print(table(rows[-1:]), file=sys.stderr, flush=True)
    print(table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps({"machine": machine.machine(), "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
