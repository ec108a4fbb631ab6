# SPDX-License-Identifier: Apache-2.0
"""The long format: a header and one row per reading. Read and written here, nowhere else."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from engine.errors import near_miss

from ..errors import place, refusal
from ..table import Table
from ..trace import READ, Trace
from ..units import checked, scale_to_si
from .base import Format, Options, Reading
from .wide import directions_of

REQUIRED = ("device_id", "cycle", "index", "direction", "value")
EXTRAS = ("read_index", "t_s", "temperature_c")
OPTIONAL = ("n_pulses", *EXTRAS, "unit", "read_voltage_v")

ENOUGH_NAMES = 3
"""Required names, exact or nearly so, from which a header is meant to be the long format."""


class Long(Format):
    """One row per reading, taken after the pulses of its row.

    Rows of several devices and cycles may be interleaved; within one device and cycle ``index``
    increases. Rows with the same index and a growing ``read_index`` are repeated reads: the pulses
    of the first of them count, those of the others do not.
    """

    title = "long format (" + ", ".join(REQUIRED) + ")"
    priority = 10

    def recognises(self, table: Table) -> bool:
        names = _names(table)
        return sum(name in names or bool(near_miss(name, names)) for name in REQUIRED) >= ENOUGH_NAMES

    def read(self, table: Table, options: Options) -> Reading:
        column, warnings = _columns(table)
        device = _device_ids(table, column["device_id"])
        cycle = table.whole_numbers(column["cycle"])
        direction = directions_of(table, column["direction"])
        value, unit = _values(table, column, options)
        extras = {name: table.numbers(column[name]) for name in EXTRAS if name in column}
        group = pd.DataFrame({"d": device, "c": cycle}).groupby(["d", "c"], sort=False).ngroup().to_numpy()
        order = np.argsort(group, kind="stable")
        index = table.whole_numbers(column["index"])
        repeat = _check_order(table, group, index, extras.get("read_index"), order)
        pulses = _pulse_counts(table, column, direction, repeat)
        edges = np.flatnonzero(np.diff(group[order])) + 1
        traces = []
        for rows in np.split(order, edges):
            more = {name: array[rows] for name, array in extras.items()}
            arrays = (index[rows], direction[rows], value[rows], pulses[rows])
            traces.append(Trace(str(device[rows[0]]), int(cycle[rows[0]]), *arrays, more))
        return Reading(traces, unit, warnings)


def _names(table: Table) -> list[str]:
    return [name.casefold() for name in table.header or ()]


def _columns(table: Table) -> tuple[dict[str, int], list[str]]:
    """Map known names to columns; refuse missing, doubled and misspelt names, warn about others."""
    names = _names(table)
    line = place(table.source, int(table.rows[0]) - 1)
    known = (*REQUIRED, *OPTIONAL)
    strange = [name for name in names if name not in known]
    for name in REQUIRED:
        if names.count(name) != 1:
            rule = "the column is missing" if name not in names else "the column is there twice"
            hint = near_miss(name, strange).strip()
            remedy = f"{hint} Rename that column." if hint else "Add or rename the column."
            raise refusal(f"header of {line}", name, rule, ", ".join(REQUIRED), remedy)
    for name in strange:
        hint = near_miss(name, OPTIONAL).strip() if name else ""
        if hint:
            rule = "there is no such column"
            raise refusal(f"header of {line}", name, rule, ", ".join(known), f"{hint} Rename or delete it.")
    for name in OPTIONAL:
        if names.count(name) > 1:
            rule = "the column is there twice"
            raise refusal(f"header of {line}", name, rule, "each column once", "Delete one of them.")
    ignored = ", ".join(repr(name) for name in strange)
    warnings = [f"columns without a meaning here were left out: {ignored}"] if strange else []
    return {name: names.index(name) for name in known if name in names}, warnings


def _device_ids(table: Table, column: int) -> np.ndarray:
    device = table.columns[column]
    blank = np.flatnonzero(device == "")
    if blank.size:
        remedy = "Name the device, for example 1."
        raise table.refuse(int(blank[0]), column, "the device has no name", "any text", remedy)
    return device


def _check_order(table, group, index, read_index, order) -> np.ndarray:
    """Refuse doubled rows and an index that does not grow; return which rows repeat a read, (row,)."""
    read = np.zeros(index.size) if read_index is None else read_index
    first_seen = pd.DataFrame({"g": group, "i": index, "r": read}).duplicated().to_numpy()
    column = _names(table).index("index")
    same = group[order][1:] == group[order][:-1]
    di, dr = np.diff(index[order]), np.diff(read[order])
    bad = np.concatenate([[False], same & ((di < 0) | ((di == 0) & (dr <= 0)))])
    wrong = np.sort(order[bad])
    allowed = "growing within one device and cycle; repeated reads have a growing read_index"
    if first_seen.any():
        row = int(np.flatnonzero(first_seen)[0])
        twin = int(np.flatnonzero((group == group[row]) & (index == index[row]) & (read == read[row]))[0])
        rule = f"is a duplicate of row {int(table.rows[twin])} (same device, cycle and index)"
        raise table.refuse(row, column, rule, allowed, "Delete one of the rows or number them anew.")
    if wrong.size:
        rule = "the index is not larger than that of the row before"
        raise table.refuse(int(wrong[0]), column, rule, allowed, "Sort the rows by device, cycle and index.")
    repeat = np.zeros(index.size, dtype=bool)
    repeat[order] = np.concatenate([[False], same & (di == 0)])
    return repeat


def _pulse_counts(table: Table, column: dict[str, int], direction, repeat) -> np.ndarray:
    """Return the pulses of each row: the column ``n_pulses``, one without it, none for a mere read."""
    pulsed = (direction != READ) & ~repeat
    if "n_pulses" not in column:
        return pulsed.astype(np.int64)
    counts = table.whole_numbers(column["n_pulses"])
    wrong = np.flatnonzero((counts < 1) & pulsed)
    if wrong.size:
        rule = "a row with a direction applies at least one pulse"
        remedy = "Use direction 0 for a read without a pulse."
        raise table.refuse(int(wrong[0]), column["n_pulses"], rule, "1, 2, 3 ...", remedy)
    return np.where(pulsed, counts, 0)


def _values(table: Table, column: dict[str, int], options: Options) -> tuple[np.ndarray, str | None]:
    """Return the readings and their SI unit if the file names one, row by row."""
    value = table.numbers(column["value"])
    if "unit" not in column:
        return value, None
    units = table.columns[column["unit"]]
    volts = table.numbers(column["read_voltage_v"]) if "read_voltage_v" in column else None
    seen: dict[str, int] = {}
    for text in dict.fromkeys(units):
        rows = np.flatnonzero(units == text)
        subject = place(table.source, int(table.rows[rows[0]]), "unit")
        unit = checked(text, subject)
        _check_told(unit, options, subject)
        value[rows], si = _converted(value[rows], unit, volts, rows, options, subject)
        seen.setdefault(si, int(rows[0]))
    if len(seen) > 1:
        rule = "plain numbers and physical units are mixed in one file"
        remedy = "Give all readings in one unit."
        raise table.refuse(max(seen.values()), column["unit"], rule, "one kind of unit", remedy)
    return value, next(iter(seen))


def _converted(value, unit, volts, rows, options: Options, subject: str) -> tuple[np.ndarray, str]:
    """Convert readings of one unit to SI, each with its own read voltage where the file has them."""
    if volts is None or unit != "A":
        factor, si = scale_to_si(unit, options.read_voltage_v, subject)
        return value * factor, si
    si = "S"
    factors = {v: scale_to_si(unit, v, subject)[0] for v in np.unique(volts[rows]).tolist()}
    return value * np.array([factors[v] for v in volts[rows].tolist()]), si


def _check_told(unit: str, options: Options, subject: str) -> None:
    if options.unit is not None and checked(options.unit, "unit") != unit:
        rule = f"the file says so, the caller says {options.unit}"
        raise refusal(subject, unit, rule, "one unit", "Leave out the argument, or correct the file.")


def write(traces: Iterable[Trace], unit: str) -> str:
    """Return traces as CSV text in the long format, numbers with all their digits."""
    frames = []
    for trace in traces:
        columns = {
            "device_id": trace.device_id,
            "cycle": trace.cycle,
            "index": trace.index,
            "direction": trace.direction,
            "value": trace.value,
            "n_pulses": trace.n_pulses,
            "unit": unit,
        }
        frames.append(pd.DataFrame({**columns, **trace.extras}))
    table = pd.concat(frames, ignore_index=True)
    if (table["n_pulses"] == table["direction"].abs()).all():
        table = table.drop(columns="n_pulses")
    return table.to_csv(index=False, lineterminator="\n")
