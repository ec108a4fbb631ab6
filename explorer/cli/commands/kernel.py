# SPDX-License-Identifier: Apache-2.0
"""Approximate a kernel by random features on programmed chips, and classify with them by ridge regression."""

from __future__ import annotations

import argparse

from explorer.cli import output
from explorer.cli.commands.hwa import _duration

SUMMARY = "kernels by random features on chips: error and accuracy over time (table, JSON)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The experiment's own parameters."""
    from explorer.cli import parameters
    from explorer.experiments.kernel_features import KernelFeatures

    parameters.add_parts(parser, KernelFeatures)
    parser.add_argument("--save", action="store_true", help="keep the run where the apps find it")


def run(options: argparse.Namespace) -> int:
    """Run here and print the table."""
    from explorer.cli import parameters, progress
    from explorer.experiments.kernel_features import KernelFeatures

    experiment = parameters.changed(options, KernelFeatures())
    with progress.Bar() as bar:
        ds = experiment.run(bar)
    options.preset = experiment.network
    rows = [["digital", float(ds.digital_kernel_error.mean()), 100 * float(ds.digital_accuracy.mean())]]
    for moment in ds.time.values.tolist():
        at = ds.sel(time=moment)
        rows.append([_duration(moment), float(at.kernel_error.mean()), 100 * float(at.accuracy.mean())])
    keys = ("features", "kernel_error", "accuracy_percent")
    result = {"rows": [dict(zip(keys, row, strict=True)) for row in rows]}
    result |= {"exact_accuracy_percent": 100 * float(ds.exact_accuracy)}
    result |= output.provenance(ds) | output.save(ds, experiment, options)
    title = (
        f"{experiment.kernel} kernel, {int(experiment.features)} rows by {experiment.sampling} on "
        f"{experiment.network}; exact kernel: {100 * float(ds.exact_accuracy):.2f} %"
    )
    output.deliver(result, f"{title}\n{output.table(['features', 'kernel error', 'accuracy [%]'], rows)}", options.json)
    return 0
