# SPDX-License-Identifier: Apache-2.0
"""The one exception of reading and fitting measured data, worded for the person who owns the file."""

from __future__ import annotations

from engine.errors import OhmscapeError, say

LONGEST_SHOWN = 40
"""Characters of an offending cell that a message quotes; a whole line of text helps nobody."""


class MeasuredDataError(OhmscapeError, ValueError):
    """A measured file, or what is asked of it, breaks a rule; the text names place, rule and remedy."""


def place(source: str, row: int | None = None, column: object = None) -> str:
    """Name a place in a file: ``data.csv row 700 column 'value'``; rows count from 1, header included."""
    at_row = "" if row is None else f" row {row}"
    at_column = "" if column is None else f" column {column!r}"
    return f"{source}{at_row}{at_column}"


def refusal(subject: str, value: object, rule: str, allowed: str, remedy: str) -> MeasuredDataError:
    """Return the error to raise, in the project's wording, with an over-long value cut short."""
    if isinstance(value, str) and len(value) > LONGEST_SHOWN:
        value = value[:LONGEST_SHOWN] + "..."
    return MeasuredDataError(say(subject, value, rule, allowed, remedy))
