# SPDX-License-Identifier: Apache-2.0
"""A logarithmic axis of time that has a place for zero, at its left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from bokeh.models import FixedTicker

from explorer import durations

ZERO = -1.2
"""Place of t = 0; 1 s is at 0, each decade one further."""
END = math.log10(20 * durations.YEAR)
START = ZERO - 0.35
NAMED = (0.0, 1.0, durations.MINUTE, durations.HOUR, durations.DAY, durations.MONTH, durations.YEAR,
          10 * durations.YEAR)  # fmt: skip


def place(t: float) -> float:
    """Return where a time (s) stands; times below 0.1 s stand at 0.1 s, zero apart.

    Examples
    --------
    >>> place(1.0), place(0.0), round(place(3600.0), 3)
    (0.0, -1.2, 3.556)
    """
    return ZERO if t == 0 else max(math.log10(t), ZERO + 0.2)


def places(times: Sequence[float]) -> np.ndarray:
    """Return the places of times, ``(time,)``."""
    return np.array([place(t) for t in times])


def time_at(x: float) -> float:
    """Return the time (s) at a place, with three digits; zero left of the axis' gap.

    Examples
    --------
    >>> time_at(0.0), time_at(-1.1), time_at(3.5563)
    (1.0, 0.0, 3600.0)
    """
    return 0.0 if x < ZERO / 2 else float(f"{10 ** min(x, END):.3g}")


def dress(axis) -> None:
    """Give an axis ticks from 0 to 10 years."""
    axis.ticker = FixedTicker(ticks=[place(t) for t in NAMED], minor_ticks=[])
    axis.major_label_overrides = {place(t): durations.worded(t) for t in NAMED}
