# SPDX-License-Identifier: Apache-2.0
"""Axis ranges that stay put while a slider moves.

Bokeh's automatic ranges follow every change of the data: the labels change with them, then the layout, then the page
paints again and tells the server. Ranges with round ends change seldom, which halves the time of a redraw.
"""

from __future__ import annotations

import math

from bokeh.models import Range1d

_PARTS = 10
"""Steps in a range, about: what lies within one step of the end is empty."""

_LEAST = 1e-30  # far below any weight, far above the least float


def round_out(low: float, high: float) -> tuple[float, float]:
    """Return the smallest range with round ends (multiples of 1, 2 or 5 times a power of ten) around two numbers.

    Examples
    --------
    >>> round_out(-0.93, 0.17)
    (-1.0, 0.2)
    """
    size = max(abs(low), abs(high))
    if high - low <= max(1e-12 * size, _LEAST):  # alike but for rounding
        half = 0.5 * size if size > _LEAST else 0.5
        low, high = low - half, high + half
    rough = (high - low) / _PARTS
    decade = 10.0 ** math.floor(math.log10(rough))
    step = next(m * decade for m in (1, 2, 5, 10) if m * decade >= rough * 0.999)
    digits = max(0, 1 - math.floor(math.log10(step)))
    start, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return round(start * step, digits), round(end * step, digits)


def set_range(axis: Range1d, low: float, high: float) -> None:
    """Let an axis go from ``low`` to ``high``, also after a reset by the plot's tool; a range in place stays."""
    if (axis.reset_start, axis.reset_end) != (low, high):
        axis.update(start=low, end=high, reset_start=low, reset_end=high)
