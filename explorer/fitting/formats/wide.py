# SPDX-License-Identifier: Apache-2.0
"""Directions in the first column, one column per device after it."""

from __future__ import annotations

import numpy as np

from engine.errors import near_miss

from ..errors import place, refusal
from ..table import Table
from ..trace import DOWN, READ, UNKNOWN, UP, pulse_trace
from .base import Format, Options, Reading
from .directions import named_direction
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
        if table.n_columns < 2:
            return False
        signs = bool(np.isin(table.columns[0].numbers(table.decimal)[0], DIRECTIONS).all())
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
    """Return a direction column as int8, (row,); `UNKNOWN` in a row that is rejected.

    Words such as ``up``, ``LTD`` and ``reset`` count as well as 1, -1 and 0.

    Raises
    ------
    MeasuredDataError
        At the first cell that is none of these, where the table is strict.
    """
    values, known = table.columns[column].numbers(table.decimal)
    if not known.all():
        texts = table.columns[column].text()
        words = {text: named_direction(text) for text in set(texts[~known])}
        said = np.array([np.nan if words.get(t) is None else words[t] for t in texts[~known]], dtype=float)
        values = values.copy()
        values[~known] = said
    good = np.isin(values, DIRECTIONS)
    wordless = ~good & ~known
    if wordless.any() and not (good & ~known).any():
        table.numbers(column)  # a column of numbers: an odd cell is worded as in any other
    rule, allowed = "is no direction", "1 up, -1 down, 0 read only, or up and down"
    left = ~good & ~table.rejected()
    table.reject(np.flatnonzero(left), column, rule, allowed, "Correct or delete this row.")
    return np.where(good, values, UNKNOWN).astype(np.int8)
