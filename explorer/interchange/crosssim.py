# SPDX-License-Identifier: Apache-2.0
"""CrossSim's lookup tables of steps: ``dG_increasing.txt`` and ``dG_decreasing.txt``.

A file holds one line of words, the conductances G (S), the cumulative probabilities, then a row for each probability:
the change dG (S) that is not exceeded with it, at each G; separated by commas. Read from the loader of CrossSim's
training simulator, whose files these are; conductances and probabilities have to be evenly spaced for its fast path.
"""

from __future__ import annotations

import io

import numpy as np
from scipy.stats import norm

from engine.devices import Device
from engine.devices.lookup_table import LookupTable
from engine.errors import ParameterError, say

from . import Exported, Imported

INCREASING, DECREASING = "dG_increasing.txt", "dG_decreasing.txt"
PROBABILITIES = 101
NODES = 50
"""Conductances of a table made from a device that is none: what CrossSim's own script writes by default."""

MAX_CELLS = 4_000_000


def export(device: Device, g_lo_s: float, g_hi_s: float, nodes: int = NODES) -> Exported:
    """Return the two tables of a device; the lower bound of its weight becomes ``g_lo_s``, the upper one ``g_hi_s``.

    Parameters
    ----------
    device : Device
        A lookup table is written as it is; of another class its mean step at ``nodes`` weights, with normal noise of
        ``dw_min_std`` relative to it.
    g_lo_s, g_hi_s : float
        Conductances in S, growing.
    nodes : int
        At least 2.

    Raises
    ------
    ParameterError
        If the conductances do not grow, or the device has no bounds.
    """
    if not 0 <= g_lo_s < g_hi_s:
        raise ParameterError(
            say("g_hi_s", g_hi_s, "must lie above g_lo_s", f"above {g_lo_s:g}", "Swap them.", unit="S")
        )
    low, high = device.range
    if not np.isfinite(high - low):
        raise ParameterError(say("device", device.title, "has no bounds", "a bounded device", "Set w_min and w_max."))
    slope, notes = (g_hi_s - g_lo_s) / (high - low), []
    if isinstance(device, LookupTable):
        n = max(len(device.mean_up), len(device.mean_down))
        tables = {d: (_at(mean, n), _at(spread, n) * device.dw_min_std) for d, mean, spread in (
            (1, device.mean_up, device.spread_up), (-1, device.mean_down, device.spread_down))}  # fmt: skip
    else:
        n = nodes
        w = np.linspace(low, high, n)
        steps = {d: d * np.array([device.step(float(v), d) for v in w]) for d in (1, -1)}
        tables = {d: (np.abs(s), np.abs(s) * device.values().get("dw_min_std", 0.0)) for d, s in steps.items()}
        notes.append("the noise of a step is taken in proportion to the step")
    if any(v for name, v in device.values().items() if name.endswith("_dtod") and isinstance(v, float)):
        notes.append("one table is one device: the spread from device to device is left out")
    g = np.linspace(g_lo_s, g_hi_s, n)
    files = {INCREASING: _written(g, *(a * slope for a in tables[1]), 1),
             DECREASING: _written(g, *(a * slope for a in tables[-1]), -1)}  # fmt: skip
    return Exported(files, tuple(notes))


def read(increasing: str, decreasing: str) -> Imported:
    """Return the device of two tables; the range of their conductances becomes -1 .. 1 in weight.

    Raises
    ------
    ParameterError
        If a table is damaged, the two have other conductances, or a mean step goes the wrong way everywhere.
    """
    (g, up), (g_down, down) = _table(increasing, INCREASING), _table(decreasing, DECREASING)
    if g.shape != g_down.shape or not np.allclose(g, g_down):
        rule = f"has other conductances than {INCREASING}"
        raise ParameterError(
            say(DECREASING, f"{g_down.size} values", rule, "the same in both", "Give a pair of files.")
        )
    slope = 2.0 / (g[-1] - g[0])
    mean = {1: _mean(up) * slope, -1: -_mean(down) * slope}
    for direction, name in ((1, INCREASING), (-1, DECREASING)):
        if mean[direction].mean() <= 0:
            raise ParameterError(say(name, float(direction * mean[direction].mean()), "goes the wrong way on average",
                                     "dG above 0 in one, below 0 in the other", "Swap the two files."))  # fmt: skip
    spread = {1: _spread(up) * slope, -1: _spread(down) * slope}
    device = LookupTable(
        w_min=-1.0, w_max=1.0, dw_min=float(np.mean([mean[1].mean(), mean[-1].mean()])), dw_min_std=1.0,
        mean_up=mean[1].tolist(), mean_down=mean[-1].tolist(), spread_up=spread[1].tolist(),
        spread_down=spread[-1].tolist(), dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0,
    )  # fmt: skip
    span = f"weight -1 is {g[0]:.4g} S, weight 1 is {g[-1]:.4g} S"
    return Imported(device, (span, "only mean and spread of a step are kept, not the shape of its distribution"))


def _at(table: list[float], n: int) -> np.ndarray:
    values = np.asarray(table, dtype=float)
    return np.interp(np.linspace(0, 1, n), np.linspace(0, 1, values.size), values) if values.size > 1 else (
        np.full(n, values[0]))  # fmt: skip


def _quantiles() -> np.ndarray:
    """Return standard deviates at evenly spaced probabilities whose mean is 0 and spread 1 as `_mean` takes them."""
    p = np.linspace(0, 1, PROBABILITIES).clip(0.25 / PROBABILITIES, 1 - 0.25 / PROBABILITIES)
    z = norm.ppf(p)[:, None]
    return (z - _mean(z)) / _spread(z)


def _written(g: np.ndarray, mean: np.ndarray, spread: np.ndarray, direction: int) -> str:
    change = direction * mean + _quantiles() * spread
    out = io.StringIO()
    out.write("header: line 2 is G (S), line 3 the cumulative probability, then dG (S), a row for each probability\n")
    for row in (g, np.linspace(0, 1, PROBABILITIES), *change):
        out.write(",".join(f"{v:.9e}" for v in row) + "\n")
    return out.getvalue()


def _table(text: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [line.split(",") for line in text.strip().splitlines()[1:]]
    if len(rows) < 4 or sum(map(len, rows)) > MAX_CELLS:
        allowed = "a header, G, probabilities, two rows of dG or more"
        raise ParameterError(say(name, f"{len(rows) + 1} lines", "is no table of steps", allowed, "Check the file."))
    try:
        g, p, change = (np.array(part, dtype=float) for part in (rows[0], rows[1], rows[2:]))
    except ValueError as error:
        raise ParameterError(say(name, "a cell", f"is no number, or rows differ in length ({error})"[:90], "numbers",
                                 "Check the file."))  from error  # fmt: skip
    even = np.ptp(np.diff(p)) <= 1e-4 and abs(p[0]) < 1e-9 and abs(p[-1] - 1) < 1e-9
    if change.shape != (p.size, g.size) or not (np.diff(g) > 0).all() or not even or not np.isfinite(change).all():
        allowed = "growing G, probabilities evenly from 0 to 1, one row of dG for each"
        raise ParameterError(say(name, str(change.shape), "does not fit together", allowed, "Check the file."))
    return g, change


def _mean(change: np.ndarray) -> np.ndarray:
    """Return the mean over evenly spaced probabilities, end points counting half, ``(conductance,)``."""
    return (change[1:] + change[:-1]).mean(0) / 2


def _spread(change: np.ndarray) -> np.ndarray:
    squares = (change - _mean(change)) ** 2
    return np.sqrt((squares[1:] + squares[:-1]).mean(0) / 2)
