# SPDX-License-Identifier: Apache-2.0
"""Train digital low-rank adapters beside frozen analog weights, and score the same chips with and without them."""

from __future__ import annotations

import argparse
from typing import Any

from explorer.cli import output
from explorer.cli.commands.hwa import _cells, _duration

SUMMARY = "low-rank adapters on frozen analog weights: score over time (table, JSON)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Network, modifier, and the experiment's own parameters."""
    from engine.nn import modifiers
    from explorer.cli import parameters
    from explorer.experiments.adapter_training import AdapterTraining

    known = ", ".join(AdapterTraining.param["network"].objects)
    parser.add_argument("network", metavar="NETWORK", help=known)
    parser.add_argument(
        "--modifier", choices=["none", *modifiers.names()], help="what perturbs the weights in training"
    )
    parser.add_argument(
        "--target", action="append", metavar="PATTERN", help="layers with adapters (default: all); may be repeated"
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="short for --set schedule.epochs=N")
    parameters.add_parts(parser, AdapterTraining, left_out=("network", "targets"))
    parser.add_argument("--save", action="store_true", help="keep the run where the apps find it")


def run(options: argparse.Namespace) -> int:
    """Train here and print the table."""
    from engine.nn import modifiers
    from explorer.cli import parameters, progress
    from explorer.experiments.adapter_training import AdapterTraining

    if options.epochs is not None:
        options.set.append(f"schedule.epochs={options.epochs}")
    given: dict[str, Any] = {"network": options.network, "targets": options.target or ["*"]}
    if options.modifier:
        given["modifier"] = None if options.modifier == "none" else modifiers.get(options.modifier)()
    experiment = parameters.changed(options, AdapterTraining(), **given)
    with progress.Bar() as bar:
        ds = experiment.run(bar)
    options.preset = options.network
    rows = [{"variant": "digital", "mean": [float(ds.digital)] * ds.sizes["time"], "std": None}]
    for variant in ds.variant.values.tolist():
        found = ds.score.sel(variant=variant)
        std = found.std("chip", ddof=1).values.tolist() if ds.sizes["chip"] > 1 else None
        rows.append({"variant": variant, "mean": found.mean("chip").values.tolist(), "std": std})
    result = {"network": options.network, "times_s": ds.time.values.tolist(), "rows": rows}
    result |= {"trainable": int(ds.trainable), "weights_changed": float(ds.weights_changed)}
    result |= output.provenance(ds) | output.save(ds, experiment, options)
    head = ["network"] + [f"{_duration(t)} [%]" for t in ds.time.values.tolist()]
    title = (
        f"{options.network}: score, mean +- spread over {ds.sizes['chip']} chips; {int(ds.trainable)} parameters of "
        f"adapters, analog weights changed by {float(ds.weights_changed):g}"
    )
    table = output.table(head, [[row["variant"], *_cells(row)] for row in rows])
    output.deliver(result, f"{title}\n{table}", options.json)
    return 0
