# SPDX-License-Identifier: Apache-2.0
"""Layouts of measured files, one module each, found by themselves."""

from __future__ import annotations

import sys
from functools import cache

from ..discovery import discover
from ..errors import refusal
from ..table import Table
from .base import Format, Options, Reading

__all__ = ["Format", "Options", "Reading", "all_formats", "recognise"]


@cache
def all_formats() -> tuple[Format, ...]:
    """Return one instance of every format, the most specific first."""
    found = discover(sys.modules[__name__], Format)  # type: ignore[type-abstract]
    return tuple(sorted((cls() for cls in found), key=lambda f: f.priority))


def recognise(table: Table) -> Format:
    """Return the first format that recognises a table.

    Raises
    ------
    MeasuredDataError
        If none does.
    """
    for candidate in all_formats():
        if candidate.recognises(table):
            return candidate
    known = "; ".join(f.title for f in all_formats())
    rule = f"{table.n_columns} columns without a header can mean anything"
    remedy = "Add a first row with the names of the columns."
    raise refusal("file", table.source, rule, known, remedy)
