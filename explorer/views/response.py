# SPDX-License-Identifier: Apache-2.0
"""The live response of many devices: curves, steps, symmetry points, numbers; all follow the state."""

from __future__ import annotations

import panel as pn
from bokeh.models import ColumnDataSource, GlyphRenderer
from panel.viewable import Viewable, Viewer

from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.live import LatestWins, refresh
from explorer.views.response_data import N_TRACES, Request, Response, measured_columns, respond


class ResponseView(Viewer):
    """Pulse response, step against weight, symmetry points and key numbers of the state's device."""

    def __init__(self, state: DeviceState):
        super().__init__()
        self._state = state
        self.curves, self.step_lines, self.histogram, self.nominal_line, self.measured = (
            ColumnDataSource() for _ in range(5)
        )
        self.step_points = {"up": ColumnDataSource(), "down": ColumnDataSource()}
        self.tiles = theme.html(margin=(12, 0, 4, 0))
        self.problem = theme.error_box(visible=False)
        self.note = theme.caption("")
        self.no_symmetry = theme.empty_box("", "", visible=False)
        self._plots = [theme.plot_pane(plot) for plot in (self._curve_plot(), self._step_plot(), self._symmetry_plot())]
        self.worker: LatestWins[Request, Response] = LatestWins(respond, self._draw, self._failed, tuple(self._plots))
        # a Bokeh pane takes its own visibility back from the figure, hence the column
        self.symmetry_plot = pn.Column(self._plots[2], sizing_mode="stretch_width", margin=0)
        self.overview, self.details = self._overview(), self._details()
        self._overlay()
        self.worker.now(Request.of(state))
        state.param.watch(lambda *events: self.worker.request(Request.of(state)),
                          ["revision", "n_devices", "n_pulses", "seed"])  # fmt: skip
        state.param.watch(self._overlay, "measured")

    def __panel__(self) -> Viewable:
        return pn.Column(self.overview, self.details, sizing_mode="stretch_width", margin=0)

    def _overview(self) -> Viewable:
        return pn.Column(
            self.problem,
            theme.card("Pulse response", self.note, self.tiles, self._plots[0]),
            sizing_mode="stretch_width",
            margin=0,
        )

    def _details(self) -> Viewable:
        _, steps, _ = self._plots
        return theme.grid(
            theme.card("Step against weight", steps,
                       subtitle="Noise-free (lines), simulated mean ± standard error (points)"),
            theme.card("Symmetry points", self.symmetry_plot, self.no_symmetry,
                       subtitle="Weights where a device's up and down step are equal"),
        )  # fmt: skip

    def _curve_plot(self):
        plot = theme.figure(("Pulse number", "1"), ("Weight", "w"), height=360)
        plot.x_range.range_padding = 0.02
        band = plot.varea("pulse", "low", "high", source=self.curves, fill_color=theme.MODEL,
                          fill_alpha=theme.BAND_ALPHA)  # fmt: skip
        traces = [
            plot.line("pulse", f"trace{k}", source=self.curves, line_color=theme.MODEL, line_width=1,
                      line_alpha=theme.TRACE_ALPHA)
            for k in range(N_TRACES)
        ]  # fmt: skip
        measured = plot.line("pulse", "w", source=self.measured, line_color=theme.MEASURED, line_width=1.5)
        median = plot.line("pulse", "median", source=self.curves, line_color=theme.MODEL, line_width=2.5)
        nominal = plot.line("pulse", "nominal", source=self.curves, line_color=theme.NOMINAL, line_width=2,
                            line_dash=[6, 3])  # fmt: skip
        self._measured_line: GlyphRenderer = measured
        theme.legend(plot, [("5–95 % of devices", [band]), ("median", [median]), (f"{N_TRACES} devices", traces),
                            ("noise-free", [nominal]), ("measured", [measured])])  # fmt: skip
        self._measured_entry = plot.legend[0].items[-1]
        return plot

    def _step_plot(self):
        plot = theme.figure(("Weight before the pulse", "w"), ("Step size", "w"), height=300)
        items = []
        for name, color in (("up", theme.UP), ("down", theme.DOWN)):
            source = self.step_points[name]
            line = plot.line("w", name, source=self.step_lines, line_color=color, line_width=2.5)
            bar = plot.segment("w", "low", "w", "high", source=source, line_color=color, line_alpha=0.6)
            point = plot.scatter("w", "mean", source=source, size=5, line_color=None, fill_color=color, fill_alpha=0.8)
            items += [(name, [line]), ("simulated", [bar, point])]
        theme.legend(plot, items)
        return plot

    def _symmetry_plot(self):
        plot = theme.figure(("Symmetry point", "w"), ("Devices", "1"), height=300)
        bars = plot.quad(left="left", right="right", top="count", bottom=0, source=self.histogram,
                         fill_color=theme.MODEL, fill_alpha=0.6, line_color=None)  # fmt: skip
        line = plot.segment("w", "bottom", "w", "top", source=self.nominal_line, line_color=theme.NOMINAL, line_width=2,
                            line_dash=[6, 3])  # fmt: skip
        plot.y_range.start = 0
        theme.legend(plot, [("devices", [bars]), ("nominal device", [line])])
        return plot

    def _draw(self, found: Response) -> None:
        self.curves.data = found.curves
        self.step_lines.data = found.step_lines
        self.step_points["up"].data, self.step_points["down"].data = found.up_points, found.down_points
        self.tiles.object = theme.metrics_markup(found.tiles)
        self._draw_symmetry(found)
        self.note.object = _note(found)
        theme.say_error(self.problem, "")

    def _draw_symmetry(self, found: Response) -> None:
        self.histogram.data = found.histogram
        top = found.histogram["count"].max(initial=1)
        line = [] if found.symmetry is None else [found.symmetry]
        self.nominal_line.data = {"w": line, "bottom": [0] * len(line), "top": [top] * len(line)}
        some = found.n_symmetric > 0
        self.symmetry_plot.visible, self.no_symmetry.visible = some, not some
        if not some:
            self.no_symmetry.object = theme.empty_markup("No symmetry point", _why_none(found))

    def _failed(self, problem: Exception) -> None:
        theme.say_error(self.problem, str(problem), "The response could not be computed.")

    def _overlay(self, *events) -> None:
        self.measured.data = measured_columns(self._state.measured)
        self._measured_line.visible = self._measured_entry.visible = self._state.measured is not None
        refresh(self._plots[0])


def _note(found: Response) -> str:
    asked = found.request
    text = f"{asked.n_devices} devices, {asked.n_pulses} pulses: first half up, second half down. Seed {asked.seed}."
    if found.stride > 1:
        text += f" Every {found.stride}th pulse is drawn."
    return theme.caption_markup(text)


def _why_none(found: Response) -> str:
    device = found.request.device
    if not device.pulsed:
        return "The ideal device has no bounds and the same step everywhere: there is no point to find."
    return "Up and down step are equal everywhere or nowhere within the bounds of every simulated device."
