# SPDX-License-Identifier: Apache-2.0
"""The three plots of the live response; each draws a `Response` into its own sources."""

from __future__ import annotations

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource

from explorer.views import theme
from explorer.views.framed_plot import FramedPlot
from explorer.views.live import in_one_message
from explorer.views.ranges import round_out, set_range
from explorer.views.response_data import N_TRACES, Curves, Response

_BAND = ("low", "median", "high")
_WAYS = ("w", "up", "down")
_PAST_END = 0.02  # of the pulses, to the left of the first and to the right of the last


class CurvePlot(FramedPlot):
    """Weight against pulse number: band, median, a few devices, the noise-free device, measured traces."""

    _LEGEND = [
        ("5–95 % of devices", theme.MODEL, "band"),
        ("median", theme.MODEL, "line"),
        (f"{N_TRACES} devices", theme.MODEL, "thin"),
        ("noise-free", theme.NOMINAL, "dashed"),
    ]
    _MEASURED = ("measured", theme.MEASURED, "line")

    def __init__(self):
        super().__init__(("Pulse number", "1"), ("Weight", "w"), 350, self._LEGEND)
        self.source, self.measured = ColumnDataSource(), ColumnDataSource({"pulse": [], "w": []})
        self._found: Curves | None = None
        plot, source = self.figure, self.source
        plot.varea("pulse", "low", "high", source=source, fill_color=theme.MODEL, fill_alpha=theme.BAND_ALPHA)
        for k in range(N_TRACES):
            plot.line("pulse", f"trace{k}", source=source, line_color=theme.MODEL, line_alpha=theme.TRACE_ALPHA)
        self.pins = [ColumnDataSource({n: [] for n in ("pulse", *_BAND)}) for _ in theme.PINNED]
        for color, pin in zip(theme.PINNED, self.pins, strict=True):
            for edge in ("low", "high"):  # six filled bands would be mud
                plot.line("pulse", edge, source=pin, line_color=color, line_alpha=0.5 * theme.TRACE_ALPHA)
            plot.line("pulse", "median", source=pin, line_color=color, line_width=2)
        plot.line("pulse", "w", source=self.measured, line_color=theme.MEASURED, line_width=1.5)
        plot.line("pulse", "median", source=source, line_color=theme.MODEL, line_width=2.5)
        plot.line("pulse", "nominal", source=source, line_color=theme.NOMINAL, line_width=2, line_dash=[6, 3])

    def draw(self, found: Curves) -> None:
        """Show the curves of a response."""
        self._found = found
        self.source.data = found.curves
        self._range()

    @in_one_message
    def overlay(self, columns: dict[str, np.ndarray]) -> None:
        """Lay measured traces over the response; none where the columns are empty."""
        self.measured.data = columns
        some = [self._MEASURED] if len(columns["w"]) else []
        self.legend.object = theme.legend_markup([*self._LEGEND, *some])
        self._range()

    def keep(self, kept: list[Response]) -> None:
        """Lay the responses of devices kept for comparison behind the present one."""
        for k, pin in enumerate(self.pins):
            pin.data = {n: kept[k].curves[n] if k < len(kept) else [] for n in ("pulse", *_BAND)}
        self._range()

    def _range(self) -> None:
        if self._found is None:
            return
        curves, pulses, weights = self._found.curves, self.measured.data["pulse"], self.measured.data["w"]
        names = ["low", "high", "nominal", *(f"trace{k}" for k in range(N_TRACES))]
        extremes = [np.nanmin([np.nanmin(curves[n]) for n in names if np.isfinite(curves[n]).any()]),
                    np.nanmax([np.nanmax(curves[n]) for n in names if np.isfinite(curves[n]).any()])]  # fmt: skip
        last = float(curves["pulse"][-1])
        for columns in (pin.data for pin in self.pins):
            if len(columns["pulse"]):
                extremes += [float(np.min(columns["low"])), float(np.max(columns["high"]))]
        if len(weights):
            extremes += [np.nanmin(weights), np.nanmax(weights)]
            last = max(last, float(np.nanmax(pulses)))
        set_range(self.x_range, -_PAST_END * last, (1 + _PAST_END) * last)
        set_range(self.y_range, *round_out(float(min(extremes)), float(max(extremes))))


class StepPlot(FramedPlot):
    """Size of a step against the weight before it: noise-free lines, simulated means with their standard error."""

    _COLORS = {"up": theme.UP, "down": theme.DOWN}

    def __init__(self):
        kinds = [(name, color, "line") for name, color in self._COLORS.items()]
        super().__init__(
            ("Weight before the pulse", "w"), ("Step size", "w"), 290, [*kinds, ("simulated", theme.NEUTRAL, "dot")]
        )
        self.lines = ColumnDataSource()
        self.points = {name: ColumnDataSource() for name in self._COLORS}
        self.pins = [ColumnDataSource({n: [] for n in _WAYS}) for _ in theme.PINNED]
        for color, pin in zip(theme.PINNED, self.pins, strict=True):
            self.figure.line("w", "up", source=pin, line_color=color, line_width=1.5)
            self.figure.line("w", "down", source=pin, line_color=color, line_width=1.5, line_dash=[6, 3])
        self._found: Response | None = None
        for name, color in self._COLORS.items():
            source = self.points[name]
            self.figure.line("w", name, source=self.lines, line_color=color, line_width=2.5)
            self.figure.segment("w", "low", "w", "high", source=source, line_color=color, line_alpha=0.6)
            self.figure.scatter("w", "mean", source=source, size=5, line_color=None, fill_color=color, fill_alpha=0.8)

    def draw(self, found: Response) -> None:
        """Show a response."""
        self._found = found
        self.lines.data = found.step_lines
        points = {"up": found.up_points, "down": found.down_points}
        for name, columns in points.items():
            self.points[name].data = columns
        self._range()

    def keep(self, kept: list[Response]) -> None:
        """Draw the noise-free steps of devices kept for comparison, down steps dashed."""
        for k, pin in enumerate(self.pins):
            pin.data = {n: kept[k].step_lines[n] if k < len(kept) else [] for n in _WAYS}
        self._range()

    def _range(self) -> None:
        if self._found is None:
            return
        found, points = self._found, {"up": self._found.up_points, "down": self._found.down_points}
        kept = [pin.data for pin in self.pins if len(pin.data["w"])]
        weights = np.concatenate([found.step_lines["w"], *(c["w"] for c in (*points.values(), *kept))])
        sizes = [found.step_lines["up"], found.step_lines["down"], *(c["low"] for c in points.values()),
                 *(c["high"] for c in points.values()), [0.0],
                 *(c[n] for c in kept for n in ("up", "down"))]  # fmt: skip
        sizes = np.concatenate(sizes)
        set_range(self.x_range, *round_out(float(weights.min()), float(weights.max())))
        set_range(self.y_range, *round_out(float(sizes.min()), float(sizes.max())))


class SymmetryPlot(FramedPlot):
    """Symmetry points of the devices; where there are none, the reason stands in the plot's place."""

    def __init__(self):
        super().__init__(("Symmetry point", "w"), ("Devices", "1"), 290, [
            ("devices", theme.MODEL, "block"), ("nominal device", theme.NOMINAL, "dashed"),
        ])  # fmt: skip
        self.bars, self.nominal = ColumnDataSource(), ColumnDataSource()
        self.figure.quad(left="left", right="right", top="count", bottom=0, source=self.bars, fill_color=theme.MODEL,
                         fill_alpha=0.6, line_color=None)  # fmt: skip
        self.figure.segment("w", "bottom", "w", "top", source=self.nominal, line_color=theme.NOMINAL, line_width=2,
                            line_dash=[6, 3])  # fmt: skip
        self.plot, self.empty = self.view, theme.empty_box("", "", visible=False)
        self.view = pn.Column(self.plot, self.empty, sizing_mode="stretch_width", margin=0)

    def draw(self, found: Response) -> None:
        """Show a response."""
        bars = found.histogram
        self.bars.data = bars
        some = found.n_symmetric > 0
        self.plot.visible, self.empty.visible = some, not some
        if not some:
            self.nominal.data = {"w": [], "bottom": [], "top": []}
            self.empty.object = theme.empty_markup("No symmetry point", _why_none(found))
            return
        _, top = round_out(0, max(bars["count"]))
        line = [] if found.symmetry is None else [found.symmetry]
        self.nominal.data = {"w": line, "bottom": [0] * len(line), "top": [top] * len(line)}
        set_range(self.x_range, *round_out(min([bars["left"][0], *line]), max([bars["right"][-1], *line])))
        set_range(self.y_range, 0, top)


def _why_none(found: Response) -> str:
    if not found.request.device.pulsed:
        return f"{found.request.device.title}: no bounds and the same step everywhere, there is no point to find."
    return "Up and down step are equal everywhere or nowhere within the bounds of every simulated device."
