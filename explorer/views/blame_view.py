# SPDX-License-Identifier: Apache-2.0
"""Which non-ideality costs how many points: a bar for each, switched off alone and on alone, with intervals."""

from __future__ import annotations

from html import escape

import numpy as np
import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource, FixedTicker, HoverTool, Range1d, Span
from panel.viewable import Viewable, Viewer

from explorer import durations
from explorer.experiments.blame import Blame
from explorer.labs.drift_state import DriftState
from explorer.views import theme
from explorer.views.blame_data import Costs, costs
from explorer.views.framed_plot import put
from explorer.views.job_bar import JobBar
from explorer.views.live import in_one_message, refresh
from explorer.views.ranges import round_out, set_range

ARGUMENT = "blame"
_KINDS = (("removed", "gained without it", theme.MODEL, -0.18), ("alone", "lost by it alone", theme.NOMINAL, 0.18))
_ROW_PX = 38
_EMPTY = ("Nobody blamed yet", "Start: each non-ideality of the scenario under edit is switched off, and on, alone.")


class BlamePlot:
    """Horizontal bars with intervals, two for each cause."""

    def __init__(self):
        self.x_range, self.y_range = Range1d(start=-1, end=1), Range1d(start=-0.5, end=0.5)
        self.figure = theme.figure(("Cost", "percentage points"), ("", "1"), height=300, x_range=self.x_range,
                                   y_range=self.y_range)  # fmt: skip
        self.figure.ygrid.visible = False
        self.figure.add_layout(Span(dimension="height", location=0, line_color=theme.NEUTRAL, line_width=1))
        self.sources = {}
        for name, _, color, shift in _KINDS:
            source = ColumnDataSource({n: [] for n in ("at", "title", "cost", "low", "high")})
            bars = self.figure.hbar(y="at", right="cost", left=0, height=0.32, source=source, fill_color=color,
                                    fill_alpha=0.75, line_color=None)  # fmt: skip
            self.figure.segment("low", "at", "high", "at", source=source, line_color=theme.NEUTRAL, line_width=2)
            self.sources[name] = (source, shift)
            tips = [("", "@title"), ("cost", "@cost{0.00} points"), ("95 % interval", "@low{0.00} to @high{0.00}")]
            self.figure.add_tools(HoverTool(tooltips=tips, renderers=[bars], visible=False))
        self.legend = theme.html(theme.legend_markup([(text, color, "block") for _, text, color, _ in _KINDS]))
        self.pane = theme.plot_pane(self.figure)

    def draw(self, found: Costs) -> None:
        """Show costs, the largest at the top."""
        titles = found.titles[::-1]
        rows = np.arange(len(titles))
        self.figure.yaxis.ticker = FixedTicker(ticks=rows.tolist(), minor_ticks=[])
        self.figure.yaxis.major_label_overrides = dict(enumerate(titles))
        set_range(self.y_range, -0.6, len(titles) - 0.4)
        self.figure.height = 90 + _ROW_PX * len(titles)
        ends = []
        for name, (source, shift) in self.sources.items():
            cost, half = getattr(found, name)[::-1], getattr(found, f"{name}_half")[::-1]
            put(source, {"at": rows - shift, "title": titles, "cost": cost, "low": cost - half,
                         "high": cost + half})  # fmt: skip
            ends += [*(cost - half), *(cost + half)]
        set_range(self.x_range, *round_out(min(0.0, *ends), max(0.1, *ends)))


class BlameView(Viewer):
    """Run `Blame` for the scenario under edit at the time of the marker, and draw what it says."""

    def __init__(self, state: DriftState, runner=None):
        super().__init__()
        self.state = state
        self.plot = BlamePlot()
        self.sentence = theme.html(margin=(4, 0, 8, 0))
        self.stale = theme.warning_box(visible=False, margin=(0, 0, 8, 0))
        self.empty = theme.empty_box(*_EMPTY)
        self.drawn = pn.Column(sizing_mode="stretch_width", margin=0)
        self._of: Blame | None = None
        self.job: JobBar[Blame] = JobBar(Blame, self._experiment, self._arrived, argument=ARGUMENT, label="Blame",
                                         runner=runner)  # fmt: skip
        self.carriers = self.job.carriers
        subtitle = "The scenario under edit, at the time of the marker; every case on the same chips"
        self.view: Viewable = theme.card(
            "Which non-ideality costs how many points?", self.job.view, self.stale, self.empty, self.sentence,
            self.drawn, subtitle=subtitle,
        )  # fmt: skip
        state.param.watch(lambda *events: self._mark_stale(), ["revision", "time"])

    def __panel__(self) -> Viewable:
        return pn.Column(self.view, *self.carriers, sizing_mode="stretch_width", margin=0)

    def _experiment(self) -> tuple[Blame, str]:
        own = self.state.experiment
        made = Blame(network=own.network, time=self.state.time, n_chips=int(own.n_chips), samples=int(own.samples),
                     seed=int(own.seed), scenario=self.state.scenario.copy())  # fmt: skip
        return made, f"{made.scenario.title}, {durations.about(self.state.time)}"

    @in_one_message
    def _arrived(self, ds: xr.Dataset, experiment: Blame) -> None:
        found = costs(ds)
        self._of = experiment
        self.sentence.object = f'<div class="verdict marginal">{escape(found.sentence)}</div>'
        self.empty.visible = False
        if not self.drawn.objects:
            note = theme.caption("Bars: means over chips; lines: 95 % intervals of paired differences (Student's t). "
                                 "Costs do not add up: effects hide each other.")  # fmt: skip
            self.drawn.objects = [self.plot.legend, self.plot.pane, note]
        self.plot.draw(found)
        self._mark_stale()
        refresh(self.plot.pane)

    def _mark_stale(self) -> None:
        if self._of is None:
            return
        now, _ = self._experiment()
        text = "" if now == self._of else (
            f"It blames {self._of.scenario.title} after {durations.about(float(self._of.time))} as it was then. "
            "Start again for what is on show."
        )  # fmt: skip
        theme.say_warning(self.stale, text, "Stale.")
