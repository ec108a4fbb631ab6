# SPDX-License-Identifier: Apache-2.0
"""The drift lab's overview: accuracy over time with estimates and full runs, weights at the time under the marker."""

from __future__ import annotations

import json

import panel as pn
import xarray as xr
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer import durations, networks, results
from explorer.experiments import Experiment
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.labs.drift_state import DriftState
from explorer.views import theme
from explorer.views.drift_data import Curve, LiveChip, Moment, Weights, curves, table_rows
from explorer.views.drift_plots import AccuracyPlot, LevelPlot, ScatterPlot, WeightPlot
from explorer.views.job_bar import JobBar
from explorer.views.live import LatestWins, in_one_message, refresh, served
from explorer.views.numbers import fixed
from explorer.views.quick_estimates import QuickEstimates, key
from explorer.views.time_cursor import TimeCursor

RUN_ARGUMENT = "run"
_NO_ESTIMATE = "This network takes too long for an estimate: start the full run, its curve comes as a job."
_EMPTY = ("No curve yet", "The estimate is on its way; the full run gives all chips. Drag a parameter at the left.")


class DriftView(Viewer):
    """Accuracy over time of the state's scenarios, the weights behind them, and the table.

    Parameters
    ----------
    state : DriftState
    runner, quick_runner : JobRunner, optional
        Where full runs and estimates are made; those of this process by default.
    """

    def __init__(self, state: DriftState, runner=None, quick_runner=None):
        super().__init__()
        self.state = state
        self._full: dict[str, Curve] = {}
        self.shown: list[Curve] = []
        self._network = state.experiment.network
        self.accuracy = AccuracyPlot(self._marked)
        self.weights, self.scatter, self.levels = WeightPlot(), ScatterPlot(), LevelPlot()
        self.cursor = TimeCursor(state)
        self.status = theme.busy_box("Estimating …", visible=False, sizing_mode=None, width=120)
        self.chip = theme.chip()
        self.tiles, self.table = theme.html(margin=(10, 0, 0, 0)), theme.html()
        self.problem, self.weight_problem = theme.error_box(visible=False), theme.error_box(visible=False)
        self.note = theme.info_box(_NO_ESTIMATE, visible=False, margin=(8, 0))
        self.empty = theme.empty_box(*_EMPTY)
        self.quick = QuickEstimates(self._estimated, quick_runner)
        self.job: JobBar[DriftAccuracy] = JobBar(
            DriftAccuracy, self._experiment, self._arrived, argument=RUN_ARGUMENT, label="Full run", runner=runner
        )
        self.carriers = self.job.carriers
        self._chip = LiveChip()
        panes = tuple(plot.pane for plot in (self.weights, self.scatter, self.levels))
        self.worker: LatestWins[Moment, Weights] = LatestWins(self._chip.at, self._draw, self._failed, panes)
        self.overview, self.details = self._overview(), self._details()
        self.accuracy.follow(state.time)
        if served():
            pn.state.onload(self._ask)  # what plots are told before the page listens is lost
        else:
            self._ask()
        self.worker.now(self._moment())
        state.param.watch(lambda *events: self._changed(), "revision")
        state.param.watch(lambda *events: self._time_moved(), "time")

    def __panel__(self) -> Viewable:
        return pn.Column(self.overview, self.details, *self.carriers, sizing_mode="stretch_width", margin=0)

    def _overview(self) -> Viewable:
        subtitle = "Band: 10–90 % of chips; line: mean; bars: its 95 % interval. Drag the vertical line, or click."
        curve = theme.card(
            "Accuracy over time", self.job.view, self.problem, self.note, self.empty, self.accuracy.legend,
            self.accuracy.pane, subtitle=subtitle, actions=[self.status, self.chip],
        )  # fmt: skip
        weights = theme.card("Weights of the first chip", self.weight_problem, self.weights.view, self.cursor,
                             self.tiles, subtitle="The scenario under edit, at the time of the marker")  # fmt: skip
        return theme.grid(curve, weights, min_width=400)

    def _details(self) -> Viewable:
        return theme.grid(
            theme.card("Programmed against target", self.scatter.view,
                       subtitle="Some weights of the first chip, before compensation"),
            theme.card("Conductance error by target", self.levels.view,
                       subtitle="4000 devices for each target: mean and standard deviation"),
        )  # fmt: skip

    def _moment(self) -> Moment:
        experiment = self.state.experiment
        return Moment(experiment.network, self.state.scenario, self.state.time, int(experiment.seed))

    def _experiment(self) -> tuple[DriftAccuracy, str]:
        experiment = self.state.experiment
        return experiment, ", ".join(s.title for s in experiment.scenarios)

    def _changed(self) -> None:
        self.worker.request(self._moment())
        self._ask()

    def _time_moved(self) -> None:
        self.accuracy.follow(self.state.time)
        self.worker.request(self._moment())

    def _marked(self, t: float) -> None:
        self.state.time = t

    def _ask(self) -> None:
        try:
            self.quick.ask(self.state.experiment, self.state.drift.selected)
        except OhmscapeError as error:
            self.quick.problem = str(error)
        self._show()

    def _estimated(self) -> None:
        self._show()
        if self.weight_problem.visible:  # weights that had to be trained first are there now
            self.worker.request(self._moment())

    def _arrived(self, ds: xr.Dataset, experiment: DriftAccuracy) -> None:
        for k, curve in enumerate(curves(ds, experiment, full=True)):
            self._full[_full_key(experiment, k)] = curve
        self._show()

    def open_run(self, run_id: str) -> None:
        """Show a stored run: its scenarios and its curves."""
        try:
            experiment = Experiment.from_dict(results.info(run_id).experiment)
            self.state.load_experiment(experiment)
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error), "The run cannot be shown.")
            return
        self.job.open(run_id)

    def _curve(self, k: int) -> Curve | None:
        experiment = self.state.experiment
        title = experiment.scenarios[k].title
        found = self._full.get(_full_key(experiment, k))
        if found is not None:
            return found.named(title, stale=False)
        found = self.quick.curve(experiment, k)
        if found is None and k < len(self.shown):
            return self.shown[k].named(title, stale=True)
        return found

    @in_one_message
    def _show(self) -> None:
        if self.state.experiment.network != self._network:  # a curve of another network is no stale one of this
            self.shown, self._network = [], self.state.experiment.network
        count = len(self.state.experiment.scenarios)
        found = [self._curve(k) for k in range(count)]
        self.shown = [c for c in found if c is not None]
        self.accuracy.draw(self.shown)
        self.empty.visible = not self.shown
        columns, rows = table_rows(self.shown)
        self.table.object = theme.table_markup(columns, rows) if rows else ""
        self._show_status()
        refresh(self.accuracy.pane)

    def _show_status(self) -> None:
        stale = any(c.stale for c in self.shown)
        full = bool(self.shown) and all(c.full for c in self.shown) and not stale
        label, color = ("Stale", "warning") if stale else ("Full run", "success") if full else ("Estimate", "primary")
        self.chip.param.update(label=label, color=color, visible=bool(self.shown))
        self.status.visible = self.quick.busy
        note = _NO_ESTIMATE if self.quick.too_large else self.quick.told
        theme.say_error(self.note, "" if full else note, kind="info")
        measure = networks.find(self.state.experiment.network).measure
        self.accuracy.figure.yaxis.axis_label = f"{measure[:1].upper()}{measure[1:]} (%)"
        theme.say_error(self.problem, self.quick.problem, "No estimate.")

    def _draw(self, found: Weights) -> None:
        self.weights.draw(found)
        self.scatter.draw(found)
        self.levels.draw(found)
        self.tiles.object = theme.metrics_markup(_tiles(found))
        theme.say_error(self.weight_problem, "")

    def _failed(self, problem: Exception) -> None:
        theme.say_error(self.weight_problem, str(problem), "The weights could not be computed.")


def _tiles(found: Weights) -> list[tuple[str, str, str, str]]:
    part = " (first layers)" if found.partly else ""
    return [
        ("Time", durations.about(found.time), "1", "Time after the reference read that is shown."),
        ("Slope", fixed(found.slope, 3), "1", "What is left of the weights: 1 as asked for, before compensation."),
        ("Dispersion", fixed(100 * found.dispersion), "%", "Spread about that slope; no compensation takes it away."),
        ("Factor α", fixed(found.alpha, 3), "1", "Of the drift compensation, mean over tiles."),
        ("Weight error", fixed(100 * found.error), "%", f"Error of the compensated weights{part}, relative."),
    ]


def _full_key(experiment: DriftAccuracy, k: int) -> str:
    own = [int(experiment.n_chips), int(experiment.n_read)]
    return json.dumps([own, key(experiment, k)])
