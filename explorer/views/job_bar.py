# SPDX-License-Identifier: Apache-2.0
"""Start an experiment as a background job, follow it, cancel it, come back to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import panel as pn
import xarray as xr
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError, ParameterError
from explorer import jobs
from explorer.experiments import Experiment
from explorer.jobs import Job
from explorer.views import address, theme
from explorer.views.job_words import CHIPS, Runner, ahead, duration, find, owner
from explorer.views.live import together

POLL_MS = 150
Kind = TypeVar("Kind", bound=Experiment)


class JobBar(Viewer, Generic[Kind]):
    """A button, a bar and words for one kind of experiment; tells its owner of results.

    Parameters
    ----------
    kind : type
        Class of the experiments.
    make : callable
        Returns the experiment to run and its label; raises `OhmscapeError` where there is none.
    arrived : callable
        Takes the result and the experiment that it comes from.
    argument : str
        Name in the page's address, by which a reloaded page finds the job again.
    label : str
        Of the button.
    heard : callable, optional
        Takes each payload that the job reports, with its experiment.
    runner : JobRunner, optional
        The one of this process by default.
    """

    def __init__(
        self,
        kind: type[Kind],
        make: Callable[[], tuple[Kind, str]],
        arrived: Callable[[xr.Dataset, Kind], None],
        *,
        argument: str,
        label: str,
        heard: Callable[[dict[str, Any], Kind], None] | None = None,
        runner: Runner | None = None,
    ):
        super().__init__()
        self.runner = runner or jobs.runner()
        self._kind, self._make, self._arrived, self._heard = kind, make, arrived, heard
        self.job: Job | None = None
        self.experiment: Kind | None = None
        self._version, self._position, self._label = -1, 0, label
        self.start = theme.button(label, icon="play_arrow", primary=True)
        self.cancel = theme.button("Cancel", icon="stop", visible=False)
        self.chip = theme.chip()
        self.chip.visible = False
        self.told = theme.html("", sizing_mode=None)
        self.bar = theme.progress_bar(visible=False)
        self.problem = theme.error_box(visible=False, margin=(8, 0, 0, 0))
        self.entry = address.QueryEntry(argument)
        self.carriers = [self.entry.carrier]
        self._poller = pn.state.add_periodic_callback(self.poll, POLL_MS, start=False)
        self.start.on_click(lambda _: self.run())
        self.cancel.on_click(lambda _: self.job and self.job.cancel())
        buttons = theme.row(self.start, self.cancel, self.chip, self.told, margin=(0, 0, 6, 0))
        self.view: Viewable = pn.Column(buttons, self.bar, self.problem, sizing_mode="stretch_width", margin=0)
        if named := address.argument(argument):
            self.open(named)

    def __panel__(self) -> Viewable:
        return pn.Column(self.view, *self.carriers, sizing_mode="stretch_width", margin=0)

    @property
    def busy(self) -> bool:
        """Whether a job is under way."""
        return self.job is not None and not self.job.finished

    def run(self) -> None:
        """Start the experiment; one that still runs here is cancelled first."""
        try:
            experiment, label = self._make()
            if self.job is not None:
                self.job.cancel()
            self.follow(self.runner.submit(experiment, label=label, owner=owner()))
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))

    def open(self, named: str) -> None:
        """Follow a job by its id, or show a stored run."""
        try:
            self.follow(find(self.runner, named))
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))

    def follow(self, job: Job) -> None:
        """Show a job from now on."""
        experiment = job.experiment
        if not isinstance(experiment, self._kind):
            raise ParameterError(
                f"job = {job.id}: is a {job.experiment_class} (allowed: {self._kind.__name__}). Open it where it was "
                "started."
            )
        self.job, self.experiment, self._version, self._position = job, experiment, -1, 0
        theme.say_error(self.problem, "")
        self.entry.put(job.run_id or job.id)
        self.poll()
        if not job.finished and not self._poller.running:
            self._poller.start()

    def poll(self) -> None:
        """Look at the job; called some times a second while it is under way. Never waits for the worker."""
        job = self.job
        if job is None:
            return
        status = job.status
        fresh, self._version = status.version != self._version, status.version
        with together():
            if fresh:
                self._hear(job)
            self._show(job)
            if job.finished and fresh:
                self._over(job)

    def _hear(self, job: Job) -> None:
        events, self._position = job.events_since(self._position)
        for event in events:
            if self._heard is not None:
                self._heard(event, self.experiment)

    def _over(self, job: Job) -> None:
        if self._poller.running:
            self._poller.stop()
        self.entry.put(job.run_id or job.id)
        if job.state != "done":
            return
        try:
            self._arrived(job.result(timeout_s=0), self.experiment)
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))

    def _show(self, job: Job) -> None:
        status, busy = job.status, not job.finished
        label, color = CHIPS[status.state]
        self.chip.param.update(label=label, color=color, visible=True)
        self.cancel.visible = busy
        self.start.param.update(label="Running …" if busy else self._label, disabled=busy)
        self.bar.param.update(
            visible=busy, value=round(100 * status.fraction, 1),
            variant="determinate" if status.fraction else "indeterminate",
        )  # fmt: skip
        if status.error:
            theme.say_error(self.problem, status.error)
        if self.told.object != (markup := theme.caption_markup(self._words(job))):
            self.told.object = markup

    def _words(self, job: Job) -> str:
        status = job.status
        if status.state == "queued":
            others = ahead(self.runner, job)
            return f"behind {others} other job{'s' if others > 1 else ''}" if others else status.message
        if status.state == "running":
            left = f", about {duration(eta)} left" if (eta := job.eta_s) else ""
            return f"{status.message}{left}"
        return f"took {duration(took)}" if status.state == "done" and (took := job.elapsed_s) else ""
