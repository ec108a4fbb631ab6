# SPDX-License-Identifier: Apache-2.0
"""A background job on a page: how far it is, stop it, take its result; of any experiment."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
import xarray as xr
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer.experiments.base import Experiment
from explorer.jobs import Job
from explorer.jobs.job import FINAL
from explorer.views import address, theme
from explorer.views.job_words import Runner, duration, find
from explorer.views.live import together

POLL_MS = 200
_WORDS = {"queued": "Waiting", "running": "Running", "done": "Finished", "failed": "Failed", "cancelled": "Cancelled"}
_COLORS = {"running": "primary", "done": "success", "failed": "error"}


class JobBox(Viewer):
    """Follows one job at a time.

    Parameters
    ----------
    runner : Runner
    done : callable
        Takes the dataset of a job that has finished well, and its experiment.
    argument : str
        Name of the page's argument that names the job, so that a reloaded page follows it again.
    heard : callable, optional
        Takes each payload that the job reports on its way.
    changed : callable, optional
        Called whenever a job begins or ends.
    """

    def __init__(
        self,
        runner: Runner,
        done: Callable[[xr.Dataset, Experiment], None],
        argument: str,
        heard: Callable[[dict], None] | None = None,
        changed: Callable[[], None] | None = None,
    ):
        super().__init__()
        self.runner, self._done, self._heard, self._changed = runner, done, heard, changed
        self.job: Job | None = None
        self._position, self._version = 0, -1
        self.entry = address.QueryEntry(argument)
        self._argument = argument
        self.chip, self.told = theme.chip(), theme.html("", sizing_mode=None)
        self.cancel = theme.button("Cancel", icon="stop", visible=False)
        self.cancel.on_click(lambda _: self.job and self.job.cancel())
        self.bar, self.problem = theme.progress_bar(visible=False), theme.error_box(visible=False)
        self.chip.visible = False
        self._poller = pn.state.add_periodic_callback(self.poll, POLL_MS, start=False)
        row = theme.row(self.cancel, self.chip, self.told, margin=(4, 0))
        self._view = pn.Column(row, self.bar, self.problem, self.entry.carrier, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> Viewable:
        return self._view

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self.job is not None and self.job.status.state not in FINAL

    def submit(self, experiment: Experiment, label: str) -> None:
        """Start a job; one that still runs here is cancelled first."""
        if self.busy:
            self.job.cancel()
        try:
            job = self.runner.submit(experiment, label=label, owner=_owner())
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))
            return
        self.follow(job)

    def come_back(self) -> None:
        """Follow again what the page's address names."""
        named = address.argument(self._argument)
        if not named:
            return
        try:
            self.follow(find(self.runner, named))
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))

    def follow(self, job: Job) -> None:
        """Show a job from now on."""
        self.job, self._position, self._version = job, 0, -1
        theme.say_error(self.problem, "")
        self.entry.put(job.status.run_id or job.id)
        if not self._poller.running:
            self._poller.start()
        self.poll()

    def poll(self) -> None:
        """Look at the job; called some times a second while it is under way."""
        if self.job is None:
            return
        status = self.job.status
        with together():
            self._show(status)
            if status.version == self._version:
                return
            began, self._version = self._version < 0, status.version
            events, self._position = self.job.events_since(self._position)
            for event in events:
                if self._heard is not None:
                    self._heard(event)
            if status.state in FINAL:
                self._over(status)
            if self._changed is not None and (began or status.state in FINAL):
                self._changed()

    def _over(self, status) -> None:
        if self._poller.running:
            self._poller.stop()
        self.entry.put(status.run_id or self.job.id)
        if status.state != "done":
            theme.say_error(self.problem, status.error or "")
            return
        try:
            self._done(self.job.result(timeout_s=0), self.job.experiment)
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))

    def _show(self, status) -> None:
        busy = status.state not in FINAL
        self.chip.param.update(label=_WORDS[status.state], color=_COLORS.get(status.state, "default"), visible=True)
        self.cancel.visible = busy
        self.bar.param.update(visible=busy, value=round(100 * status.fraction, 1),
                              variant="determinate" if status.fraction else "indeterminate")  # fmt: skip
        words = status.message if busy else (f"took {duration(took)}" if (took := self.job.elapsed_s) else "")
        if busy and (eta := self.job.eta_s):
            words += f", about {duration(eta)} left"
        if self.told.object != (markup := theme.caption_markup(words)):
            self.told.object = markup


def _owner() -> str | None:
    """Return what counts as one user for the limit of jobs: a page."""
    doc = pn.state.curdoc
    return doc.session_context.id if doc is not None and doc.session_context is not None else None
