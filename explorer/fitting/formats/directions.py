# SPDX-License-Identifier: Apache-2.0
"""The direction of a column of readings: told by the caller, by its name, or by its trend."""

from __future__ import annotations

import re

import numpy as np

from ..errors import refusal
from ..table import Table
from ..trace import DOWN, UP
from .base import Options

CLEAR_TREND = 4.0
"""Slope over its standard error from which a trend counts; pure noise exceeds it once in 16 000 columns."""

_WORDS = {"up": UP, "set": UP, "ltp": UP, "potentiation": UP, "pot": UP}
_WORDS |= {"down": DOWN, "dn": DOWN, "reset": DOWN, "ltd": DOWN, "depression": DOWN, "dep": DOWN}


def named_direction(name: str) -> int | None:
    """Return the direction in a column name such as ``up``, ``reset_3`` or ``LTP 2``, else None."""
    words = re.findall(r"[a-z]+", name.casefold())
    found = {_WORDS[w] for w in words if w in _WORDS}
    return found.pop() if len(found) == 1 else None


def trend(values: np.ndarray) -> int:
    """Return +1 or -1 if the readings clearly rise or fall along the trace, else 0."""
    values = values[np.isfinite(values)]  # rejected rows are NaN
    span = values.max() - values.min() if values.size else 0.0
    if span <= 0 or values.size < 3:
        return 0
    y = (values - values.min()) / span
    x = np.arange(y.size) - (y.size - 1) / 2
    slope = x @ y / (x @ x)
    rest = y - y.mean() - slope * x
    error = np.sqrt(rest @ rest / max(y.size - 2, 1) / (x @ x))
    return int(np.sign(slope)) if abs(slope) > CLEAR_TREND * error else 0


def told(options: Options, n_columns: int, source: str) -> list[int] | None:
    """Return the caller's directions as one per column, or None if the caller gave none.

    Raises
    ------
    MeasuredDataError
        If they are not +1 or -1, or not as many as the columns.
    """
    if options.directions is None:
        return None
    given = np.atleast_1d(np.asarray(options.directions)).tolist()
    given = given * n_columns if len(given) == 1 else given
    if len(given) != n_columns or any(d not in (UP, DOWN) for d in given):
        rule = f"{source} has {n_columns} columns of readings"
        allowed = "+1 or -1, one for all columns or one for each"
        raise refusal("directions", options.directions, rule, allowed, "Correct the argument.")
    return [int(d) for d in given]


def infer(table: Table, columns: list[np.ndarray], options: Options) -> tuple[list[int], list[str]]:
    """Return the direction of every column, and warnings.

    A constant column follows the others if they agree.

    Raises
    ------
    MeasuredDataError
        If the direction of a column is not clear.
    """
    given = told(options, len(columns), table.source)
    if given is not None:
        return given, []
    found = [named_direction(str(table.label(j))) or trend(y) for j, y in enumerate(columns)]
    known = {d for d in found if d}
    assumed = [j for j, d in enumerate(found) if not d]
    for j in assumed:
        constant = np.nanmin(columns[j]) == np.nanmax(columns[j])
        if not constant or len(known) != 1:
            subject = f"direction of column {table.label(j)!r} in {table.source}"
            rule = "the readings neither rise nor fall clearly, and the name does not tell"
            remedy = "Give directions=, or put 'up' or 'down' in the column name."
            raise refusal(subject, 0, rule, "+1 or -1", remedy)
        found[j] = next(iter(known))
    names = ", ".join(str(table.label(j)) for j in assumed[:5])
    warnings = [f"constant columns take the direction of the others: {names}"] if assumed else []
    return found, warnings
