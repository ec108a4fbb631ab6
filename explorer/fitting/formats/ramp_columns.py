# SPDX-License-Identifier: Apache-2.0
"""One column per ramp under a header; short ramps end in empty cells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..cells import is_number, to_decimal_point
from ..errors import refusal
from ..roles import role_of
from ..table import Table
from ..trace import Trace, pulse_trace
from .base import Format, Options, Reading
from .directions import infer
from .short_columns import ending_in_blanks


class RampColumns(Format):
    """Each column is one ramp of one device, each row the read after one more pulse.

    Ramps of the same direction count the cycles, so up and down columns may alternate in a file.
    """

    title = "one column per ramp under a header"
    priority = 90

    def recognises(self, table: Table) -> bool:
        return table.header is not None

    def read(self, table: Table, options: Options) -> Reading:
        check_names(table)
        _refuse_numbers(table)
        table, counters = _without_counter(table)
        columns = [ending_in_blanks(table, j) for j in range(table.n_columns)]
        directions, warnings = infer(table, columns, options)
        warnings += counters
        cycle = {1: 0, -1: 0}
        traces: dict[int, Trace] = {}
        for direction, y in zip(directions, columns, strict=True):
            cycle[direction] += 1
            ramp = pulse_trace("1", cycle[direction], np.full(y.size, direction), y)
            earlier = traces.get(ramp.cycle)
            traces[ramp.cycle] = earlier.then(ramp) if earlier else ramp
        return Reading([traces[c] for c in sorted(traces)], warnings=warnings)


def _without_counter(table: Table) -> tuple[Table, list[str]]:
    """Leave out a first column that is named as a pulse number or a time and only counts."""
    name = str(table.label(0))
    if table.n_columns < 2 or role_of(name) not in ("index", "n_pulses", "t_s"):
        return table, []
    values, known = table.columns[0].numbers(table.decimal)
    if not known.all() or not (np.diff(values) > 0).all():
        return table, []
    rest = replace(table, header=table.header[1:], columns=table.columns[1:])
    return rest, [f"column {name!r} counts the readings and was left out"]


def check_names(table: Table) -> None:
    """Refuse columns without a name or with the same name: a shifted or doubled header."""
    seen: dict[str, int] = {}
    for j, name in enumerate(table.header or ()):
        subject = f"{table.source} row {int(table.rows[0]) - 1} column {j + 1}"
        if not name:
            raise refusal(subject, name, "the column has no name", "one name per column", "Name it.")
        if name in seen:
            rule = f"the name is used twice, first in column {seen[name] + 1}"
            raise refusal(subject, name, rule, "one name per column", "Rename or delete the column.")
        seen[name] = j


def _refuse_numbers(table: Table) -> None:
    """Refuse a header with a number in it: more likely a first row of readings with a text among them."""
    for j, name in enumerate(table.header or ()):
        if is_number(to_decimal_point(name, table.decimal)):
            rule = "a number among the names of the columns"
            remedy = "Rename this column, or correct the text if row 1 holds readings."
            subject = f"{table.source} row {int(table.rows[0]) - 1} column {j + 1}"
            raise refusal(subject, name, rule, "names only, or numbers only", remedy)
