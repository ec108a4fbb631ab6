# SPDX-License-Identifier: Apache-2.0
"""Columns of readings that end early, in empty cells."""

from __future__ import annotations

import numpy as np

from ..checks import MIN_READINGS
from ..errors import refusal
from ..table import Table


def ending_in_blanks(table: Table, column: int) -> np.ndarray:
    """Return the readings of a column up to its last filled cell, (reading,); NaN where a row is rejected.

    Raises
    ------
    MeasuredDataError
        If a cell is empty before the end, is not a finite number, or fewer than three are filled.
    """
    filled = np.flatnonzero(table.columns[column].filled)
    n = int(filled[-1]) + 1 if filled.size else 0
    if n < MIN_READINGS:
        subject = f"readings in {table.source} column {table.label(column)!r}"
        allowed = f"at least {MIN_READINGS}"
        raise refusal(subject, n, "too few to tell a curve", allowed, "Delete the column or add readings.")
    return table.numbers_in(column, np.arange(n))
