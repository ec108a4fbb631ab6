# SPDX-License-Identifier: Apache-2.0
"""What the fit studio reads: a file or a pasted text, which column means what, and what came of it. No widgets here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from explorer.fitting import Measured, MeasuredDataError, read_columns, read_measured
from explorer.fitting.roles import guess

PREVIEW_ROWS = 6


@dataclass(frozen=True)
class Asked:
    """A file and how to read it.

    Attributes
    ----------
    name : str
    content : bytes
    unit : str or None
        Unit of readings whose file does not say.
    read_voltage_v : float or None
    columns : dict of str to int, or None
        Role to number of the column from 1; None lets names and layout tell.
    others : tuple of (str, bytes)
        Files that it is merged with, such as the set ramps of reset ramps; read in the same way.
    """

    name: str
    content: bytes
    unit: str | None = None
    read_voltage_v: float | None = None
    columns: dict[str, int] | None = None
    others: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, eq=False)
class FilePreview:
    """The file as it stands there.

    Attributes
    ----------
    asked : Asked
    labels : list of str
        Names of the columns, or their numbers.
    rows : list of list of str
        The first rows.
    roles : dict of str to int
        Column of each role, as guessed or told, from 1.
    problem : str
        Why it could not be read as asked; the preview is shown all the same.
    """

    asked: Asked
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    roles: dict[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Preview(FilePreview):
    """The same with the pulse responses that were read of it, or None."""

    measured: Measured | None = None


class Reader:
    """Reads in a thread of its own; `share` says how far it is.

    Attributes
    ----------
    share : float
        0..1.
    """

    def __init__(self) -> None:
        self.share = 0.0
        self._lock = threading.Lock()

    def read(self, asked: Asked) -> Preview:
        """Return the preview of a file; what is wrong with it is in ``problem``."""
        with self._lock:
            self.share = 0.0
            preview = _preview(asked)
            try:
                measured = _measured(asked, self._told)
            except MeasuredDataError as error:
                return replace(preview, problem=str(error))
            return replace(preview, measured=measured)

    def _told(self, share: float) -> None:
        self.share = share


def _preview(asked: Asked) -> Preview:
    try:
        table = read_columns(asked.content, asked.name)
    except MeasuredDataError:
        return Preview(asked)
    labels = [str(table.label(j)) for j in range(table.n_columns)]
    rows = [[column[i] for column in table.columns] for i in range(min(PREVIEW_ROWS, table.rows.size))]
    roles = asked.columns or {role: j + 1 for role, j in guess(table).items()}
    return Preview(asked, labels, rows, roles)


def _measured(asked: Asked, told: Callable[[float], None]) -> Measured:
    parts = [*asked.others, (asked.name, asked.content)]
    first, *rest = (_one(asked, name, content, told) for name, content in parts)
    return first.merge(*rest) if rest else first


def _one(asked: Asked, name: str, content: bytes, told: Callable[[float], None]) -> Measured:
    return read_measured(
        content, name, unit=asked.unit, read_voltage_v=asked.read_voltage_v, columns=asked.columns,
        bad_rows="list", told=told,
    )  # fmt: skip


def wording(measured: Measured) -> list[str]:
    """Return what was assumed on reading, as sentences."""
    return [f"{note[0].upper()}{note[1:]}." for note in dict.fromkeys(measured.warnings)]


def rejected_rows(measured: Measured, at_most: int) -> list[list[str]]:
    """Return the rejected rows as table rows: line, column, cell, reason, remedy."""
    return [[str(r.row), str(r.column), r.value, r.reason, r.remedy] for r in measured.rejected[:at_most]]
