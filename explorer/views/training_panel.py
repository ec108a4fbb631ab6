# SPDX-License-Identifier: Apache-2.0
"""Train a network with the device on show: start, watch, cancel, come back to it, compare."""

from __future__ import annotations

import math
import time

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer import jobs
from explorer.labs.state import DeviceState
from explorer.views import address, theme
from explorer.views.job_words import CHIPS, Runner, ahead, duration, find, owner
from explorer.views.live import Later, together
from explorer.views.share import title
from explorer.views.training_data import History, Outcome
from explorer.views.training_job import FollowedJob, differences
from explorer.views.training_plots import TrainingPlots
from explorer.views.training_runs import RecentRuns
from explorer.views.training_settings import TrainingSettings, describe

ARGUMENT = "training"
POLL_MS = 150
CALM_S = 0.4
"""News of a job wait until no knob has moved for so long: the response that the user looks at goes first ..."""
PATIENCE_S = 2.0
"""... but no longer than this."""
_WATCHED = ["revision", "seed"]
_SUBTITLE = "A 64-64-10 network on handwritten digits, every layer on tiles of this device; floating point beside it."
_NAMED = 4  # differences a stale result names before it counts the rest
_COLUMNS = [
    ("Run", ""),
    ("Test accuracy", "Share of test digits right after the last epoch: mean ± standard deviation over seeds."),
    ("To floating point", "Difference of the means, in percentage points."),
    ("Loss", "Cross-entropy on the training data in the last epoch, mean over seeds."),
    ("Time per epoch", "Mean over epochs and seeds."),
    ("Seeds", "Runs with other devices, initial weights and order of samples."),
]
_NAMES = {"analog": "This device", "baseline": "Floating point"}


class TrainingPanel(Viewer):
    """Train with the state's device in a background job.

    Parameters
    ----------
    state : DeviceState
    runner : JobRunner, optional
        Where jobs run; the runner of this process by default.

    Notes
    -----
    The page's address names the job, so a reloaded page follows it again; jobs outlive pages.
    """

    def __init__(self, state: DeviceState, runner: Runner | None = None):
        super().__init__()
        self.state, self.runner = state, runner or jobs.runner()
        self.followed: FollowedJob | None = None
        self.settings, self.plots = TrainingSettings(), TrainingPlots()
        self.start = theme.button("Start training", icon="play_arrow", primary=True)
        self.cancel = theme.button("Cancel", icon="stop", visible=False)
        self.chip, self.stale = theme.chip(), theme.chip("Stale", "warning")
        self.told = theme.html("", sizing_mode=None)
        self.bar = theme.progress_bar(visible=False)
        self.problem = theme.error_box(visible=False)
        self.stale_box = theme.warning_box(visible=False)
        self.its_device = theme.button("Show its device", visible=False, styles={"flex": "none"})
        self.empty = theme.empty_box(
            "No training yet", "Set the device at the left, then start: the first epoch shows in seconds."
        )
        self.table = theme.html(visible=False)
        self.drawn = pn.Column(sizing_mode="stretch_width", margin=0)  # Bokeh complains of plots without a point
        self.runs = RecentRuns(self.open_run)
        self.entry = address.QueryEntry(ARGUMENT)
        self._undrawn, self._draw_next = False, 0.0
        self._moved = self._shown_last = -math.inf  # when a knob was moved, when the page last followed the job
        self._poller = pn.state.add_periodic_callback(self.poll, POLL_MS, start=False)
        self.carriers = [self.entry.carrier]  # invisible; outside tabs, which draw only what is chosen
        self.view = self._layout()
        self._connect()
        self._show()
        self._come_back()

    def __panel__(self) -> Viewable:
        return pn.Column(self.view, *self.carriers, sizing_mode="stretch_width", margin=0)

    def run(self, *events) -> None:
        """Start a training with the device on show; one that still runs here is cancelled first."""
        if self.settings.problem:  # else it would run with a value that is not the one on show
            self._say(self.settings.problem)
            return
        try:
            experiment = self.settings.experiment(self.state.device, self.state.seed)
            if self.followed is not None:
                self.followed.job.cancel()
            job = self.runner.submit(experiment, label=title(self.state), owner=owner())
        except OhmscapeError as error:
            self._say(str(error))
            return
        self.follow(FollowedJob(job))

    def open_run(self, run_id: str) -> None:
        """Show a stored run, or a job by its id."""
        try:
            self.follow(FollowedJob(find(self.runner, run_id)))
        except OhmscapeError as error:
            self._say(str(error))
            return
        self.settings.take(self.followed.experiment)

    def follow(self, followed: FollowedJob) -> None:
        """Show a job from now on."""
        self.followed = followed
        self._say("")
        followed.hear()
        self.entry.put(followed.address)
        self._draw()
        if not followed.finished and not self._poller.running:
            self._poller.start()

    def poll(self) -> None:
        """Look at the job; called some times a second while it is under way."""
        followed, now = self.followed, time.monotonic()
        if followed is None:
            return
        self._undrawn = followed.hear() or self._undrawn
        if not followed.finished and now - self._moved < CALM_S and now - self._shown_last < PATIENCE_S:
            return
        self._shown_last = now
        if self._undrawn and (followed.finished or now >= self._draw_next):
            self._draw_news()
        else:
            with together():
                self._show()  # the time to go runs down between two reports

    def _draw_news(self) -> None:
        began = time.monotonic()
        with together():
            self._draw()
        self._undrawn = False
        # Thousands of epochs take their time to draw: the page stays for its user nine tenths of the time.
        self._draw_next = time.monotonic() + 9 * (time.monotonic() - began)
        if self.followed.finished:
            self._over()

    def _over(self) -> None:
        if self._poller.running:
            self._poller.stop()
        self.entry.put(self.followed.address)
        self.runs.update()

    def _come_back(self) -> None:
        """Follow again what the address names."""
        named = address.argument(ARGUMENT)
        if named:
            self.open_run(named)

    def _connect(self) -> None:
        self.start.on_click(self.run)
        self.cancel.on_click(lambda _: self.followed and self.followed.job.cancel())
        self.its_device.on_click(lambda _: self._adopt())
        self._mark = Later(self._mark_stale)
        self.state.param.watch(lambda *events: self._knob_moved(), _WATCHED)
        self.runs.param.watch(lambda event: self._compare(), "chosen")

    def _layout(self) -> Viewable:
        buttons = theme.row(self.start, self.cancel, self.chip, self.stale, self.told, margin=(10, 0, 6, 0))
        stale = theme.row(self.stale_box, self.its_device, flex_wrap="nowrap")
        return theme.card(
            "Train with this device", self.settings, buttons, self.bar, self.problem, stale, self.empty, self.table,
            self.drawn, theme.accordion(("Earlier runs", self.runs)), subtitle=_SUBTITLE,
        )  # fmt: skip

    def _adopt(self) -> None:
        experiment = self.followed.experiment
        self.state.seed = experiment.seed
        self.state.load_device(experiment.device)

    def _say(self, problem: str) -> None:
        theme.say_error(self.problem, problem)

    def _draw(self) -> None:
        """Show the newest numbers and all that depends on them."""
        followed = self.followed
        self.plots.draw(followed.history, followed.experiment.device)
        self._compare()
        self._show()

    def _compare(self) -> None:
        runs = self.runs.histories()
        self.plots.compare(runs)
        rows = _rows(self.followed.history if self.followed else History(), runs)
        self.table.param.update(object=theme.table_markup(_COLUMNS, rows) if rows else "", visible=bool(rows))
        self._shape()

    def _shape(self) -> None:
        """Show plots where there is something to plot, else what to do."""
        some = bool(self.runs.chosen) or (self.followed is not None and not self.followed.history.empty)
        if bool(self.drawn.objects) is not some:
            self.drawn.objects = [self.plots] if some else []
        self.empty.visible = not some and self.followed is None

    def _show(self) -> None:
        """Bring buttons, chips and words in line with the job and the state."""
        followed = self.followed
        changed = [] if followed is None else self._differences()
        busy = followed is not None and not followed.finished
        self._show_stale(changed, busy)
        self.cancel.visible = busy
        self.start.param.update(label=_start_label(followed, bool(changed)), disabled=busy and not changed)
        self._shape()
        self.chip.visible = self.told.visible = followed is not None
        if followed is None:
            return
        label, color = CHIPS[followed.status.state]
        self.chip.param.update(label=label, color=color)
        if followed.status.error or followed.problem:
            self._say(followed.status.error or followed.problem)
        self._progress()

    def _knob_moved(self) -> None:
        self._moved = time.monotonic()
        self._mark.changed()

    def _mark_stale(self) -> None:
        """Mark the result at the first move; of the words that follow each further one `poll` takes care."""
        stale = self.followed is not None and bool(self._differences())
        if stale is not self.stale.visible or not self._poller.running:
            self._show()

    def _differences(self) -> list[str]:
        experiment = self.followed.experiment
        return differences(experiment, self.state.device, self.state.seed)

    def _show_stale(self, changed: list[str], busy: bool) -> None:
        stale = bool(changed)
        self.stale.visible = stale
        self.its_device.visible = stale and not busy
        self.plots.fade(stale)
        rest = f" and {len(changed) - _NAMED} more" if len(changed) > _NAMED else ""
        text = f"Changed since this run started: {', '.join(changed[:_NAMED])}{rest}." if stale else ""
        theme.say_warning(self.stale_box, text, "This result belongs to another device.")

    def _progress(self) -> None:
        status, busy = self.followed.status, not self.followed.finished
        self.bar.param.update(
            visible=busy,
            value=round(100 * status.fraction, 1),
            variant="determinate" if status.fraction else "indeterminate",
        )
        text = f"{self._words()} · {describe(self.followed.experiment)}".strip(" ·")
        if self.told.object != (markup := theme.caption_markup(text)):
            self.told.object = markup

    def _words(self) -> str:
        job, status = self.followed.job, self.followed.status
        if status.state == "queued":
            others = ahead(self.runner, job)
            return f"behind {others} other job{'s' if others > 1 else ''}" if others else status.message
        if status.state == "running":
            left = f", about {duration(eta)} left" if (eta := job.eta_s) else ""
            return f"{status.message}{left}"
        if status.state == "cancelled":
            return "stopped before the end" if not self.followed.history.empty else ""
        return f"took {duration(took)}" if (took := job.elapsed_s) else ""


def _start_label(followed: FollowedJob | None, stale: bool) -> str:
    if followed is None:
        return "Start training"
    busy = not followed.finished
    if stale:
        return "Restart with the current device" if busy else "Re-run with the current device"
    if busy:
        return "Training …"
    return "Train again" if followed.status.state == "done" else "Run again"


def _rows(history: History, runs: list[tuple[str, History]]) -> list[list[str]]:
    own = history.outcomes()
    digital = next((o.accuracy for o in own if o.kind == "baseline"), math.nan)
    rows = [_row(_NAMES[o.kind], o, digital) for o in own]
    for name, other in runs:
        found = {o.kind: o for o in other.outcomes()}
        if "analog" in found:
            base = found["baseline"].accuracy if "baseline" in found else math.nan
            rows.append(_row(name, found["analog"], base))
    return rows


def _row(name: str, outcome: Outcome, digital: float) -> list[str]:
    spread = "" if math.isnan(outcome.accuracy_std) else f" ± {100 * outcome.accuracy_std:.1f}"
    gap = 100 * (outcome.accuracy - digital)
    shown = "" if outcome.kind == "baseline" or math.isnan(gap) else f"{gap:+.1f} points".replace("-", "−")
    seconds = f"{outcome.seconds_per_epoch:.2g} s"
    return [
        name,
        f"{100 * outcome.accuracy:.1f}{spread} %",
        shown,
        f"{outcome.loss:.3g}",
        seconds,
        str(outcome.n_seeds),
    ]
