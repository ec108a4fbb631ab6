# SPDX-License-Identifier: Apache-2.0
"""List the published parameter sets: device model, mean step, number of states, symmetry point (weight where up
and down step are equal). With a name: every parameter of that set with unit and source.

w is normalised weight; a state is one mean step (dw_min) of the range w_min to w_max.
"""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING, Any

from explorer.cli import output

if TYPE_CHECKING:
    from engine.presets import Preset

SUMMARY = "list the published parameter sets"
HEAD = ("preset", "device", "dw_min [w]", "states [1]", "symmetry [w]", "title")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """One optional name, for the details of one preset."""
    parser.add_argument("preset", nargs="?", help="show every parameter of this one with unit and source")


def run(options: argparse.Namespace) -> int:
    """Print the table of all presets, or the parameters of one."""
    from engine import presets

    if options.preset:
        preset = presets.info(options.preset)
        parameters = _parameters(preset)
        head = ("parameter", "value", "unit", "source")
        text = output.table(head, [[row[key] for key in ("name", "value", "unit", "source")] for row in parameters])
        heading = "\n".join(filter(None, [f"{preset.name}: {preset.title}", preset.note, _literature(preset)]))
        output.deliver(_summary(preset) | {"parameters": parameters}, f"{heading}\n\n{text}", options.json)
        return 0
    summaries = [_summary(presets.info(name)) for name in presets.names()]
    keys = ("name", "device", "dw_min", "n_states", "symmetry_point", "title")
    rows = [[item[key] for key in keys] for item in summaries]
    output.deliver({"presets": summaries}, output.table(HEAD, rows), options.json)
    return 0


def _summary(preset: Preset) -> dict[str, Any]:
    device = preset.device
    states = device.n_states
    return {
        "name": preset.name,
        "title": preset.title,
        "device": device.stem(),
        "dw_min": getattr(device, "dw_min", None),
        "n_states": float(states) if math.isfinite(states) else None,
        "symmetry_point": device.symmetry_point(),
        "literature": _literature(preset),
        "note": preset.note,
        "not_modelled": list(preset.not_modelled),
    }


def _literature(preset: Preset) -> str:
    return "; ".join(f"{source['venue']} {source['year']}" for source in preset.sources)


def _parameters(preset: Preset) -> list[dict[str, Any]]:
    device = preset.device
    return [
        {
            "name": name,
            "value": value,
            "unit": device.describe(name)["unit"],
            "source": preset.parameter_sources.get(name) or device.describe(name)["source"],
        }
        for name, value in device.values().items()
    ]
