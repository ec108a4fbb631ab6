# SPDX-License-Identifier: Apache-2.0
"""A device of any class, asked for in the same words: size of its step, its bounds, and whatever else the class has.

Classes say their step in three ways: by `dw_min` and bounds, by tables in weight units, or by a measured curve. A new
class that inherits one of them needs nothing here.
"""

from __future__ import annotations

import math
from typing import Any

from engine import devices
from engine.devices import Device

EQUAL_BOUNDS = {"w_max_dtod": 0.0, "w_min_dtod": 0.0}
EQUAL = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0, "pow_gamma_dtod": 0.0,
         **EQUAL_BOUNDS}  # fmt: skip
QUIET = {"dw_min_std": 0.0, "spread_up": [0.0], "spread_down": [0.0]}


def make(stem: str, *, step: float = 0.01, low: float = -0.6, high: float = 0.6, **others: Any) -> Device:
    """Return a device whose nominal step scale and bounds (weight units) are these.

    Parameters
    ----------
    stem : str
    step, low, high : float
        What the header gets as ``dw_min``, ``w_min``, ``w_max``.
    **others
        Further parameters; those that the class does not have are left out.
    """
    cls = devices.get(stem)
    known = cls.fields()
    if "range_max" in known:
        size = curve_through(step, low, high)
    else:
        tables = {n: [step] for n in ("mean_up", "mean_down") if n in known}
        size = {n: v for n, v in {"dw_min": step, "w_max": high, "w_min": low}.items() if n in known} | tables
    return cls(**size | {n: v for n, v in others.items() if n in known})


def curve_through(step: float, low: float, high: float, pulses: int = 300) -> dict[str, float]:
    """Return the measured curve of a soft-bounds device: its larger step at zero is ``step``, its bounds these.

    With E = exp(-alpha p_max) and r the measured range, the bounds are r_min + r/(1-E) and r_max - r/(1-E); their sum
    is r_min + r_max, their difference r (1+E)/(1-E).
    """
    alpha = -math.log1p(-step / max(high, -low))
    rest = math.exp(-alpha * pulses)
    width = (high - low) * (1 - rest) / (1 + rest)
    return {
        "p_max": pulses,
        "alpha": alpha,
        "range_min": (low + high - width) / 2,
        "range_max": (low + high + width) / 2,
    }


def table_entries(default: list[float], factor: float = 1.3) -> list[float]:
    """Return a table with several nodes, none equal to the default's."""
    return [default[0] * factor, default[0] * (factor + 0.2), default[0] * (factor + 0.1)]
