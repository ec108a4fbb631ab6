# SPDX-License-Identifier: Apache-2.0
"""A grid of cells to numbers; every complaint knows its row and column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from .cells import Column
from .errors import place, refusal
from .rejects import Rejected, Rejects

MAX_MAGNITUDE = 1e30
"""Readings above are typing errors, and their squares would overflow."""

MAX_WHOLE = 2**53
"""Largest whole number a float holds exactly."""


@dataclass(frozen=True, eq=False)
class Table:
    """A rectangular grid of cells that remembers where each row stood in the file.

    Attributes
    ----------
    source : str
        Name of the file in messages.
    header : tuple of str, or None
        Cells of the first row if one of them is not a number.
    columns : tuple of Column, each (row,)
        Cells below the header without surrounding blanks; missing cells are empty.
    rows : array of int, (row,)
        Line number of each row in the file, from 1.
    decimal : str
        ``"."`` or ``","``.
    notes : tuple of str
        What was skipped.
    said : dict of str to str
        What the file says about itself outside its rows: ``unit``, ``read_voltage_v``.
    rejects : Rejects or None
        Where rows that break a rule are collected; None raises at the first of them.
    """

    source: str
    header: tuple[str, ...] | None
    columns: tuple[Column, ...]
    rows: np.ndarray
    decimal: str = "."
    notes: tuple[str, ...] = field(default=())
    said: Mapping[str, str] = field(default_factory=dict)
    rejects: Rejects | None = None
    labels: tuple[str | int, ...] | None = None
    """Names of the columns in messages, where they stand in the file under other names than in ``header``."""

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def strict(self) -> bool:
        """Whether the first bad row raises."""
        return self.rejects is None

    def label(self, column: int) -> str | int:
        """Return the name of a column, or its number from 1."""
        if self.labels is not None:
            return self.labels[column]
        named = self.header and self.header[column]
        return named or column + 1

    def keep(self, rows: np.ndarray) -> Table:
        """Return the table with some of its rows, given by a mask, (row,)."""
        return replace(self, columns=tuple(c.take(rows) for c in self.columns), rows=self.rows[rows])

    def refuse(self, row: int, column: int, rule: str, allowed: str, remedy: str):
        """Return the error about one cell; ``row`` counts the rows of this table from 0."""
        subject = place(self.source, int(self.rows[row]), self.label(column))
        return refusal(subject, self.columns[column][row], rule, allowed, remedy)

    def reject(self, rows: np.ndarray, column: int, rule: str, allowed: str, remedy: str) -> None:
        """Refuse the first of the ``rows``, positions from 0; or note all of them where rows may be left out.

        Raises
        ------
        MeasuredDataError
            If there are any and the table is strict.
        """
        if not len(rows):
            return
        if self.rejects is None:
            raise self.refuse(int(rows[0]), column, rule, allowed, remedy)
        cells, label = self.columns[column], self.label(column)
        for row in np.asarray(rows).tolist():
            self.rejects.add(Rejected(int(self.rows[row]), label, cells[row], rule, allowed, remedy))

    def numbers(self, column: int) -> np.ndarray:
        """Return a column as finite float64, (row,); NaN in a row that is rejected.

        Raises
        ------
        MeasuredDataError
            At the first cell that is empty, text, NaN, infinite or absurdly large, where the table is strict.
        """
        return self.numbers_in(column, np.arange(self.rows.size))

    def numbers_in(self, column: int, rows: np.ndarray) -> np.ndarray:
        """Return the cells ``rows`` of a column as finite float64; raises as `numbers`."""
        values, known = (array[rows] for array in self.columns[column].numbers(self.decimal))
        filled = self.columns[column].filled[rows]
        finite, small = np.isfinite(values), np.abs(values) <= MAX_MAGNITUDE
        number, correct = "a finite number such as 1.2e-6", "Correct or delete this row."
        limit = f"a finite number of magnitude up to {MAX_MAGNITUDE:.0e}"
        rules = (
            (~filled, "the cell is empty", number, "Fill it in or delete the row."),
            (filled & ~known, "must be a number, this is text", number, correct),
            (known & ~finite, "must be a finite number", limit, correct),
            (known & finite & ~small, "is larger than any reading can be", limit, correct),
        )
        bad = ~(known & finite & small)
        if bad.any():
            first = np.argmax(bad)
            for broken, rule, allowed, remedy in sorted(rules, key=lambda r: not r[0][first]):
                self.reject(rows[broken], column, rule, allowed, remedy)
            values = np.where(bad, np.nan, values)
        return values

    def whole_numbers(self, column: int) -> np.ndarray:
        """Return a column as int64, (row,); 0 in a row that is rejected, raises as `numbers`."""
        values = self.numbers(column)
        good = np.isfinite(values)
        wrong = good & ((values != np.rint(values)) | (np.abs(values) > MAX_WHOLE))
        rule, remedy = "must be a whole number", "Number the readings without fractions."
        self.reject(np.flatnonzero(wrong), column, rule, "such as 1, 2, 3", remedy)
        return np.where(good & ~wrong, values, 0).astype(np.int64)

    def rejected(self) -> np.ndarray:
        """Return which rows of this table were rejected so far, (row,)."""
        if self.rejects is None or not len(self.rejects):
            return np.zeros(self.rows.size, dtype=bool)
        return np.isin(self.rows, [found.row for found in self.rejects])
