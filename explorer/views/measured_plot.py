# SPDX-License-Identifier: Apache-2.0
"""Measured ramps, up then down, with the fitted curve over them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from bokeh.models import ColumnDataSource, LinearAxis, Range1d
from bokeh.models.annotations import Span
from panel.viewable import Viewable, Viewer

from explorer.fitting import FitResult, Normalised
from explorer.fitting.ramps import Ramp, averaged, usable_ramps
from explorer.fitting.trace import DIRECTION_NAMES, DOWN, UP
from explorer.views import theme
from explorer.views.live import in_one_message, refresh

MAX_RAMPS = 12
"""Single ramps drawn of each direction."""
MAX_POINTS = 1000
"""Points drawn of one ramp."""
_MARGIN = 0.06  # of the range, above and below the data
_DOTS = 2000  # more readings than this are drawn as lines only


@dataclass(frozen=True, eq=False)
class Drawing:
    """Columns of the plot; up ramps first, down ramps after the longest of them.

    Attributes
    ----------
    singles : dict of arrays
        ``pulse``, ``w``: ramps one after the other, separated by NaN.
    means : dict of arrays
        The same for the mean ramp of each direction; empty where there is but one.
    turn : int
        Pulse number at which the down ramps begin; 0 where there are no up ramps.
    """

    singles: dict[str, np.ndarray]
    means: dict[str, np.ndarray]
    turn: int


def drawing(normalised: Normalised) -> Drawing:
    """Return what is drawn of a measurement."""
    ramps, _ = usable_ramps(normalised.traces)
    if not ramps:  # alternating pulses: the traces as they are
        lines = [(np.cumsum(t.n_pulses), t.value) for t in normalised.traces[:MAX_RAMPS]]
        return Drawing(_joined(lines), _joined([]), 0)
    turn = max((int(r.pulses.max()) for r in ramps if r.direction == UP), default=0)
    chosen = [r for way in (UP, DOWN) for r in _some([r for r in ramps if r.direction == way])]
    several = [m for m in averaged(ramps) if m.n_averaged > 1]
    return Drawing(_joined([_placed(r, turn) for r in chosen]), _joined([_placed(r, turn) for r in several]), turn)


def fitted_columns(found: FitResult, turn: int) -> dict[str, np.ndarray]:
    """Return the fitted curves as columns ``pulse``, ``w``."""
    curves = found.curve()
    return _joined(
        [(curves[name].pulses + (turn if way == DOWN else 0), curves[name].weight)
         for way, name in DIRECTION_NAMES.items() if name in curves]
    )  # fmt: skip


def _some(ramps: list[Ramp]) -> list[Ramp]:
    """Return at most `MAX_RAMPS`, evenly spread."""
    at = np.unique(np.linspace(0, len(ramps) - 1, min(len(ramps), MAX_RAMPS)).round().astype(int)) if ramps else []
    return [ramps[i] for i in at]


def _placed(ramp: Ramp, turn: int) -> tuple[np.ndarray, np.ndarray]:
    return ramp.pulses + (turn if ramp.direction == DOWN else 0), ramp.value


def _joined(lines: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    pulses, weights = [np.empty(0)], [np.empty(0)]
    for x, y in lines:
        stride = max(1, math.ceil(len(x) / MAX_POINTS))
        pulses += [np.asarray(x, float)[::stride], [np.nan]]
        weights += [np.asarray(y, float)[::stride], [np.nan]]
    return {"pulse": np.concatenate(pulses), "w": np.concatenate(weights)}


class MeasuredPlot(Viewer):
    """Weight against pulse number, with the readings on a second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.singles, self.means, self.fitted = (ColumnDataSource({"pulse": [], "w": []}) for _ in range(3))
        self._turn = 0
        self.readings = Range1d(start=0, end=1)
        self.plot = theme.figure(("Pulse number", "1"), ("Weight", "w"), height=320, y_range=Range1d(start=-1, end=1))
        self.plot.extra_y_ranges = {"reading": self.readings}
        self.axis = LinearAxis(y_range_name="reading", axis_label="Reading")
        self.plot.add_layout(self.axis, "right")
        self.line, self.dots = self._data()
        mean = self.plot.line("pulse", "w", source=self.means, line_color=theme.MEASURED, line_width=2.5)
        fit = self.plot.line(
            "pulse", "w", source=self.fitted, line_color=theme.NOMINAL, line_width=2.5, line_dash=[6, 3]
        )
        self.change = Span(dimension="height", location=0, line_color=theme.NEUTRAL, line_dash=[2, 4], visible=False)
        self.plot.add_layout(self.change)
        theme.legend(self.plot, [("measured", [self.line, self.dots]), ("mean of ramps", [mean]), ("fit", [fit])])
        self._data_item, self._mean_item, self._fit_item = self.plot.legend[0].items
        self._view = theme.plot_pane(self.plot)

    def _data(self) -> tuple:
        line = self.plot.line("pulse", "w", source=self.singles, line_color=theme.MEASURED, line_width=1,
                              line_alpha=theme.TRACE_ALPHA)  # fmt: skip
        dots = self.plot.scatter("pulse", "w", source=self.singles, size=3, fill_color=theme.MEASURED, line_color=None,
                                 fill_alpha=0.6)  # fmt: skip
        return line, dots

    def __panel__(self) -> Viewable:
        return self._view

    @in_one_message
    def draw(self, normalised: Normalised, scale: float, unit: str) -> None:
        """Draw a measurement; ``scale`` readings are one of ``unit``."""
        drawn = drawing(normalised)
        self._turn = drawn.turn
        self.singles.data, self.means.data = drawn.singles, drawn.means
        self._mean_item.visible = bool(len(drawn.means["w"]))
        few = len(drawn.singles["w"]) <= _DOTS and not self._mean_item.visible
        self.dots.visible = few
        self._data_item.renderers = [self.line, self.dots] if few else [self.line]
        self.change.update(location=drawn.turn, visible=bool(drawn.turn))
        low, high = np.nanmin(drawn.singles["w"]), np.nanmax(drawn.singles["w"])
        edge = _MARGIN * (high - low)
        ends = np.array([low - edge, high + edge])
        self.plot.y_range.update(start=ends[0], end=ends[1])
        readings = normalised.to_value(ends) / scale
        self.readings.update(start=readings[0], end=readings[1])
        self.axis.axis_label = theme.axis_label("Reading", unit)
        self.fit(None)

    @in_one_message
    def fit(self, found: FitResult | None) -> None:
        """Draw the fitted curve; None removes it."""
        self.fitted.data = {"pulse": [], "w": []} if found is None else fitted_columns(found, self._turn)
        self._fit_item.visible = found is not None
        refresh(self._view)
