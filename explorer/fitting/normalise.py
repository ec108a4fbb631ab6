# SPDX-License-Identifier: Apache-2.0
"""From readings to normalised weights and back."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.errors import say

from .errors import MeasuredDataError, refusal
from .ramps import usable_ramps
from .trace import UP, Trace
from .units import NUMBER

if TYPE_CHECKING:
    from .measured import Measured

END_SHARE = 0.05
"""Part of a ramp whose mean is its start or its end; averages reading noise away."""

PERCENTILES = (1.0, 99.0)
"""Ends of the range where there are no ramps to take them from."""

MAX_RANGES = 1e6
"""Readings farther than this many ranges from an end mean that the ends are wrong."""


@dataclass(frozen=True, eq=False)
class Normalised:
    """A measurement with its map to weights, ``w = w_lo + (value - g_lo) * slope``.

    Attributes
    ----------
    measured : Measured
    w_lo, w_hi : float
        Weights of the two ends.
    g_lo, g_hi : float
        Readings of the two ends, in the unit of ``measured``.
    rule : str
        Where ``g_lo`` and ``g_hi`` come from.
    """

    measured: Measured
    w_lo: float
    w_hi: float
    g_lo: float
    g_hi: float
    rule: str

    @property
    def slope(self) -> float:
        """Weight per unit of reading."""
        return (self.w_hi - self.w_lo) / (self.g_hi - self.g_lo)

    def to_weight(self, value: np.ndarray | float) -> np.ndarray:
        """Map readings to weights, any shape."""
        return self.w_lo + (np.asarray(value) - self.g_lo) * self.slope

    def to_value(self, weight: np.ndarray | float) -> np.ndarray:
        """Map weights back to readings, any shape, in the unit of ``measured``."""
        return self.g_lo + (np.asarray(weight) - self.w_lo) / self.slope

    @property
    def traces(self) -> tuple[Trace, ...]:
        """Traces whose values are weights."""
        return tuple(t.with_values(self.to_weight(t.value)) for t in self.measured.traces)

    def mapping(self) -> dict[str, float | str]:
        """Return what is stored beside every result: ends, unit, rule, source."""
        ends_ = {name: getattr(self, name) for name in ("w_lo", "w_hi", "g_lo", "g_hi", "rule")}
        return {**ends_, "unit": self.measured.unit, "source": self.measured.source_name}


def ends(measured: Measured) -> tuple[float, float, str]:
    """Return ``(g_lo, g_hi, rule)``: the usual ends of the ramps.

    Start and end of a ramp are means over 5 % of its readings; the median over all ramps keeps odd ones
    from setting the range. Without ramps (alternating pulses) the 1st and 99th percentile serve.
    """
    if not measured.good_traces:
        raise _no_range(measured)
    ramps, _ = usable_ramps(measured.traces)
    if not ramps:
        readings = np.concatenate([trace.value for trace in measured.good_traces])
        low, high = np.percentile(readings, PERCENTILES).tolist()
        return low, high, "1st and 99th percentile of the readings"
    low, high = [], []
    for ramp in ramps:
        n = max(1, round(END_SHARE * len(ramp)))
        first, last = ramp.value[:n].mean(), ramp.value[-n:].mean()
        low.append(first if ramp.direction == UP else last)
        high.append(last if ramp.direction == UP else first)
    rule = f"median start and end of {len(ramps)} ramps"
    return float(np.median(low)), float(np.median(high)), rule


def _no_range(measured: Measured) -> MeasuredDataError:
    """Return the error for readings of which none ever changes."""
    value, unit = float(measured.traces[0].value[0]), "" if measured.unit == NUMBER else measured.unit
    rule = "every reading is the same: there is no range to map to weights"
    remedy = "Check the column that was exported and the range of the instrument, or give both g_lo and g_hi."
    subject = f"readings of {measured.source_name}"
    return MeasuredDataError(say(subject, value, rule, "readings that change with pulses", remedy, unit=unit))


def normalise(measured: Measured, w_lo: float, w_hi: float, g_lo: float | None, g_hi: float | None) -> Normalised:
    """Build the map; see `Measured.normalise`."""
    given = g_lo is not None and g_hi is not None
    low, high, rule = (g_lo, g_hi, "") if given else ends(measured)
    if g_lo is not None or g_hi is not None:
        told = " and ".join(n for n, end in (("g_lo", g_lo), ("g_hi", g_hi)) if end is not None)
        rule = f"{told} given by the caller" if told == "g_lo and g_hi" else f"{told} given, else {rule}"
    g_lo = low if g_lo is None else g_lo
    g_hi = high if g_hi is None else g_hi
    for name, value in (("w_lo", w_lo), ("w_hi", w_hi), ("g_lo", g_lo), ("g_hi", g_hi)):
        if not math.isfinite(value):
            raise refusal(f"normalise {name}", float(value), "must be finite", "a number", "Correct it.")
    if not w_hi > w_lo:
        broken = f"must be above w_lo = {w_lo:g}"
        raise refusal("normalise w_hi", float(w_hi), broken, "w_hi > w_lo", "Swap or correct them.")
    if not g_hi > g_lo:
        broken = f"must be above g_lo = {g_lo:.6g} {measured.unit}"
        remedy = "Give g_lo and g_hi; if up pulses lower the readings, swap +1 and -1 in the directions."
        raise refusal("normalise g_hi", float(g_hi), broken, "g_hi > g_lo", remedy)
    _refuse_tiny_range(measured, w_hi - w_lo, g_lo, g_hi)
    return Normalised(measured, float(w_lo), float(w_hi), float(g_lo), float(g_hi), rule)


def _refuse_tiny_range(measured: Measured, width: float, g_lo: float, g_hi: float) -> None:
    """Refuse ends so close that a reading would lie a million ranges away, or that the slope is no number."""
    farthest = max(float(np.abs(trace.value - g_lo).max()) for trace in measured.traces)
    range_ = g_hi - g_lo
    if farthest > MAX_RANGES * range_ or width > MAX_RANGES or range_ < width / sys.float_info.max:
        rule = f"is too close to g_lo = {g_lo:.6g}: a reading lies {farthest:.3g} {measured.unit} from it"
        allowed = f"readings within {MAX_RANGES:.0e} ranges"
        remedy = "Give g_lo and g_hi near the ends of the readings."
        raise refusal("normalise g_hi", float(g_hi), rule, allowed, remedy)
