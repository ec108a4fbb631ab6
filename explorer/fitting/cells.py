# SPDX-License-Identifier: Apache-2.0
"""Cells of a column, kept small: a text once however often it stands there, numbers where nearly all differ."""

from __future__ import annotations

import numpy as np
import pandas as pd

MAX_DISTINCT = 65_536
"""Different texts a column may hold before it is kept as numbers; device names and directions stay text."""


def number_of(cell: str) -> float:
    """Return a cell (decimal point) as a number; raises `ValueError` for anything else."""
    if "_" in cell:  # Python reads 1_000 as a number; no instrument writes it
        raise ValueError(cell)
    return float(cell)


def is_number(cell: str) -> bool:
    """Tell whether a cell (decimal point) reads as a number; NaN and inf count as such."""
    try:
        number_of(cell)
    except ValueError:
        return False
    return True


def to_decimal_point(cell: str, decimal: str) -> str:
    """Write a cell with a decimal point."""
    return cell.replace(",", ".") if decimal == "," else cell


class Column:
    """The cells of one column below each other, (row,).

    Parameters
    ----------
    codes : array of int, (row,), or None
        Place of each cell's text in ``texts``; None where the column is kept as numbers.
    texts : array of str, (distinct,)
        Different texts without surrounding blanks; missing cells are empty.
    values : array of float, (row,), optional
        Numbers instead of texts; NaN where ``odd`` holds a text.
    odd : dict of int to str, optional
        Cells of a column of numbers that are not finite numbers, by row.
    """

    def __init__(self, codes, texts, values=None, odd=None):
        self._codes, self._texts, self._values, self._odd = codes, texts, values, odd or {}

    @classmethod
    def of_numbers(cls, values: np.ndarray) -> Column:
        """Return a column of an array, (row,); text and whole numbers are kept as they are."""
        values = np.asarray(values)
        if values.dtype.kind in "fiub":
            return cls(None, None, values.astype(float))
        codes, texts = pd.factorize(np.array([_plain(v).strip() for v in values.tolist()], dtype=object))
        return cls(codes, texts)

    def __len__(self) -> int:
        return (self._values if self._codes is None else self._codes).size

    def __getitem__(self, row: int) -> str:
        if self._codes is not None:
            return str(self._texts[self._codes[row]])
        return self._odd.get(int(row), f"{self._values[row]:.15g}")

    def text(self) -> np.ndarray:
        """Return the cells as text, (row,) of str; of numbers the shortest text that reads as the same number."""
        if self._codes is not None:
            return self._texts[self._codes]
        return np.array([self[row] for row in range(len(self))], dtype=object)

    @property
    def filled(self) -> np.ndarray:
        """Which cells are not empty, (row,)."""
        if self._codes is not None:
            return (self._texts != "")[self._codes]
        filled = np.ones(len(self), dtype=bool)
        filled[[row for row, text in self._odd.items() if not text]] = False
        return filled

    def numbers(self, decimal: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the cells as numbers, (row,), and which of them are numbers at all; the others are NaN."""
        if self._codes is None:
            known = np.ones(len(self), dtype=bool)
            known[[row for row, text in self._odd.items() if not is_number(to_decimal_point(text, decimal))]] = False
            values = self._values.copy()
            for row in self._odd:
                values[row] = number_of(to_decimal_point(self._odd[row], decimal)) if known[row] else np.nan
            return values, known
        cells = [to_decimal_point(text, decimal) for text in self._texts]
        known = np.array([is_number(cell) for cell in cells], dtype=bool)
        values = np.array([number_of(c) if k else np.nan for c, k in zip(cells, known, strict=True)], dtype=float)
        return values[self._codes], known[self._codes]

    def take(self, rows: np.ndarray) -> Column:
        """Return the cells of some rows, given by a mask or by positions."""
        if self._codes is not None:
            return Column(self._codes[rows], self._texts)
        places = np.arange(len(self))[rows]
        odd = {new: self._odd[old] for new, old in enumerate(places.tolist()) if old in self._odd} if self._odd else {}
        return Column(None, None, self._values[rows], odd)


class Growing:
    """A column that gets its cells chunk by chunk."""

    def __init__(self, decimal: str):
        self._decimal = decimal
        self._places: dict[str, int] = {}
        self._parts: list[np.ndarray] = []
        self._odd: dict[int, str] = {}
        self._rows = 0
        self._as_numbers = False

    def add(self, cells: np.ndarray) -> np.ndarray:
        """Append cells, (row,) of str; return the different texts among them."""
        codes, texts = pd.factorize(cells)
        texts = np.array([text.strip() for text in texts], dtype=object)
        if not self._as_numbers:
            self._add_texts(codes, texts)
        else:
            self._parts.append(self._numbers(codes, texts, self._rows))
        self._rows += codes.size
        return texts

    def _add_texts(self, codes: np.ndarray, texts: np.ndarray) -> None:
        places = np.array([self._places.setdefault(t, len(self._places)) for t in texts], dtype=np.int32)
        self._parts.append(places[codes] if codes.size else np.zeros(0, np.int32))
        if len(self._places) > MAX_DISTINCT:
            texts, self._places, self._as_numbers = np.array(list(self._places), dtype=object), {}, True
            at, parts = 0, []
            for part in self._parts:
                parts.append(self._numbers(part, texts, at))
                at += part.size
            self._parts = parts

    def _numbers(self, codes: np.ndarray, texts: np.ndarray, first: int) -> np.ndarray:
        cells = [to_decimal_point(text, self._decimal) for text in texts]
        values = np.array([number_of(c) if is_number(c) else np.nan for c in cells], dtype=float)
        odd = ~np.isfinite(values)
        for row in np.flatnonzero(odd[codes]).tolist():
            self._odd[first + row] = str(texts[codes[row]])
        return values[codes]

    def done(self) -> Column:
        """Return the column."""
        if self._as_numbers:
            return Column(None, None, np.concatenate(self._parts), self._odd)
        codes = np.concatenate(self._parts) if self._parts else np.zeros(0, np.int32)
        return Column(codes, np.array(list(self._places) or [""], dtype=object))


def _plain(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
