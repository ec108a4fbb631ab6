# SPDX-License-Identifier: Apache-2.0
"""Train a network whose weights are analog devices, beside the same network in floating point.

Accuracies are the share of test samples that are right after the last epoch, mean over the seeds.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from explorer.cli import output

if TYPE_CHECKING:
    import xarray as xr

SUMMARY = "train a network on a device (table, JSON)"
ANALOG, BASELINE = "analog", "baseline"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The experiment's own parameters."""
    from explorer.cli import parameters
    from explorer.experiments.training import Training

    parameters.add_experiment(parser, Training)
    parser.add_argument("--save", action="store_true", help="keep the run where the apps find it")


def run(options: argparse.Namespace) -> int:
    """Train here and print the table."""
    from explorer.cli import parameters, progress
    from explorer.experiments.training import Training

    experiment = parameters.experiment(options, Training)
    with progress.Bar() as bar:
        ds = experiment.run(bar)
    runs = {kind: _summary(ds, kind) for kind in ds.kind.values.tolist()}
    result = {"network": experiment.network, "epochs": experiment.epochs, **runs[ANALOG]}
    result |= {"baseline": runs.get(BASELINE)} | output.provenance(ds) | output.save(ds, experiment, options)
    output.deliver(result, _text(runs, experiment, parameters.title(options)), options.json)
    return 0


def _summary(ds: xr.Dataset, kind: str) -> dict[str, Any]:
    last = ds.sel(kind=kind).isel(epoch=-1)
    return {
        "test_accuracy": float(last.accuracy.mean()),
        "test_accuracy_std": float(last.accuracy.std(ddof=1)) if last.sizes["seed"] > 1 else None,
        "per_seed": last.accuracy.values.tolist(),
        "loss_per_seed": last.loss.values.tolist(),
        "seconds_per_epoch": float(ds.seconds_per_epoch.sel(kind=kind)),
    }


def _text(runs: dict[str, dict[str, Any]], experiment: Any, name: str) -> str:
    head = ["seed"]
    columns: list[list[Any]] = [[*range(experiment.n_seeds), "mean", "std"]]
    titles = {ANALOG: name, BASELINE: "floating point"}
    for kind, found in runs.items():
        head.append(f"{titles[kind]} [%]")
        values = [*found["per_seed"], found["test_accuracy"], found["test_accuracy_std"]]
        columns.append([None if value is None else round(100 * value, 2) for value in values])
    times = ", ".join(f"{titles[kind]} {found['seconds_per_epoch']:.2f} s" for kind, found in runs.items())
    title = f"test accuracy of {experiment.network} after {experiment.epochs} epochs, seed {experiment.seed}"
    return "\n".join([title, output.table(head, list(zip(*columns, strict=True))), f"time per epoch: {times}"])
