# SPDX-License-Identifier: Apache-2.0
"""The glossary cannot drift from the code: a name that is a parameter has the parameter's unit."""

import re
from pathlib import Path

import pytest

from engine import devices
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, UpdateParameters

GLOSSARY = Path(__file__).resolve().parents[2] / "docs" / "glossary.md"


def _rows() -> list[tuple[str, str]]:
    rows = []
    for line in GLOSSARY.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4:
            rows += [(name, cells[2]) for name in re.findall(r"`([A-Za-z_]+)`", cells[1])]
    return rows


def _units() -> dict[str, set[str]]:
    units: dict[str, set[str]] = {}
    for cls in [
        *map(devices.get, devices.names()),
        IOParameters,
        InputRangeParameters,
        MappingParameters,
        UpdateParameters,
    ]:
        for name in cls.fields():
            units.setdefault(name, set()).add(cls.describe(name)["unit"])
    return units


def test_glossary_table_found():
    assert len(_rows()) > 30


@pytest.mark.parametrize(("name", "unit"), [row for row in _rows() if row[0] in _units()])
def test_glossary_unit_equals_unit_in_code(name, unit):
    assert _units()[name] == {unit}
