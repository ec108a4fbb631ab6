# SPDX-License-Identifier: Apache-2.0
"""What pages that follow jobs share: find a job by its address, whose it is, how long it takes, in words."""

from __future__ import annotations

from typing import Protocol

import panel as pn

from explorer import results
from explorer.experiments import Experiment
from explorer.jobs import Job
from explorer.results.record import is_run_id

CHIPS = {
    "queued": ("Queued", "default"),
    "running": ("Running", "primary"),
    "done": ("Finished", "success"),
    "failed": ("Failed", "error"),
    "cancelled": ("Cancelled", "default"),
}
"""State of a job to label and colour of a chip."""


class Runner(Protocol):
    """What a page needs of `explorer.jobs.JobRunner`."""

    def submit(self, experiment: Experiment, *, label: str = "", owner: str | None = None) -> Job:
        """Queue an experiment."""

    def get(self, job_id: str) -> Job:
        """Return a job by its id."""

    def jobs(self, owner: str | None = None) -> list[Job]:
        """Return the jobs known here."""


def find(runner: Runner, text: str) -> Job:
    """Return the job that an address names.

    Raises
    ------
    OhmscapeError
        If there is no such job or run.
    """
    if is_run_id(text):
        return Job.of_run(results.info(text), results.Store())
    return runner.get(text)


def ahead(runner: Runner, job: Job) -> int:
    """Return how many unfinished jobs were there before this one."""
    return sum(1 for other in runner.jobs() if not other.finished and other.created < job.created)


def duration(seconds: float) -> str:
    """Word a time to go or gone."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def owner() -> str | None:
    """Return what counts as one user for the limit of jobs: a page."""
    doc = pn.state.curdoc
    return doc.session_context.id if doc is not None and doc.session_context is not None else None
