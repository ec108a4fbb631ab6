# SPDX-License-Identifier: Apache-2.0
"""Which column of a table means what: a guess from names and contents, and its use."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from engine.errors import near_miss

from .cells import Column
from .errors import refusal
from .table import Table
from .units import split_name

REQUIRED = ("device_id", "cycle", "index", "direction", "value")
EXTRAS = ("read_index", "t_s", "temperature_c")
OPTIONAL = ("n_pulses", *EXTRAS, "unit", "read_voltage_v")
ROLES = (*REQUIRED, *OPTIONAL)

MEANINGS = {
    "device_id": "name of the device",
    "cycle": "number of the cycle, one cycle is up and down",
    "index": "running number of the reading",
    "direction": "+1 or up, -1 or down, 0 read only",
    "value": "the reading",
    "n_pulses": "pulses before the reading",
    "read_index": "number of a repeated read",
    "t_s": "time in seconds",
    "temperature_c": "temperature in degrees Celsius",
    "unit": "unit of the reading",
    "read_voltage_v": "read voltage in volts",
}
"""What each role is, for a tooltip."""

_SPELT = {
    "device_id": "device dev cell cellid deviceid addr address die chip devicename",
    "cycle": "cyc loop cyclenumber cycleno sweep cycles",
    "index": "idx pulse pulsenumber pulseno pulseindex pulses step steps no number n pulse# point",
    "direction": "dir polarity sign type operation op pulsetype",
    "value": "val g conductance cond current i reading resistance r weight w y iread gread ids id",
    "n_pulses": "npulses pulsecount",
    "read_index": "read readno readindex repeat",
    "t_s": "t time times seconds timestamp",
    "temperature_c": "temperature temp tc temperaturec",
    "unit": "units",
    "read_voltage_v": "vread readvoltage vr",
}
_SYNONYMS = {word: role for role, words in _SPELT.items() for word in (role.replace("_", ""), *words.split())}


def role_of(name: str) -> str | None:
    """Return what a column of this name means, or None: ``G (uS)`` is a value, ``Pulse #`` an index."""
    plain, _ = split_name(name)
    if name.casefold() in ROLES:
        return name.casefold()
    return _SYNONYMS.get(re.sub(r"[\s_.\-#]+", "", plain.casefold()))


def guess(table: Table) -> dict[str, int]:
    """Return the likely column of each role; each column has one role at most, an exact name goes before others.

    Names decide; without a header nothing is guessed, the layout of the columns tells then.
    """
    names = [name.casefold() for name in table.header or ()]
    found = {role: names.index(role) for role in ROLES if role in names}
    for j, name in enumerate(table.header or ()):
        role = role_of(name)
        if role is not None and j not in found.values():
            found.setdefault(role, j)
    return found


def apply(table: Table, columns: Mapping[str, str | int]) -> Table:
    """Return the table in the long format, as the caller says what its columns mean.

    Parameters
    ----------
    table : Table
    columns : dict of str to str or int
        Role (`ROLES`) to the name of a column, or to its number from 1. ``value`` is needed. Without ``device_id``
        all rows are of one device, without ``cycle`` of one cycle, without ``index`` they are numbered in order;
        without ``direction`` the trend of the readings tells it.

    Raises
    ------
    MeasuredDataError
        If a role or a column is unknown, one column has two roles, or there is none for ``value``.
    """
    places: dict[str, int] = {}
    for role, column in columns.items():
        if role not in ROLES:
            hint = near_miss(role, ROLES).strip() or "Leave it out."
            raise refusal("columns", role, "there is no such role", ", ".join(ROLES), hint)
        place_ = _place(table, column)
        twin = next((r for r, j in places.items() if j == place_), None)
        if twin:
            rule = f"is the column of {twin} and of {role}"
            raise refusal(f"columns of {table.source}", column, rule, "one role a column", "Choose another column.")
        places[role] = place_
    if "value" not in places:
        allowed = "the column that holds the readings"
        raise refusal(f"columns of {table.source}", "value", "is missing", allowed, "Say which column it is.")
    columns_ = tuple(table.columns[j] for j in places.values())
    labels = tuple(table.label(j) for j in places.values())
    return replace(table, header=tuple(places), columns=columns_, labels=labels)


def _place(table: Table, column: str | int) -> int:
    names = list(table.header or ())
    if isinstance(column, str) and column in names:
        return names.index(column)
    if isinstance(column, int) and 1 <= column <= table.n_columns:
        return column - 1
    allowed = ", ".join(names) if names else f"1 .. {table.n_columns}"
    hint = near_miss(str(column), names).strip() or "Correct it."
    raise refusal(f"columns of {table.source}", column, "there is no such column", allowed, hint)


def with_defaults(table: Table) -> Table:
    """Add the columns that a table of one device, one cycle, or rows in order may do without."""
    names = list(table.header or ())
    columns, n = dict(zip(names, table.columns, strict=True)), table.rows.size
    for role in ("device_id", "cycle"):
        columns.setdefault(role, Column.of_numbers(np.ones(n)))
    if "index" not in columns:
        same = pd.DataFrame({"d": columns["device_id"].text(), "c": columns["cycle"].text()})
        columns["index"] = Column.of_numbers(same.groupby(["d", "c"], sort=False).cumcount().to_numpy() + 1)
    labels = (*(table.label(j) for j in range(table.n_columns)), *list(columns)[table.n_columns :])
    return replace(table, header=tuple(columns), columns=tuple(columns.values()), labels=labels)
