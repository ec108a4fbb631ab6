# SPDX-License-Identifier: Apache-2.0
"""Text to cells and cells to numbers; every complaint knows its row and column.

Separator and decimal mark are found from the text: a semicolon or a tab separates wherever it stands in
the first line, a comma otherwise; a decimal comma is accepted where the comma does not separate.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from .errors import place, refusal

MAX_COLUMNS = 20_000
"""More columns than any measured file has; what exceeds it is one endless line."""

MAX_MAGNITUDE = 1e30
"""Readings above are typing errors, and their squares would overflow."""

MAX_WHOLE = 2**53
"""Largest whole number a float holds exactly."""

_SEPARATORS = {";": "semicolon", "\t": "tab", ",": "comma"}
_SKIPPED_HEAD = re.compile(r"\s*(#.*|sep=.)?$", re.IGNORECASE)
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?$")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+$")
_LIMITS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")


@dataclass(frozen=True, eq=False)
class Table:
    """A rectangular grid of text cells that remembers where each row stood in the file.

    Attributes
    ----------
    source : str
        Name of the file in messages.
    header : tuple of str, or None
        Cells of the first row if one of them is not a number.
    columns : tuple of arrays of str, each (row,)
        Cells below the header without surrounding blanks; missing cells are empty.
    rows : array of int, (row,)
        Line number of each row in the file, from 1.
    decimal : str
        ``"."`` or ``","``.
    notes : tuple of str
        What was skipped.
    """

    source: str
    header: tuple[str, ...] | None
    columns: tuple[np.ndarray, ...]
    rows: np.ndarray
    decimal: str
    notes: tuple[str, ...] = field(default=())

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.columns)

    def label(self, column: int) -> str | int:
        """Return the name of a column, or its number from 1."""
        named = self.header and self.header[column]
        return named or column + 1

    def refuse(self, row: int, column: int, rule: str, allowed: str, remedy: str):
        """Return the error about one cell; ``row`` counts the rows of this table from 0."""
        subject = place(self.source, int(self.rows[row]), self.label(column))
        return refusal(subject, str(self.columns[column][row]), rule, allowed, remedy)

    def numbers(self, column: int) -> np.ndarray:
        """Return a column as finite float64, (row,).

        Raises
        ------
        MeasuredDataError
            At the first cell that is empty, text, NaN, infinite or absurdly large.
        """
        return self.numbers_in(column, np.arange(self.rows.size))

    def numbers_in(self, column: int, rows: np.ndarray) -> np.ndarray:
        """Return the cells ``rows`` of a column as finite float64; raises as `numbers`."""
        cells = self.columns[column][rows].tolist()
        if self.decimal == ",":
            cells = [to_decimal_point(c, self.decimal) for c in cells]
        try:
            values = np.array(list(map(_number, cells)), dtype=float)
        except ValueError:
            bad = next(i for i, c in enumerate(cells) if not is_number(c))
            raise self._not_a_number(int(rows[bad]), column) from None
        wrong = np.flatnonzero(~(np.abs(values) <= MAX_MAGNITUDE))
        if wrong.size:
            rule = "must be a finite number"
            if np.isfinite(values[wrong[0]]):
                rule = "is larger than any reading can be"
            remedy = "Correct or delete this row."
            allowed = f"a finite number of magnitude up to {MAX_MAGNITUDE:.0e}"
            raise self.refuse(int(rows[wrong[0]]), column, rule, allowed, remedy)
        return values

    def whole_numbers(self, column: int) -> np.ndarray:
        """Return a column as int64, (row,); raises `MeasuredDataError` where a cell is no whole number."""
        values = self.numbers(column)
        wrong = np.flatnonzero((values != np.rint(values)) | (np.abs(values) > MAX_WHOLE))
        if wrong.size:
            remedy = "Number the readings without fractions."
            raise self.refuse(int(wrong[0]), column, "must be a whole number", "such as 1, 2, 3", remedy)
        return values.astype(np.int64)

    def _not_a_number(self, row: int, column: int):
        if not self.columns[column][row]:
            rule, remedy = "the cell is empty", "Fill it in or delete the row."
        else:
            rule, remedy = "must be a number, this is text", "Correct or delete this row."
        return self.refuse(row, column, rule, "a finite number such as 1.2e-6", remedy)


def _number(cell: str) -> float:
    if "_" in cell:  # Python reads 1_000 as a number; no instrument writes it
        raise ValueError(cell)
    return float(cell)


def is_number(cell: str) -> bool:
    """Tell whether a cell (decimal point) reads as a number; NaN and inf count as such."""
    try:
        _number(cell)
    except ValueError:
        return False
    return True


def to_decimal_point(cell: str, decimal: str) -> str:
    """Write a cell with a decimal point."""
    return cell.replace(",", ".") if decimal == "," else cell


def read_table(text: str, source: str) -> Table:
    """Split text into a `Table`.

    Raises
    ------
    MeasuredDataError
        If there are no rows, only one column, rows of different length, or an ambiguous decimal mark.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").rstrip().split("\n")
    head = next((i for i, line in enumerate(lines) if not _SKIPPED_HEAD.match(line)), len(lines))
    lines = lines[head:]
    if not lines:
        rule = "the file holds no readings"
        raise refusal("file", source, rule, "at least 3 readings", "Load a file with data.")
    separator = next((s for s in _SEPARATORS if s in lines[0]), "")
    if not separator:
        raise _one_column(source, lines)
    if lines[0].count(separator) >= MAX_COLUMNS:
        found = lines[0].count(separator) + 1
        allowed = f"up to {MAX_COLUMNS}"
        remedy = "Check that the lines end where they should."
        raise refusal(f"columns of {source}", found, "there are too many", allowed, remedy)
    frame = _split(lines, separator, source, head)
    return _table(frame, separator, source, head)


def _one_column(source: str, lines: list[str]):
    rule = "the file has a single column; no comma, semicolon or tab separates cells in its first line"
    if len(lines[0].split()) > 1:
        rule += " (blanks do not)"
    allowed = "the long format, an up and a down column, one column per ramp, or direction plus devices"
    return refusal("file", source, rule, allowed, "Save it as CSV with one of these layouts.")


def _split(lines: list[str], separator: str, source: str, head: int) -> pd.DataFrame:
    """Run the CSV parser, and word what it refuses."""
    text = "\n".join(lines)
    options = dict(header=None, dtype=str, na_filter=False, skip_blank_lines=False, quoting=csv.QUOTE_MINIMAL)
    try:
        frame = pd.read_csv(io.StringIO(text), sep=separator, **options)
    except (pd.errors.ParserError, UnicodeError) as error:
        raise _ragged(str(error), separator, source, head) from error
    if len(frame) != len(lines):
        rule = "a quoted cell runs over several lines"
        raise refusal("file", source, rule, "one line per reading", "Remove line breaks inside quotes.")
    return frame


def _ragged(message: str, separator: str, source: str, head: int):
    match = _LIMITS.search(message)
    if not match:
        rule = "a quote is opened and never closed" if "EOF inside" in message else "cannot be split in cells"
        return refusal("file", source, rule, "plain CSV", "Remove the quotes and load it again.")
    expected, line, found = map(int, match.groups())
    rule = f"has more cells than the first line, which has {expected}"
    remedy = "Give every row the same number of cells."
    if separator == ",":
        remedy += " With decimal commas, separate the cells by semicolons."
    return refusal(f"cells in {place(source, line + head)}", found, rule, f"{expected}", remedy)


def _table(frame: pd.DataFrame, separator: str, source: str, head: int) -> Table:
    """Strip cells, drop blank rows and trailing blank columns, find header and decimal mark."""
    grid = [np.array([c.strip() for c in frame[j].tolist()], dtype=object) for j in frame.columns]
    while len(grid) > 1 and not any(grid[-1]):
        grid.pop()
    filled = np.logical_or.reduce([column != "" for column in grid])
    rows = np.flatnonzero(filled) + head + 1
    blank = int((~filled).sum())
    notes = (f"{blank} blank rows were skipped",) if blank else ()
    grid = [column[filled] for column in grid]
    if len(grid) == 1:
        raise _one_column(source, [""])
    decimal = _decimal_mark(grid, rows, separator, source)
    first = tuple(str(column[0]) for column in grid)
    header = None if all(is_number(to_decimal_point(c, decimal)) or not c for c in first) else first
    body = slice(1, None) if header else slice(None)
    if header and rows.size == 1:
        rule = "there is a header and no reading below it"
        raise refusal("file", source, rule, "at least 3 readings", "Load a file with data.")
    return Table(source, header, tuple(c[body] for c in grid), rows[body], decimal, notes)


def _decimal_mark(grid: list[np.ndarray], rows: np.ndarray, separator: str, source: str) -> str:
    """Return the decimal mark; a comma only where all cells agree that it is one."""
    if separator == ",":
        return "."
    commas = [(i, j) for j, col in enumerate(grid) for i, c in enumerate(col) if _COMMA_NUMBER.match(c)]
    if not commas:
        return "."
    kind = _SEPARATORS[separator]
    i, j = commas[0]
    subject = place(source, int(rows[i]), j + 1)
    allowed = "one decimal mark throughout, no thousands separators"
    if all(_THOUSANDS.match(grid[j][i]) for i, j in commas):
        rule = f"the comma may be a decimal mark or group thousands ({kind} separated file)"
        raise refusal(subject, str(grid[j][i]), rule, allowed, "Write the numbers with a decimal point.")
    points = ((i, j) for j, col in enumerate(grid) for i, c in enumerate(col) if "." in c and is_number(c))
    point = next(points, None)
    if point is not None:
        other = place(source, int(rows[point[0]]), point[1] + 1)
        rule = f"decimal commas and decimal points are mixed (a point in {other})"
        raise refusal(subject, str(grid[j][i]), rule, allowed, "Write all numbers with a decimal point.")
    return ","
