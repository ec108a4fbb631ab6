# SPDX-License-Identifier: Apache-2.0
"""One job as the server process sees it: cheap to look at from many sessions, at any rate."""

from __future__ import annotations

import dataclasses
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import xarray as xr

from explorer.experiments import Experiment
from explorer.jobs.errors import JobError
from explorer.results import RunInfo, Store

FINAL = ("done", "failed", "cancelled")
MAX_EVENTS = 5000
_PACE_REPORTS = 20  # the remaining time follows the pace of the last reports, not the slow start


@dataclass(frozen=True)
class Status:
    """A consistent picture of a job; a new one replaces it at every change."""

    state: str = "queued"
    fraction: float = 0.0
    message: str = ""
    error: str | None = None
    traceback: str | None = None
    run_id: str | None = None
    pid: int | None = None
    started: float | None = None
    finished: float | None = None
    version: int = 0


class Job:
    """An experiment on its way through a worker process.

    Reading never waits: every property looks at the newest `Status`. Only `wait` and `result` block.

    Attributes
    ----------
    id : str
        32 hexadecimal digits; `JobRunner.get` finds the job by it.
    label : str
        The user's words.
    owner : str or None
        Whose job it is, for the limit per owner.
    experiment_class : str
    created : datetime
        When it was submitted (UTC).
    """

    def __init__(
        self,
        written: dict[str, Any],
        store: Store,
        *,
        label: str = "",
        owner: str | None = None,
        job_id: str | None = None,
        ask_to_stop: Callable[[Job], None] | None = None,
    ):
        self.id = job_id or uuid.uuid4().hex
        self.label, self.owner = label, owner
        self.experiment_class: str = written["class"]
        self.created = datetime.now(UTC)
        self.written = written
        self.store = store
        self.attempt = 0
        self.cancel_asked: float | None = None
        self._ask_to_stop = ask_to_stop
        self._status = Status()
        self._events: tuple[int, list[dict[str, Any]]] = (0, [])
        self._pace: list[tuple[float, float]] = []
        self._kept: xr.Dataset | None = None
        self._over = threading.Event()
        self._lock = threading.Lock()  # between writers; readers need none

    @classmethod
    def of_run(cls, info: RunInfo, store: Store) -> Job:
        """Return the finished job a stored run came from (after a restart of the server)."""
        job = cls(info.experiment, store, label=info.label, job_id=info.job_id)
        job.created = datetime.fromisoformat(info.started)
        job.finish("done", message="finished", run_id=info.run_id)
        return job

    def __repr__(self) -> str:
        s = self._status
        return f"<Job {self.id[:8]} {self.experiment_class} {s.state} {100 * s.fraction:.0f} %>"

    @property
    def status(self) -> Status:
        """The newest consistent picture; ``status.version`` grows with every change."""
        return self._status

    @property
    def state(self) -> str:
        """``queued``, ``running``, ``done``, ``failed`` or ``cancelled``."""
        return self._status.state

    @property
    def finished(self) -> bool:
        """Whether the state is final."""
        return self._status.state in FINAL

    @property
    def fraction(self) -> float:
        """Share of the work done, 0 to 1."""
        return self._status.fraction

    @property
    def message(self) -> str:
        """A few words on what is going on."""
        return self._status.message

    @property
    def error(self) -> str | None:
        """One line for the user, or None; a ``done`` job has one when its result could not be saved."""
        return self._status.error

    @property
    def traceback(self) -> str | None:
        """The traceback of an unexpected error, for the log."""
        return self._status.traceback

    @property
    def run_id(self) -> str | None:
        """Id of the stored run, once saved."""
        return self._status.run_id

    @property
    def experiment(self) -> Experiment:
        """A fresh copy of the experiment as it was submitted."""
        return Experiment.from_dict(self.written)

    @property
    def version(self) -> int:
        """Grows with every change: a view compares it and is done when it is equal."""
        return self._status.version

    @property
    def events(self) -> list[dict[str, Any]]:
        """The payloads reported so far, oldest first, the last 5000 at least."""
        return list(self._events[1])

    def events_since(self, position: int) -> tuple[list[dict[str, Any]], int]:
        """Return the payloads from ``position`` on and the position to ask for next time (first: 0)."""
        dropped, kept = self._events
        start = max(0, position - dropped)
        new = kept[start:]
        return new, dropped + start + len(new)

    @property
    def elapsed_s(self) -> float | None:
        """Seconds in the worker so far (or in all), or None before it started."""
        s = self._status
        if s.started is None:
            return None
        return (time.monotonic() if s.finished is None else s.finished) - s.started

    @property
    def eta_s(self) -> float | None:
        """Seconds to go at the pace of the last reports; None while nothing can be said, 0 at the end."""
        s, pace = self._status, self._pace
        if s.state in FINAL:
            return 0.0
        if s.state != "running" or len(pace) < 2 or pace[-1][1] <= pace[0][1]:
            return None
        (t0, f0), (t1, f1) = pace[0], pace[-1]
        left = (1.0 - f1) * (t1 - t0) / (f1 - f0)
        return max(0.0, left - (time.monotonic() - t1))

    def cancel(self) -> None:
        """Ask the job to stop and return at once; a queued job is cancelled at once, a final one not."""
        if self.finished:
            return
        if self._ask_to_stop is not None:
            self._ask_to_stop(self)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the state is final; return whether it is."""
        return self.finished or self._over.wait(timeout_s)  # who has just read "done" need not wait at all

    def result(self, timeout_s: float | None = None) -> xr.Dataset:
        """Wait for the end and return the data.

        Raises
        ------
        JobError
            When the job failed, was cancelled, or is not finished after ``timeout_s``.
        """
        if not self.wait(timeout_s):
            raise JobError(
                f"Job.result: {self.experiment_class} is still {self.state} after {timeout_s:g} s. Wait longer."
            )
        s = self._status
        if s.state == "cancelled":
            raise JobError(f"Job.result: {self.experiment_class} was cancelled. Submit it again.")
        if s.state == "failed":
            raise JobError(s.error or f"{self.experiment_class}: failed.")
        return self.store.load(s.run_id) if s.run_id else self._unsaved()

    def save(self) -> RunInfo:
        """Try again to store a result that could not be saved when the job ended (such as a full disk).

        Raises
        ------
        explorer.results.SaveFailed
            When it is still impossible; the result stays in memory.
        JobError
            When the job has no result.
        """
        s = self._status
        if s.state == "done" and s.run_id:
            return self.store.info(s.run_id)
        if s.state != "done":
            raise JobError(f"Job.save: {self.experiment_class} is {s.state} (allowed: done). There is no result.")
        info = self.store.save(self._unsaved(), self.experiment, label=self.label, job_id=self.id)
        with self._lock:
            self._change(run_id=info.run_id, error=None)
            self._kept = None
        return info

    def _unsaved(self) -> xr.Dataset:
        if self._kept is None:
            raise JobError(f"Job.result: {self.experiment_class} left no data. Run it again.")
        return self._kept.copy()

    # Written by the runner.

    def begin(self, pid: int) -> None:
        """A worker process has taken the job."""
        with self._lock:
            if not self.finished:
                self._pace = []
                self._change(state="running", pid=pid, message="starting", started=time.monotonic())

    def report(self, fraction: float, message: str, events: list[dict[str, Any]]) -> None:
        """The worker told how far it is."""
        with self._lock:
            if self.finished:
                return
            dropped, kept = self._events
            kept.extend(events)
            if len(kept) > 2 * MAX_EVENTS:  # a new list: readers may hold the old one
                self._events = (dropped + len(kept) - MAX_EVENTS, kept[-MAX_EVENTS:])
            self._pace = [*self._pace[-_PACE_REPORTS:], (time.monotonic(), fraction)]
            asked = self.cancel_asked is not None
            self._change(fraction=fraction, message="stopping" if asked else message)

    def tell(self, message: str) -> None:
        """Set the message of a job that is not finished."""
        with self._lock:
            if not self.finished:
                self._change(message=message)

    def finish(self, state: str, *, kept: xr.Dataset | None = None, **final: Any) -> bool:
        """Enter a final state once; return whether this call did."""
        with self._lock:
            if self.finished:
                return False
            self._kept = kept
            if state == "done":
                final["fraction"] = 1.0
            self._change(state=state, finished=time.monotonic(), **final)
        self._over.set()
        return True

    def _change(self, **fields: Any) -> None:
        old = self._status
        self._status = dataclasses.replace(old, version=old.version + 1, **fields)
