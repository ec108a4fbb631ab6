# SPDX-License-Identifier: Apache-2.0
"""Two columns, readings after up pulses and readings after down pulses, with or without a header."""

from __future__ import annotations

import numpy as np

from ..errors import refusal
from ..table import Table
from ..trace import DIRECTION_NAMES, DOWN, UP, pulse_trace
from .base import Format, Options, Reading
from .directions import named_direction, told, trend
from .short_columns import ending_in_blanks


class TwoColumn(Format):
    """Up column first, one row per pulse: two sweeps of one device in one cycle."""

    title = "two columns (up, down) without header"
    priority = 20

    def recognises(self, table: Table) -> bool:
        if table.n_columns != 2:
            return False
        return table.header is None or {named_direction(name) for name in table.header} == {UP, DOWN}

    def read(self, table: Table, options: Options) -> Reading:
        columns = [ending_in_blanks(table, j) for j in range(2)]
        directions = self._directions(table, columns, options)
        parts = sorted(zip(directions, columns, strict=True), key=lambda part: -part[0])
        direction = np.concatenate([np.full(y.size, d) for d, y in parts])
        return Reading([pulse_trace("1", 1, direction, np.concatenate([y for _, y in parts]))])

    @staticmethod
    def _directions(table: Table, columns: list[np.ndarray], options: Options) -> list[int]:
        given = told(options, 2, table.source)
        if given is not None:
            if set(given) != {UP, DOWN}:
                rule = "of two columns one is up and one is down"
                remedy = "Give (1, -1), or (-1, 1) if the down column comes first."
                raise refusal("directions", options.directions, rule, "(1, -1) or (-1, 1)", remedy)
            return given
        if table.header is not None:
            return [UP, DOWN] if named_direction(table.header[0]) == UP else [DOWN, UP]
        _refuse_index(table, columns[0])
        for j, (expected, y) in enumerate(zip((UP, DOWN), columns, strict=True)):
            if trend(y) == -expected:
                rule = f"the readings run {DIRECTION_NAMES[-expected]}, column {j + 1} should hold the "
                rule += f"readings after {DIRECTION_NAMES[expected]} pulses"
                subject = f"trend of column {j + 1} in {table.source}"
                remedy = "Swap the columns, give directions=(-1, 1), or use the long format."
                raise refusal(subject, trend(y), rule, "up column first", remedy)
        return [UP, DOWN]


def _refuse_index(table: Table, first: np.ndarray) -> None:
    """Refuse a first column that counts 0, 1, 2 ...: a pulse number, not a reading."""
    if first.size > 2 and np.all(np.diff(first) == 1) and np.all(first == np.rint(first)):
        rule = "the first column only counts, it holds no readings"
        allowed = "readings after up pulses, then readings after down pulses"
        remedy = "Delete the counting column, or use the long format."
        raise refusal(f"{table.source} column 1", f"{first[0]:g}, {first[1]:g}, ...", rule, allowed, remedy)
