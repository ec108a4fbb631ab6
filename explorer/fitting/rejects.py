# SPDX-License-Identifier: Apache-2.0
"""Rows that were left out of a measurement, each with its place and the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .errors import place, refusal

MAX_SHARE = 0.2
"""Share of rejected rows from which the file is refused: by then it is more likely misread than damaged."""


@dataclass(frozen=True)
class Rejected:
    """One row that was left out.

    Attributes
    ----------
    row : int
        Line of the file, from 1 and with the header.
    column : str or int
        Name of the offending column, or its number from 1.
    value : str
        The offending cell as it stands in the file.
    reason, allowed, remedy : str
        The rule it breaks, what would be allowed, and what to do.
    """

    row: int
    column: str | int
    value: str
    reason: str
    allowed: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        return f"row {self.row} column {self.column!r} = {self.value!r}: {self.reason}"


class Rejects:
    """The rejected rows of one file as they are found; the first reason of a row is kept."""

    def __init__(self) -> None:
        self._found: dict[int, Rejected] = {}

    def add(self, found: Rejected) -> None:
        """Note a row."""
        self._found.setdefault(found.row, found)

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Rejected]:
        return iter(sorted(self._found.values(), key=lambda found: found.row))

    def check_share(self, n_rows: int, source: str) -> None:
        """Refuse a file of which too many of ``n_rows`` rows are rejected.

        Raises
        ------
        MeasuredDataError
            With the first of them.
        """
        if len(self) > MAX_SHARE * n_rows:
            first = next(iter(self))
            more = f" ({len(self)} of {n_rows} rows are rejected, this is the first)"
            raise refusal(place(source, first.row, first.column), first.value, first.reason + more,
                          first.allowed, first.remedy)  # fmt: skip
