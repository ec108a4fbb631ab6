# SPDX-License-Identifier: Apache-2.0
"""Send pulses to many devices of one kind and show how their weights answer.

Weights are in normalised units w. The table gives quantiles over the devices; --png draws the response.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.cli import output

if TYPE_CHECKING:
    import xarray as xr

SUMMARY = "pulse response of a device (PNG, JSON)"
ROWS = 9  # of the table: start, end and points between


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The experiment's own parameters, and where to draw."""
    from explorer.cli import parameters
    from explorer.experiments.pulse_response import PulseResponse

    parameters.add_experiment(parser, PulseResponse)
    parser.add_argument("--png", metavar="FILE", help="draw band, traces, noise-free curve, steps and symmetry points")
    parser.add_argument("--save", action="store_true", help="keep the run where the apps find it")


def run(options: argparse.Namespace) -> int:
    """Run the experiment here, print its quantiles, draw it if asked to."""
    from explorer import figures
    from explorer.cli import parameters, progress
    from explorer.experiments.pulse_response import PulseResponse

    experiment = parameters.experiment(options, PulseResponse)
    with progress.Bar() as bar:
        ds = experiment.run(bar)
    if options.png:
        output.write_bytes(Path(options.png), figures.png(figures.pulse_response(ds, parameters.title(options))))
    result = _result(ds) | output.provenance(ds) | output.save(ds, experiment, options)
    output.deliver(result, _text(ds, parameters.title(options), options), options.json)
    return 0


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _result(ds: xr.Dataset) -> dict[str, Any]:
    points = ds.symmetry_point.dropna("device")
    return {
        "n_devices": ds.sizes["device"],
        "n_pulses": ds.sizes["pulse"] - 1,
        "n_states": _finite(ds.attrs["n_states"]),
        "granularity": ds.attrs["granularity"],
        "nominal_symmetry_point": _finite(ds.attrs["nominal_symmetry_point"]),
        "symmetry_point": {
            "devices": points.size,
            "mean": float(points.mean()) if points.size else None,
            "std": float(points.std()) if points.size else None,
        },
        "pulse": ds.pulse.values.tolist(),
        "quantile": ds["quantile"].values.tolist(),
        "band": ds.band.values.tolist(),
        "mean": ds["mean"].values.tolist(),
        "std": ds["std"].values.tolist(),
        "nominal": ds.nominal.values.tolist(),
    }


def _text(ds: xr.Dataset, title: str, options: argparse.Namespace) -> str:
    last = ds.sizes["pulse"] - 1
    rows = sorted({round(k * last / (ROWS - 1)) for k in range(ROWS)})
    head = ("pulses", *(f"{q:.0%}" for q in ds["quantile"].values), "nominal")
    body = [(k, *map(float, ds.band.values[:, k]), float(ds.nominal.values[k])) for k in rows]
    point = ds.attrs["nominal_symmetry_point"]
    lines = [
        f"{title}: weight [w] of {ds.sizes['device']} devices, quantiles over devices (seed {options.seed})",
        output.table(head, body),
        f"states: {ds.attrs['n_states']:.5g}   "
        f"nominal symmetry point: {f'{point:.3g} w' if math.isfinite(point) else 'none'}",
    ]
    return "\n".join([*lines, *([f"drawn: {options.png}"] if options.png else [])])
