# SPDX-License-Identifier: Apache-2.0
"""Text to a table, chunk by chunk, so that a file of hundreds of megabytes stays small in memory.

Separator and decimal mark are found from the text: a semicolon or a tab separates wherever it stands in
the first line, a comma otherwise, blanks where there is none of these and rows have several cells; a
decimal comma is accepted where the comma does not separate.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import numpy as np
import pandas as pd

from .cells import Growing, is_number, to_decimal_point
from .errors import place, refusal
from .rejects import Rejected, Rejects
from .source import Text
from .table import Table

MAX_COLUMNS = 20_000
"""More columns than any measured file has; what exceeds it is one endless line."""

BLANK, NONE = " ", "\x1f"
_SEPARATORS = {";": "semicolon", "\t": "tab", ",": "comma"}
_SKIPPED_HEAD = re.compile(r"\s*(#.*|sep=.)?$", re.IGNORECASE)
_SAID = re.compile(r"\s*#\s*(unit|read_voltage_v)\s*[:=]\s*(\S+)\s*$", re.IGNORECASE)
_COMMA_NUMBER = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?$")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+$")
_LIMITS = re.compile(r"Expected (\d+) fields in line (\d+), saw (\d+)")

Told = Callable[[float], None]


def read_table(text: Text, rejects: Rejects | None = None, told: Told | None = None) -> Table:
    """Split text into a `Table`.

    Parameters
    ----------
    text : Text
    rejects : Rejects, optional
        Takes rows with too many cells; without it the first of them raises.
    told : callable, optional
        Takes the share of the file that has been read, 0..1, after each chunk.

    Raises
    ------
    MeasuredDataError
        If there are no rows, rows of different length, or an ambiguous decimal mark.
    """
    reader = _Reader(text.name, rejects)
    for share, lines in text.chunks():
        reader.take(lines)
        if told is not None:
            told(share)
    return reader.table(text.notes)


class _Reader:
    """What is known of a file after some of its lines."""

    def __init__(self, source: str, rejects: Rejects | None):
        self.source, self.rejects = source, rejects
        self.line = 0  # lines seen so far
        self.first: str | None = None  # the first line with cells; it tells separator and number of columns
        self.separator = ""
        self.columns: list[Growing] = []
        self.rows: list[np.ndarray] = []
        self.filled: list[np.ndarray] = []
        self.comments = 0
        self.said: dict[str, str] = {}
        self.marks = _Marks(source)
        self.head_cells: list[str] = []

    def take(self, lines: list[str]) -> None:
        """Take the next lines of the file."""
        numbers = np.arange(self.line + 1, self.line + 1 + len(lines))
        self.line += len(lines)
        if self.first is None:
            head = next((i for i, line in enumerate(lines) if not _SKIPPED_HEAD.match(line)), len(lines))
            self._hear(lines[:head])
            lines, numbers = lines[head:], numbers[head:]
            if not lines:
                return
            self._begin(lines)
        commented = [line.lstrip()[:1] == "#" for line in lines]
        if any(commented):
            self.comments += sum(commented)
            self._hear([line for line, c in zip(lines, commented, strict=True) if c])
            keep = ~np.array(commented)
            lines, numbers = [line for line, k in zip(lines, keep, strict=True) if k], numbers[keep]
        if lines:
            self._split(lines, numbers)

    def _hear(self, lines: list[str]) -> None:
        for match in filter(None, map(_SAID.match, lines)):
            self.said[match[1].casefold()] = match[2]

    def _begin(self, lines: list[str]) -> None:
        self.first = line = lines[0]
        cells = [len(text.split()) for text in lines[-2:]]
        otherwise = BLANK if max(cells) > 1 else NONE  # blanks in a header alone are part of a name
        self.separator = next((s for s in _SEPARATORS if s in line), otherwise)
        found = len(line.split()) if self.separator == BLANK else line.count(self.separator) + 1
        if found > MAX_COLUMNS:
            allowed, remedy = f"up to {MAX_COLUMNS}", "Check that the lines end where they should."
            raise refusal(f"columns of {self.source}", found, "there are too many", allowed, remedy)

    def _split(self, lines: list[str], numbers: np.ndarray) -> None:
        """Run the CSV parser on some lines and keep their cells."""
        frame, numbers = self._parsed(lines, numbers)
        if not self.columns:
            decimal = "." if self.separator == "," else ","
            self.columns = [Growing(decimal) for _ in frame.columns]
        filled = np.zeros(len(frame), dtype=bool)
        for j, (column, name) in enumerate(zip(self.columns, frame.columns, strict=True)):
            cells = frame[name].to_numpy(dtype=object)
            if not self.rows:
                self.head_cells.append(cells[0].strip())
            texts = column.add(cells)
            self.marks.see(cells, texts, numbers, j, self.separator)
            blank = {t for t in pd.unique(cells) if not t.strip()}
            filled |= ~np.isin(cells, list(blank)) if blank else True
        self.rows.append(numbers)
        self.filled.append(filled)

    def _parsed(self, lines: list[str], numbers: np.ndarray) -> tuple[pd.DataFrame, np.ndarray]:
        """Return the cells of some lines; each chunk is parsed below the first line, which sets the columns."""
        again = bool(self.rows)
        text = "\n".join([self.first, *lines] if again else lines) + "\n"
        options = dict(header=None, dtype=str, na_filter=False, skip_blank_lines=False, quoting=csv.QUOTE_MINIMAL)
        separator = dict(sep=r"\s+") if self.separator == BLANK else dict(sep=self.separator)
        try:
            frame = pd.read_csv(io.StringIO(text), **separator, **options)
        except (pd.errors.ParserError, UnicodeError, pd.errors.EmptyDataError) as error:
            if self.rejects is None or not _LIMITS.search(str(error)):
                raise self._ragged(str(error), numbers, int(again)) from error
            lines, numbers = self._without_long_rows(lines, numbers)
            return self._parsed(lines, numbers)
        frame = frame.iloc[int(again) :]
        if len(frame) != len(lines):
            if self.separator == BLANK:  # the parser drops blank lines here whatever it is told
                numbers = numbers[[bool(line.strip()) for line in lines]]
            if len(frame) != len(numbers):
                rule = "a quoted cell runs over several lines"
                remedy = "Remove line breaks inside quotes."
                raise refusal("file", self.source, rule, "one line per reading", remedy)
        return frame, numbers

    def _without_long_rows(self, lines: list[str], numbers: np.ndarray) -> tuple[list[str], np.ndarray]:
        """Leave out lines with more cells than the first one, and note them."""
        split = (lambda line: line.split()) if self.separator == BLANK else self._cells
        n = len(split(self.first))
        counts = np.array([len(split(line)) for line in lines])
        rule, remedy = f"has more cells than the first line, which has {n}", "Give every row as many cells."
        for i in np.flatnonzero(counts > n).tolist():
            value = f"{counts[i]} cells"
            self.rejects.add(Rejected(int(numbers[i]), n + 1, value, rule, f"{n} cells", remedy))
        return [line for line, c in zip(lines, counts, strict=True) if c <= n], numbers[counts <= n]

    def _cells(self, line: str) -> list[str]:
        return next(csv.reader([line], delimiter=self.separator), [])

    def _ragged(self, message: str, numbers: np.ndarray, above: int):
        match = _LIMITS.search(message)
        if not match:
            rule = "a quote is opened and never closed" if "EOF inside" in message else "cannot be split in cells"
            return refusal("file", self.source, rule, "plain CSV", "Remove the quotes and load it again.")
        expected, line, found = map(int, match.groups())
        rule = f"has more cells than the first line, which has {expected}"
        remedy = "Give every row the same number of cells."
        if self.separator == ",":
            remedy += " With decimal commas, separate the cells by semicolons."
        row = int(numbers[min(line - 1 - above, len(numbers) - 1)])
        return refusal(f"cells in {place(self.source, row)}", found, rule, f"{expected}", remedy)

    def table(self, notes: tuple[str, ...]) -> Table:
        """Drop blank rows and trailing blank columns, find header and decimal mark."""
        if not self.rows or not np.concatenate(self.filled).any():
            rule = "the file holds no readings"
            raise refusal("file", self.source, rule, "at least 3 readings", "Load a file with data.")
        rows, filled = np.concatenate(self.rows), np.concatenate(self.filled)
        columns = [column.done() for column in self.columns]
        while len(columns) > 1 and not columns[-1].filled.any():
            columns.pop()
        blank = int((~filled[: np.flatnonzero(filled)[-1]]).sum())
        said = (*notes, *_counted(blank, "blank row", "blank rows"), *_counted(self.comments, "comment", "comments"))
        decimal = self.marks.decimal(self.separator)
        columns = [column.take(filled) for column in columns]
        rows = rows[filled]
        first = tuple(column[0] for column in columns)
        named = not all(is_number(to_decimal_point(c, decimal)) or not c for c in first)
        if named:
            columns, rows = [column.take(slice(1, None)) for column in columns], rows[1:]
        if not rows.size:
            rule = "there is a header and no reading below it"
            raise refusal("file", self.source, rule, "at least 3 readings", "Load a file with data.")
        header = first if named else None
        return Table(self.source, header, tuple(columns), rows, decimal, said, self.said, self.rejects)


class _Marks:
    """Decimal commas and decimal points seen so far, to tell which of them a file uses."""

    def __init__(self, source: str):
        self.source = source
        self.comma: tuple[int, int, str] | None = None
        self.point: tuple[int, int, str] | None = None
        self.only_thousands = True

    def see(self, cells: np.ndarray, texts: np.ndarray, numbers: np.ndarray, column: int, separator: str) -> None:
        """Look at new cells of a column; ``texts`` are the different ones among them."""
        if separator == ",":
            return
        commas = [t for t in texts if _COMMA_NUMBER.match(t) or _THOUSANDS.match(t)]
        self.only_thousands &= all(_THOUSANDS.match(t) for t in commas)
        if commas:
            self.comma = self._earlier(self.comma, commas[0], cells, numbers, column)
        point = next((t for t in texts if "." in t and is_number(t)), None)
        if point is not None:
            self.point = self._earlier(self.point, point, cells, numbers, column)

    @staticmethod
    def _earlier(known, text: str, cells: np.ndarray, numbers: np.ndarray, column: int):
        row = next(int(n) for n, c in zip(numbers, cells, strict=True) if c.strip() == text)
        return min(known, (column, row, text)) if known else (column, row, text)

    def decimal(self, separator: str) -> str:
        """Return the decimal mark; a comma only where all cells agree that it is one.

        Raises
        ------
        MeasuredDataError
            If the comma may group thousands, or both marks are used.
        """
        if self.comma is None:
            return "."
        column, row, text = self.comma
        subject = place(self.source, row, column + 1)
        allowed, remedy = "one decimal mark throughout, no thousands separators", "Write the numbers with a"
        if self.only_thousands:
            kind = _SEPARATORS.get(separator, "blank")
            rule = f"the comma may be a decimal mark or group thousands ({kind} separated file)"
            raise refusal(subject, text, rule, allowed, f"{remedy} decimal point.")
        if self.point is not None:
            other = place(self.source, self.point[1], self.point[0] + 1)
            rule = f"decimal commas and decimal points are mixed (a point in {other})"
            raise refusal(subject, text, rule, allowed, f"{remedy} decimal point.")
        return ","


def _counted(n: int, one: str, many: str) -> tuple[str, ...]:
    return (f"{n} {many if n != 1 else one} {'were' if n != 1 else 'was'} skipped",) if n else ()
