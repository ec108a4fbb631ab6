#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of parameters at the end of ``docs/physics/circuit.md`` from the classes.

Run it after a change of a parameter; a test compares the page with what this writes.
"""

from __future__ import annotations

from pathlib import Path

from engine.quantity import Model
from engine.tiles.circuit import CircuitOptions
from engine.tiles.converters import CircuitConverter, Converter, PipelineConverter, RampConverter, SarConverter
from engine.tiles.encodings import DifferentialPair, Encoding, OffsetEncoding
from engine.tiles.faults import StuckFaults
from engine.tiles.nmpu import Nmpu
from engine.tiles.pulse_width import PulseReadout
from engine.tiles.slicing import Slicing
from engine.tiles.wires import WireModel

PAGE = Path(__file__).resolve().parent.parent / "docs" / "physics" / "circuit.md"
MARK = "<!-- Below: written by `python tools/circuit_tables.py`; do not edit. -->\n"
CLASSES: list[tuple[type[Model], type[Model] | None]] = [
    (WireModel, None),
    (PulseReadout, None),
    (Converter, None),
    (CircuitConverter, Converter),
    (RampConverter, CircuitConverter),
    (SarConverter, CircuitConverter),
    (PipelineConverter, CircuitConverter),
    (Slicing, None),
    (Encoding, None),
    (DifferentialPair, Encoding),
    (OffsetEncoding, Encoding),
    (StuckFaults, None),
    (Nmpu, None),
    (CircuitOptions, None),
]


def _default(about: dict) -> str:
    value = about["default"]
    if isinstance(value, bool):
        return "yes" if value else "no"
    shown = f"{value:g}" if isinstance(value, float | int) else str(value)
    return shown if about["unit"] == "1" else f"{shown} {about['unit']}"


def _allowed(about: dict) -> str:
    if about["objects"]:
        return ", ".join(map(str, about["objects"]))
    if about["kind"] == "flag":
        return ""
    (low, high), closed = about["bounds"] or (None, None), about["inclusive_bounds"]
    parts = [f"{'≥' if closed[0] else '>'} {low:g}"] if low is not None else []
    parts += [f"{'≤' if closed[1] else '<'} {high:g}"] if high is not None else []
    return ", ".join(parts).replace("-", "−") or "any"


def _table(cls: type[Model], base: type[Model] | None) -> str:
    names = [n for n in cls.fields() if base is None or n not in base.fields()]
    rows = []
    for name in names:
        about = cls.describe(name)
        rows.append(f"| `{name}` | {_default(about)} | {_allowed(about)} | {about['doc'].rstrip('.')} |")
    title = f"### `{cls.__name__}`" + (f", beside those of `{base.__name__}`" if base else "")
    return "\n".join([title, "", "| name | default | allowed | meaning |", "|---|---|---|---|", *rows, ""])


def render() -> str:
    """Return the page with its tables made anew."""
    text, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    return text + MARK + "\n" + "\n".join(_table(*pair) for pair in CLASSES)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
