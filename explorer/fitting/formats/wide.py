# SPDX-License-Identifier: Apache-2.0
"""Directions in the first column, one column per device after it."""

from __future__ import annotations

import numpy as np

from engine.errors import near_miss

from ..errors import place, refusal
from ..table import Table, is_number, to_decimal_point
from ..trace import DOWN, READ, UP, pulse_trace
from .base import Format, Options, Reading
from .ramp_columns import check_names
from .short_columns import ending_in_blanks

DIRECTIONS = (UP, DOWN, READ)


class Wide(Format):
    """One row per reading of all devices: direction, device 1, device 2 ..."""

    title = "direction column first, then one column per device"
    priority = 15  # before two columns: a first column of nothing but 1, -1, 0 holds no readings

    def recognises(self, table: Table) -> bool:
        if table.header is not None and table.header[0].casefold() == "direction":
            return True
        cells = [to_decimal_point(c, table.decimal) for c in table.columns[0]]
        signs = all(is_number(c) and float(c) in DIRECTIONS for c in cells)
        return signs and (table.header is None or bool(near_miss(table.header[0], ["direction"])))

    def read(self, table: Table, options: Options) -> Reading:
        if table.header is not None:
            check_names(table)
            if table.header[0].casefold() != "direction":
                subject = f"header of {place(table.source, int(table.rows[0]) - 1)}"
                rule, remedy = "the first column has another name", "Rename the column."
                raise refusal(subject, table.header[0], rule, "direction", remedy)
        direction = directions_of(table, 0)
        traces = []
        for j in range(1, table.n_columns):
            value = ending_in_blanks(table, j)
            device = str(table.label(j)) if table.header else str(j)
            traces.append(pulse_trace(device, 1, direction[: value.size], value))
        return Reading(traces)


def directions_of(table: Table, column: int) -> np.ndarray:
    """Return a direction column as int8, (row,); raises `MeasuredDataError` unless all are +1, -1 or 0."""
    values = table.numbers(column)
    wrong = np.flatnonzero(~np.isin(values, DIRECTIONS))
    if wrong.size:
        rule, allowed = "is no direction", "1 up, -1 down, 0 read only"
        raise table.refuse(int(wrong[0]), column, rule, allowed, "Correct or delete this row.")
    return values.astype(np.int8)
