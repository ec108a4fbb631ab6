# SPDX-License-Identifier: Apache-2.0
"""A training job as a page follows it: what was asked for, what has been heard, how to word it."""

from __future__ import annotations

from typing import Any

from engine.devices import Device
from engine.errors import OhmscapeError, ParameterError
from explorer.experiments.training import Training
from explorer.jobs import Job
from explorer.jobs.job import FINAL
from explorer.views.training_data import History


class FollowedJob:
    """A job, its experiment as it was submitted, and what has been heard of it so far.

    Attributes
    ----------
    status : Status
        As heard last. A page shows this one: the job itself may end between two looks at it, and a page that
        showed it running and then saw it finished would wait for no more news.
    history : History
        The numbers heard so far.
    """

    def __init__(self, job: Job):
        self.job, self.status = job, job.status
        self.experiment = _training(job)
        self.history = History()
        self.problem = ""
        self._position = 0
        self._heard = False

    @property
    def finished(self) -> bool:
        """Whether the job was over when it was heard last."""
        return self.status.state in FINAL

    def hear(self) -> bool:
        """Take what is new; return whether anything is. Never waits for the worker."""
        status = self.job.status
        if self._heard and status.version == self.status.version:
            return False
        self._heard, self.status = True, status
        events, self._position = self.job.events_since(self._position)
        for event in events:
            self.history.add(event)
        if status.state == "done":
            self._complete()
        return True

    def _complete(self) -> None:
        """Take the numbers of the result: after a restart of the server there are no events."""
        try:
            self.history = History.of(self.job.result(timeout_s=0))
        except OhmscapeError as error:
            self.problem = str(error)

    @property
    def address(self) -> str:
        """What names this job in the page's address: its stored run, which outlives the server, or its id."""
        return self.status.run_id or self.job.id


def differences(experiment: Training, device: Device, seed: int) -> list[str]:
    """Return in words what has changed since a run: nothing where its result is that of the device on show."""
    ran = experiment.device
    if type(ran) is not type(device):
        return [f"{ran.title} → {device.title}"]
    changed = [
        f"{n} {_word(a)} → {_word(getattr(device, n))}" for n, a in ran.values().items() if a != getattr(device, n)
    ]
    return changed + ([f"seed {experiment.seed} → {seed}"] if experiment.seed != seed else [])


def _training(job: Job) -> Training:
    experiment = job.experiment
    if not isinstance(experiment, Training):
        raise ParameterError(
            f"job = {job.id}: is a {job.experiment_class} (allowed: Training). Open it where it was started."
        )
    return experiment


def _word(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
