# SPDX-License-Identifier: Apache-2.0
"""Quick estimates of every scenario on show, made in a worker process; of those in the way only the newest counts."""

from __future__ import annotations

import json
from collections.abc import Callable

import panel as pn

from engine.errors import OhmscapeError
from explorer import jobs
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.quick import ATTEMPTS, quick
from explorer.jobs import Job
from explorer.views.drift_data import Curve, curves
from explorer.views.job_words import Runner, owner
from explorer.views.live import together

POLL_MS = 60
_REMEMBERED = 60


class QuickEstimates:
    """Curves of scenarios on few chips, by what they are estimates of.

    Parameters
    ----------
    changed : callable
        Called when a curve has arrived or failed, or the work is done.
    runner : JobRunner, optional
        The quick runner of this process by default.

    Attributes
    ----------
    problem : str
        One line on the estimate that failed last; empty when all is well.
    too_large : bool
        The network has no version that answers within seconds.
    told : str
        One sentence on what estimates leave out, where they take fewer times or chips than of a small network.
    """

    def __init__(self, changed: Callable[[], None], runner: Runner | None = None):
        self.runner = runner or jobs.quick_runner()
        self._changed = changed
        self._found: dict[str, Curve] = {}
        self._wanted: dict[str, DriftAccuracy] = {}
        self._failed: set[str] = set()
        self._job: tuple[str, Job] | None = None
        self.problem, self.too_large, self.told = "", False, ""
        self._poller = pn.state.add_periodic_callback(self.poll, POLL_MS, start=False)

    @property
    def busy(self) -> bool:
        """Whether an estimate is on its way."""
        return self._job is not None or bool(self._missing())

    def ask(self, experiment: DriftAccuracy, selected: int) -> None:
        """Want the curves of these scenarios, that of the selected one first; what nobody wants is cancelled."""
        order = [selected, *(k for k in range(len(experiment.scenarios)) if k != selected)]
        self.problem, self.too_large, self.told, self._wanted, self._failed = "", False, "", {}, set()
        for k in order:
            scenario = experiment.scenarios[k]
            small = quick(experiment, scenario)
            if small is None:
                self.too_large = True
                continue
            self._wanted[key(experiment, k)] = small
            self.told = self.told or _left_out(small, experiment)
        if self._job is not None and self._job[0] not in self._wanted:
            self._job[1].cancel()
            self._job = None
        self._next()

    def curve(self, experiment: DriftAccuracy, k: int) -> Curve | None:
        """Return the curve of a scenario, under its title of now, or None."""
        found = self._found.get(key(experiment, k))
        return None if found is None else found.named(experiment.scenarios[k].title, stale=False)

    def poll(self) -> None:
        """Look whether the estimate in the way has arrived."""
        if self._job is None or not self._job[1].finished:
            return
        (name, job), self._job = self._job, None
        self._take(name, job)
        with together():
            self._next()
            self._changed()

    def _take(self, name: str, job: Job) -> None:
        if job.state == "cancelled":
            return
        try:
            ds = job.result(timeout_s=0)
        except OhmscapeError as error:
            self.problem = str(error)
            self._failed.add(name)
            return
        self._found = dict(list(self._found.items())[-_REMEMBERED:])
        self._found[name] = curves(ds, job.experiment, full=False)[0]

    def _missing(self) -> list[str]:
        return [name for name in self._wanted if name not in self._found and name not in self._failed]

    def _next(self) -> None:
        missing = self._missing()
        if self._job is None and missing:
            try:
                self._job = missing[0], self.runner.submit(self._wanted[missing[0]], label="quick", owner=owner())
            except OhmscapeError as error:
                self.problem = str(error)
                self._failed.update(missing)
        running = self._job is not None
        if running and not self._poller.running:
            self._poller.start()
        elif not running and self._poller.running:
            self._poller.stop()


def _left_out(small: DriftAccuracy, experiment: DriftAccuracy) -> str:
    """Return what an estimate is made of, where it has fewer times or chips than of a small network; else nothing."""
    chips, moments, samples = int(small.n_chips), len(small.times), int(small.samples)
    if moments == len(experiment.times) and chips >= min(ATTEMPTS[0][0], int(experiment.n_chips)):
        return ""
    of_chips = f"{chips} chip{'s' * (chips > 1)}"
    return (f"Estimates of this network take {of_chips}, {samples} samples and {moments} of the "
            f"{len(experiment.times)} times: a trend, no more. The full run takes all of them.")  # fmt: skip


def key(experiment: DriftAccuracy, k: int) -> str:
    """Return what an estimate of a scenario depends on, as text; its title is not among it."""
    told = experiment.scenarios[k].to_dict() | {"title": ""}
    return json.dumps([experiment.network, int(experiment.seed), int(experiment.samples), list(experiment.times),
                       min(4, int(experiment.n_chips)), told], sort_keys=True)  # fmt: skip
