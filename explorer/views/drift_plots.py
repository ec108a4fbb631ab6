# SPDX-License-Identifier: Apache-2.0
"""The plots of the drift lab: accuracy over time, weights, programmed against target, error by target."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bokeh.events import Tap
from bokeh.models import ColumnDataSource, HoverTool, Span
from panel.viewable import Viewable

from explorer import durations, palette
from explorer.labs.drift_state import MAX_SCENARIOS
from explorer.views import theme, time_axis
from explorer.views.drift_data import Curve, Weights
from explorer.views.framed_plot import FramedPlot, put
from explorer.views.ranges import round_out, set_range

_TALLEST, _TALL, _HEIGHT = 470, 380, 260
_FADED = 0.3
LOOKS = tuple(zip((palette.MODEL, *palette.PINNED), ("solid", "dashed", "dotted", "dashdot", "dotdash", "dashed"),
                  ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex"), strict=True))  # fmt: skip
"""Colour, dash and marker of each scenario: told apart without colour too."""
SWATCHES = {"solid": "line", "dotted": "dotted"} | dict.fromkeys(("dashed", "dashdot", "dotdash"), "dashed")
_COLUMNS = ("x", "mean", "low", "high", "under", "over", "when", "title", "chips")


class AccuracyPlot:
    """Score against the logarithm of time, one curve with a band for each scenario, and a marker to drag.

    Parameters
    ----------
    moved : callable
        Takes the time (s) that the user has moved the marker to.
    """

    def __init__(self, moved: Callable[[float], None]):
        self._moved, self._following = moved, False
        ranges = {"x_range": (time_axis.START, time_axis.END), "y_range": (0, 100)}
        self.figure = theme.figure(("Time since the reference read", "1"), ("Accuracy", "%"), height=_TALLEST, **ranges)
        time_axis.dress(self.figure.xaxis)
        self.sources = [ColumnDataSource({n: [] for n in _COLUMNS}) for _ in range(MAX_SCENARIOS)]
        self.bands = [ColumnDataSource({n: [] for n in ("x", "low", "high")}) for _ in range(MAX_SCENARIOS)]
        self._parts = [self._curve(k) for k in range(MAX_SCENARIOS)]
        self.digital = Span(dimension="width", line_color=theme.NEUTRAL, line_width=2, line_dash=[2, 3], visible=False)
        self.marker = Span(dimension="height", line_color=theme.NEUTRAL, line_width=3, line_alpha=0.8, location=0,
                           editable=True, hover_line_color=theme.MODEL)  # fmt: skip
        gap = Span(dimension="height", location=time_axis.ZERO / 2, line_color=theme.NEUTRAL, line_alpha=0.4)
        for span in (self.digital, gap, self.marker):
            self.figure.add_layout(span)
        tips = [("", "@title"), ("time", "@when"), ("mean", "@mean{0.0} %"), ("95 % interval", "@under{0.0} to "
                "@over{0.0} %"), ("10–90 % of chips", "@low{0.0} to @high{0.0} %"), ("chips", "@chips")]  # fmt: skip
        dots = [parts[-1] for parts in self._parts]
        self.figure.add_tools(HoverTool(tooltips=tips, renderers=dots, visible=False))
        self.figure.on_event(Tap, lambda event: self._go(event.x))
        self.marker.on_change("location", lambda attr, old, new: self._dragged(new))
        self.legend = theme.html(margin=(4, 0, 0, 0))
        self.pane = theme.plot_pane(self.figure)

    def _curve(self, k: int) -> tuple:
        color, dash, marker = LOOKS[k]
        of = {"source": self.sources[k]}
        band = self.figure.varea("x", "low", "high", source=self.bands[k], fill_color=color,
                                 fill_alpha=theme.BAND_ALPHA)  # fmt: skip
        line = self.figure.line("x", "mean", line_color=color, line_width=2.5, line_dash=dash, **of)
        whisker = self.figure.segment("x", "under", "x", "over", line_color=color, line_width=1.5, **of)
        dots = self.figure.scatter("x", "mean", marker=marker, size=8, fill_color=color, line_color=None, **of)
        return band, line, whisker, dots

    def draw(self, found: list[Curve]) -> None:
        """Show curves; the x axis always reaches from 0 to 20 years."""
        for k in range(MAX_SCENARIOS):
            curve = found[k] if k < len(found) else None
            put(self.sources[k], _columns(curve))
            put(self.bands[k], _band(curve))
            self._fade(k, curve is not None and curve.stale)
        level = next((c.digital for c in found if c.full), found[0].digital if found else None)
        self.digital.update(location=100 * level if level is not None else 0, visible=level is not None)
        entries = [(_entry(c), LOOKS[k][0], SWATCHES[LOOKS[k][1]]) for k, c in enumerate(found)]
        if level is not None:
            entries.append((f"floating point, {100 * level:.1f} %", theme.NEUTRAL, "dotted"))
        self.legend.object = theme.legend_markup(entries)
        if found:
            ends = [100 * level]
            for c in found:
                half = np.nan_to_num(c.half_width)
                ends += [*100 * c.low, *100 * c.high, *100 * (c.mean - half), *100 * np.minimum(c.mean + half, 1)]
            # A correlation may be negative.
            lowest = min(0.0, *(100 * float(np.min(c.low, initial=0.0)) for c in found))
            start, end = round_out(max(min(ends) - 0.2, lowest), max(ends) + 0.2)
            set_range(self.figure.y_range, start, min(end, 100.5))

    def follow(self, t: float) -> None:
        """Put the marker at a time."""
        self._following = True
        try:
            if abs(self.marker.location - time_axis.place(t)) > 1e-6:
                self.marker.location = time_axis.place(t)
        finally:
            self._following = False

    def _dragged(self, x: float) -> None:
        if not self._following:
            self._moved(time_axis.time_at(x))

    def _go(self, x: float | None) -> None:
        if x is not None:
            self._moved(time_axis.time_at(x))

    def _fade(self, k: int, faded: bool) -> None:
        factor = _FADED if faded else 1.0
        band, line, whisker, dots = self._parts[k]
        for glyph, name, full in ((band.glyph, "fill_alpha", theme.BAND_ALPHA), (line.glyph, "line_alpha", 1.0),
                                  (whisker.glyph, "line_alpha", 1.0), (dots.glyph, "fill_alpha", 1.0)):  # fmt: skip
            if getattr(glyph, name) != full * factor:
                setattr(glyph, name, full * factor)


def _entry(curve: Curve) -> str:
    chips = "1 chip" if curve.chips == 1 else f"{curve.chips} chips"
    kind = chips + ("" if curve.full else ", quick estimate") + (", stale" if curve.stale else "")
    return f"{curve.title} ({kind})"


def _columns(curve: Curve | None) -> dict:
    if curve is None:
        return {n: [] for n in _COLUMNS}
    nothing = np.nan_to_num(curve.half_width, nan=0.0)
    return {
        "x": time_axis.places(curve.times.tolist()), "mean": 100 * curve.mean, "low": 100 * curve.low,
        "high": 100 * curve.high, "under": 100 * (curve.mean - nothing), "over": 100 * (curve.mean + nothing),
        "when": [durations.worded(t) for t in curve.times.tolist()], "title": [curve.title] * len(curve.times),
        "chips": [curve.chips] * len(curve.times),
    }  # fmt: skip


def _band(curve: Curve | None) -> dict:
    if curve is None:
        return {"x": [], "low": [], "high": []}
    return {"x": time_axis.places(curve.times.tolist()), "low": 100 * curve.low, "high": 100 * curve.high}


class WeightPlot(FramedPlot):
    """Distribution of weights: asked for, as programmed, and at the time under the marker."""

    def __init__(self):
        super().__init__(("Weight, share of the largest of its tile", "1"), ("Weights", "1"), _TALL, [
            ("as programmed", theme.NOMINAL, "block"), ("at the marker", theme.MODEL, "block"),
            ("with compensation", theme.MEASURED, "line"),
        ])  # fmt: skip
        self.was, self.now = (ColumnDataSource({"left": [], "right": [], "count": []}) for _ in range(2))
        for source, color in ((self.was, theme.NOMINAL), (self.now, theme.MODEL)):
            self.figure.quad(left="left", right="right", top="count", bottom=0, source=source, fill_color=color,
                             fill_alpha=0.45, line_color=None)  # fmt: skip
        self.scaled = ColumnDataSource({"w": [], "count": []})
        self.figure.step("w", "count", source=self.scaled, line_color=theme.MEASURED, line_width=2, mode="after")
        set_range(self.x_range, -1.3, 1.3)

    def draw(self, found: Weights) -> None:
        """Show the weights at a moment."""
        left, right = found.edges[:-1], found.edges[1:]
        put(self.was, {"left": left, "right": right, "count": found.programmed})
        put(self.now, {"left": left, "right": right, "count": found.drifted})
        put(self.scaled, {"w": left, "count": found.compensated})
        highest = float(max(found.programmed.max(), np.sort(found.drifted)[-3:].mean()))
        set_range(self.y_range, 0, round_out(0, 1.25 * highest)[1])


class ScatterPlot(FramedPlot):
    """Weights against their targets, as programmed and at the time under the marker."""

    def __init__(self):
        super().__init__(("Target weight", "1"), ("Weight on the chip", "1"), _HEIGHT, [
            ("as programmed", theme.NOMINAL, "dot"), ("at the marker", theme.MODEL, "dot"),
            ("target", theme.NEUTRAL, "dashed"),
        ])  # fmt: skip
        self.was, self.now = (ColumnDataSource({"target": [], "weight": []}) for _ in range(2))
        self.figure.segment([-1.3], [-1.3], [1.3], [1.3], line_color=theme.NEUTRAL, line_dash=[6, 3], line_width=1.5)
        for source, color in ((self.was, theme.NOMINAL), (self.now, theme.MODEL)):
            self.figure.scatter("target", "weight", source=source, size=4, line_color=None, fill_color=color,
                                fill_alpha=0.5)  # fmt: skip
        set_range(self.x_range, -1.1, 1.1)
        set_range(self.y_range, -1.3, 1.3)

    def draw(self, found: Weights) -> None:
        """Show the weights at a moment."""
        put(self.was, {"target": found.wanted, "weight": found.was})
        put(self.now, {"target": found.wanted, "weight": found.now})


class LevelPlot(FramedPlot):
    """Conductance error of devices by their target: mean and spread at the time under the marker."""

    def __init__(self):
        super().__init__(("Target conductance", "µS"), ("Conductance less target", "µS"), _HEIGHT, [
            ("mean ± standard deviation", theme.MODEL, "band"), ("mean", theme.MODEL, "line"),
        ])  # fmt: skip
        self.source = ColumnDataSource({"target": [], "mean": [], "low": [], "high": []})
        self.figure.varea("target", "low", "high", source=self.source, fill_color=theme.MODEL,
                          fill_alpha=theme.BAND_ALPHA)  # fmt: skip
        self.figure.line("target", "mean", source=self.source, line_color=theme.MODEL, line_width=2.5)
        self.figure.add_layout(Span(dimension="width", location=0, line_color=theme.NEUTRAL, line_dash=[6, 3]))

    def draw(self, found: Weights) -> None:
        """Show the devices at a moment."""
        told = found.levels
        error, std = told.mean[0] - told.target, told.std[0]
        put(self.source, {"target": told.target, "mean": error, "low": error - std, "high": error + std})
        set_range(self.x_range, *round_out(float(told.target[0]), float(told.target[-1])))
        set_range(self.y_range, *round_out(float((error - std).min()), float(max((error + std).max(), 0.0))))


def panes(*plots) -> tuple[Viewable, ...]:
    """Return the panes of plots, for a notebook's pushes."""
    return tuple(plot.pane for plot in plots)
