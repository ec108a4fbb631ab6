# SPDX-License-Identifier: Apache-2.0
"""The long format: a header and one row per reading. Read and written here, nowhere else."""

from __future__ import annotations

import csv
from collections.abc import Iterable

import numpy as np
import pandas as pd

from engine.errors import near_miss

from ..errors import place, refusal
from ..roles import EXTRAS, OPTIONAL, REQUIRED, ROLES, apply, guess, with_defaults
from ..table import Table
from ..trace import READ, UNKNOWN, Trace
from ..units import CURRENTS, checked, split_name, to_si
from .base import Format, Options, Reading
from .turning import told_or_turning
from .wide import directions_of

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
        names, found = _names(table), guess(table)
        if "value" in found and ("direction" in found or len(found) == table.n_columns > 1):
            return True
        return sum(name in names or bool(near_miss(name, names)) for name in REQUIRED) >= ENOUGH_NAMES

    def read(self, table: Table, options: Options) -> Reading:
        column, warnings = _columns(table)
        told_unit = split_name(str(table.label(column["value"])))[1]
        table = with_defaults(apply(table, {role: j + 1 for role, j in column.items()}))
        column = {role: j for j, role in enumerate(table.header or ())}
        table, order, group, repeat = _placed(table, column)
        value, unit = _values(table, column, options, told_unit)
        extras = {name: table.numbers(column[name]) for name in EXTRAS if name in column}
        split = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
        direction, notes = _directions(table, column, value, split, options)
        pulses = _pulse_counts(table, column, direction, repeat)
        value = np.where(table.rejected(), np.nan, value)
        device, cycle, index = (_cells(table, column, name) for name in REQUIRED[:3])
        traces = []
        for rows in split:
            more = {name: array[rows] for name, array in extras.items()}
            arrays = (index[rows], direction[rows], value[rows], pulses[rows])
            traces.append(Trace(str(device[rows[0]]), int(cycle[rows[0]]), *arrays, more))
        return Reading(traces, unit, [*warnings, *notes])


def _names(table: Table) -> list[str]:
    return [name.casefold() for name in table.header or ()]


def _columns(table: Table) -> tuple[dict[str, int], list[str]]:
    """Map roles to columns; refuse doubled and misspelt names, tell what was assumed and what was left out."""
    names, found = _names(table), guess(table)
    line = place(table.source, int(table.rows[0]) - 1)
    strange = [name for j, name in enumerate(names) if j not in found.values()]
    for name in ROLES:
        if names.count(name) > 1:
            rule = "the column is there twice"
            raise refusal(f"header of {line}", name, rule, "each column once", "Delete one of them.")
    for name in REQUIRED:
        hint = "" if name in found else near_miss(name, strange).strip()
        if hint or (name == "value" and name not in found):
            remedy = f"{hint} Rename that column." if hint else "Add or rename the column."
            raise refusal(f"header of {line}", name, "the column is missing", ", ".join(REQUIRED), remedy)
    for name in strange:
        hint = near_miss(name, OPTIONAL).strip() if name else ""
        if hint:
            rule = "there is no such column"
            raise refusal(f"header of {line}", name, rule, ", ".join(ROLES), f"{hint} Rename or delete it.")
    header = table.header or ()
    taken = ", ".join(f"{header[j]!r} as {role}" for role, j in found.items() if names[j] != role)
    warnings = [f"columns were taken by their names: {taken}"] if taken else []
    if strange:
        warnings.append(f"columns without a meaning here were left out: {', '.join(map(repr, strange))}")
    return found, warnings


def _cells(table: Table, column: dict[str, int], name: str) -> np.ndarray:
    return table.columns[column[name]].text() if name == "device_id" else table.whole_numbers(column[name])


def _placed(table: Table, column: dict[str, int]) -> tuple[Table, np.ndarray, np.ndarray, np.ndarray]:
    """Return the rows whose device, cycle and index are known, their order by trace, their trace, repeated reads."""
    blank = ~table.columns[column["device_id"]].filled
    rule, remedy = "the device has no name", "Name the device, for example 1."
    table.reject(np.flatnonzero(blank), column["device_id"], rule, "any text", remedy)
    for name in ("cycle", "index"):
        table.whole_numbers(column[name])
    table = table.keep(~table.rejected()) if table.rejected().any() else table
    device, cycle, index = (_cells(table, column, name) for name in REQUIRED[:3])
    read = table.numbers(column["read_index"]) if "read_index" in column else np.zeros(index.size)
    group = pd.DataFrame({"d": device, "c": cycle}).groupby(["d", "c"], sort=False).ngroup().to_numpy()
    while True:
        order = np.argsort(group, kind="stable")
        repeat = _check_order(table, column["index"], group, index, read, order)
        good = ~table.rejected()
        if good.all():
            return table, order, group, repeat
        table, group, index, read = table.keep(good), group[good], index[good], read[good]


def _directions(table, column, value, split, options) -> tuple[np.ndarray, list[str]]:
    """Return the direction of every row, and what was assumed; without such a column the readings tell."""
    if "direction" in column:
        return directions_of(table, column["direction"]), []
    direction = np.zeros(table.rows.size, dtype=np.int8)
    for rows in split:
        label = f"device {table.columns[column['device_id']][rows[0]]}"
        direction[rows] = told_or_turning(value[rows], options, f"readings of {label} in {table.source}")
    return direction, ["there is no direction column; where the readings turn tells the direction of the pulses"]


def _check_order(table, column, group, index, read, order) -> np.ndarray:
    """Refuse doubled rows and an index that does not grow; return which rows repeat a read, (row,)."""
    read = np.nan_to_num(read)
    same = group[order][1:] == group[order][:-1]
    di, dr = np.diff(index[order]), np.diff(read[order])
    bad = np.concatenate([[False], same & ((di < 0) | ((di == 0) & (dr <= 0)))])
    allowed = "growing within one device and cycle; repeated reads have a growing read_index"
    twins = pd.DataFrame({"g": group, "i": index, "r": read}).duplicated().to_numpy() if bad.any() else bad
    if twins.any():
        row = int(np.flatnonzero(twins)[0])
        twin = int(np.flatnonzero((group == group[row]) & (index == index[row]) & (read == read[row]))[0])
        rule = f"is a duplicate of row {int(table.rows[twin])} (same device, cycle and index)"
        if not table.strict:
            rule = "is a duplicate of a row before (same device, cycle and index)"
        table.reject(np.flatnonzero(twins), column, rule, allowed, "Delete one of the rows or number them anew.")
    else:
        rule = "the index is not larger than that of the row before"
        table.reject(np.sort(order[bad]), column, rule, allowed, "Sort the rows by device, cycle and index.")
    repeat = np.zeros(index.size, dtype=bool)
    repeat[order] = np.concatenate([[False], same & (di == 0)])
    return repeat


def _pulse_counts(table: Table, column: dict[str, int], direction, repeat) -> np.ndarray:
    """Return the pulses of each row: the column ``n_pulses``, one without it, none for a mere read."""
    pulsed = (direction != READ) & (direction != UNKNOWN) & ~repeat
    if "n_pulses" not in column:
        return pulsed.astype(np.int64)
    counts = table.whole_numbers(column["n_pulses"])
    wrong = (counts < 1) & pulsed & ~table.rejected()
    rule, remedy = "a row with a direction applies at least one pulse", "Use direction 0 for a read without a pulse."
    table.reject(np.flatnonzero(wrong), column["n_pulses"], rule, "1, 2, 3 ...", remedy)
    direction[(counts < 1) & pulsed] = UNKNOWN
    return np.where(pulsed, counts, 0)


def _values(table: Table, column: dict[str, int], options: Options, named: str | None) -> tuple[np.ndarray, str | None]:
    """Return the readings and their SI unit if the file names one: row by row, or in the name of the column."""
    value = table.numbers(column["value"])
    volts = table.numbers(column["read_voltage_v"]) if "read_voltage_v" in column else None
    if "unit" not in column:
        if named is None:
            return value, None
        subject = f"unit of column {column['value'] + 1} in {table.source}"
        _check_told(named, options, subject)
        return _converted(value, named, volts, np.arange(value.size), options, subject)
    units = table.columns[column["unit"]].text()
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
    if volts is None or unit not in CURRENTS:
        convert, si = to_si(unit, options.read_voltage_v, subject)
        return convert(value), si
    result = np.full(value.shape, np.nan)
    for v in np.unique(volts[rows][np.isfinite(volts[rows])]).tolist():
        at = volts[rows] == v
        result[at] = to_si(unit, v, subject)[0](value[at])
    return result, "S"


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
    # A line that began with a bare "#" would be read as a comment.
    like_comment = table["device_id"].astype(str).str.lstrip().str.startswith("#").any()
    quoting = csv.QUOTE_NONNUMERIC if like_comment else csv.QUOTE_MINIMAL
    return table.to_csv(index=False, lineterminator="\n", quoting=quoting)
