# SPDX-License-Identifier: Apache-2.0
"""The map from readings to weights, as boxes: which reading is which weight."""

from __future__ import annotations

import math

import param
from panel.viewable import Viewable, Viewer

from engine.devices import Device
from explorer.fitting import Measured, MeasuredDataError
from explorer.views import theme
from explorer.views.number_box import NumberBox

_PREFIXES = ((1.0, "S"), (1e-3, "mS"), (1e-6, "µS"), (1e-9, "nS"))
_DIGITS = 6  # of the ends found in the data; they are means of noisy readings
_WIDTH = 140
_TIPS = {
    "g_lo": "Reading that counts as w_lo; by default the usual start of the up ramps.",
    "g_hi": "Reading that counts as w_hi; by default the usual end of the up ramps.",
    "w_lo": "Weight of the reading g_lo.",
    "w_hi": "Weight of the reading g_hi.",
}


class Mapping(Viewer):
    """Boxes for ``g_lo``, ``g_hi`` (readings) and ``w_lo``, ``w_hi`` (weights) with good values to start from.

    Attributes
    ----------
    normalised : Normalised or None
        The measurement with its map; the last valid one.
    problem : str
        Why the boxes do not make a map; empty when they do.
    """

    normalised = param.Parameter(None, doc="The measurement with its map to weights.")
    problem = param.String("", doc="Why the boxes do not make a map.")

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.unit = 1.0, "1"
        self._measured: Measured | None = None
        self._setting = False
        self._found = (0.0, 1.0, "")  # usual ends in the displayed unit, and where they come from
        self.boxes = {n: NumberBox(n, 0, unit="w" if n[0] == "w" else "1", doc=tip, width=_WIDTH, sizing_mode=None)
                      for n, tip in _TIPS.items()}  # fmt: skip
        for box in self.boxes.values():
            box.param.watch(self._changed, ["value", "problem"])
        self.found = theme.button("−1 to 1", description="The usual ends of the ramps become −1 and 1")
        self.as_device = theme.button("Range of the device", description="The usual ends become the nominal bounds")
        self.as_read = theme.button("As read", description="Readings are weights already")
        self.rule = theme.caption("")
        self._view = theme.row(*self.boxes.values(), self.found, self.as_device, self.as_read, margin=(10, 0, 4, 0))

    def __panel__(self) -> Viewable:
        return self._view

    def start(self, measured: Measured) -> None:
        """Take a measurement, with the ends found in it as −1 and 1."""
        self._measured = measured
        self.scale, self.unit = display_unit(measured)
        low, high, rule = usual_ends(measured)
        self._found = _rounded(low / self.scale), _rounded(high / self.scale), rule
        for name in ("g_lo", "g_hi"):
            self.boxes[name].set_unit(self.unit)
        self.as_read.visible = measured.unit == "1"
        self.set(-1.0, 1.0)

    def set(self, w_lo: float, w_hi: float) -> None:
        """Map the ends found in the data to these weights."""
        self._put(g_lo=self._found[0], g_hi=self._found[1], w_lo=w_lo, w_hi=w_hi)

    def set_range(self, device: Device) -> str:
        """Map the ends to the nominal bounds of a device; return why not, where it has none."""
        low, high = device.range
        if not (math.isfinite(low) and low < high):
            return f"{type(device).__name__}: has no bounds to map the readings to. Choose another range."
        self.set(low, high)
        return ""

    def set_as_read(self) -> None:
        """Take readings for weights."""
        low, high, _ = self._found
        self._put(g_lo=low, g_hi=high, w_lo=low, w_hi=high)

    def _put(self, **values: float) -> None:
        self._setting = True
        try:
            for name, value in values.items():
                self.boxes[name].value = value
        finally:
            self._setting = False
        self._changed()

    def _changed(self, *events) -> None:
        if self._setting or self._measured is None:
            return
        refused = next((box.problem for box in self.boxes.values() if box.problem), "")
        if refused:
            self.problem = refused
            return
        values = {name: float(box.value) * (self.scale if name[0] == "g" else 1) for name, box in self.boxes.items()}
        try:
            normalised = self._measured.normalise(**values)
        except MeasuredDataError as error:
            self.problem = str(error)
            return
        self.problem = ""
        self.rule.object = theme.caption_markup(self._words())
        self.normalised = normalised

    def _words(self) -> str:
        low, high, rule = self._found
        own = (self.boxes["g_lo"].value, self.boxes["g_hi"].value) == (low, high)
        return f"Straight line from readings to weights; g_lo and g_hi: {rule if own else 'set by hand'}."


def display_unit(measured: Measured) -> tuple[float, str]:
    """Return ``(scale, unit)`` for boxes and axes: one displayed unit is ``scale`` in the measurement's own."""
    if measured.unit != "S":
        return 1.0, measured.unit
    summary = measured.summary()
    largest = max(abs(summary.low), abs(summary.high))
    return next((pair for pair in _PREFIXES if largest >= pair[0]), _PREFIXES[-1])


def usual_ends(measured: Measured) -> tuple[float, float, str]:
    """Return ``(low, high, rule)``: the ends of the ramps, or of all readings where the ramps run backwards."""
    try:
        found = measured.normalise()
    except MeasuredDataError:  # up pulses lower the readings: worth a look all the same
        summary = measured.summary()
        return summary.low, summary.high, "lowest and highest reading, because up pulses lower the readings"
    return found.g_lo, found.g_hi, found.rule


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
