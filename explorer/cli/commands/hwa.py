# SPDX-License-Identifier: Apache-2.0
"""Train a network for analog hardware, and compare it on programmed chips with the network as it was.

NETWORK is one of the gallery with trained weights. RECIPE brings chip, modifier, clip, remap and schedule
(engine/recipes); options and --set change them. 'control' is the same network after as many digital epochs.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from explorer.cli import output

if TYPE_CHECKING:
    import xarray as xr

SUMMARY = "hardware-aware training: accuracy on chips over time (table, JSON)"
RECIPE = "explorer_small"
_UNITS = ((365 * 86400.0, "y"), (86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Network, recipe, modifier, and the experiment's own parameters."""
    from engine import recipes
    from engine.nn import modifiers
    from explorer import networks
    from explorer.cli import parameters
    from explorer.experiments.hardware_aware_training import HardwareAwareTraining

    parser.add_argument("network", metavar="NETWORK", help=", ".join(networks.names()))
    told = "; ".join(f"{name}: {title}" for name, title in recipes.titles().items())
    parser.add_argument("--recipe", default=RECIPE, metavar="NAME", help=f"{told} (default: {RECIPE})")
    parser.add_argument("--modifier", choices=["none", *modifiers.names()], help="another modifier than the recipe's")
    parser.add_argument("--epochs", type=int, metavar="N", help="short for --set schedule.epochs=N")
    parser.add_argument(
        "--weights", metavar="FILE", help="write the trained model's state there; trains once more, to the same bits"
    )
    parameters.add_parts(parser, HardwareAwareTraining, left_out=("network",))
    parser.add_argument("--save", action="store_true", help="keep the run where the apps find it")


def run(options: argparse.Namespace) -> int:
    """Train here and print the table."""
    from engine.nn import modifiers
    from explorer.cli import parameters, progress
    from explorer.experiments.hardware_aware_training import HardwareAwareTraining

    if options.epochs is not None:
        options.set.append(f"schedule.epochs={options.epochs}")
    given: dict[str, Any] = {"network": options.network}
    if options.modifier:
        given["modifier"] = None if options.modifier == "none" else modifiers.get(options.modifier)()
    experiment = parameters.changed(options, HardwareAwareTraining.by_recipe(options.recipe), **given)
    with progress.Bar() as bar:
        ds = experiment.run(bar)
        if options.weights:
            _write_state(experiment, options.weights)
    options.preset = options.network  # what a kept run is called
    rows = summary(ds)
    result = {"network": options.network, "recipe": options.recipe, "times_s": ds.time.values.tolist(), "rows": rows}
    result |= output.provenance(ds) | output.save(ds, experiment, options)
    output.deliver(result, _text(ds, rows, options), options.json)
    return 0


def _write_state(experiment: Any, path: str) -> None:
    import io
    from pathlib import Path

    import torch

    buffer = io.BytesIO()
    torch.save(experiment.trained().state_dict(), buffer)
    output.write_bytes(Path(path), buffer.getvalue())


def summary(ds: xr.Dataset) -> list[dict[str, Any]]:
    """Return mean and spread over chips of each variant and time, all trainings together; shares of 1."""
    rows = [{"variant": "digital", "mean": [float(ds.digital.mean())] * ds.sizes["time"], "std": None}]
    for variant in ds.variant.values.tolist():
        found = ds.accuracy.sel(variant=variant)
        spread = (found.var("chip", ddof=1).mean("training") ** 0.5) if ds.sizes["chip"] > 1 else None
        std = None if spread is None else spread.values.tolist()
        rows.append({"variant": variant, "mean": found.mean(("training", "chip")).values.tolist(), "std": std})
    return rows


def _text(ds: xr.Dataset, rows: list[dict[str, Any]], options: argparse.Namespace) -> str:
    head = ["network"] + [f"{_duration(t)} [%]" for t in ds.time.values.tolist()]
    table = output.table(head, [[row["variant"], *_cells(row)] for row in rows])
    chips, trainings = ds.sizes["chip"], ds.sizes["training"]
    title = f"{options.network}, recipe {options.recipe}: accuracy, mean +- spread over {chips} chips"
    return f"{title}, {trainings} training{'s' if trainings > 1 else ''}, seed {options.seed}\n{table}"


def _cells(row: dict[str, Any]) -> list[str]:
    spreads = row["std"] or [None] * len(row["mean"])
    return [
        f"{100 * m:.2f}" + ("" if s is None else f" +- {100 * s:.2f}")
        for m, s in zip(row["mean"], spreads, strict=True)
    ]


def _duration(seconds: float) -> str:
    """Return a time in its largest unit: 86400 is ``1 d``."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
