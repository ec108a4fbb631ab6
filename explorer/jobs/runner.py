# SPDX-License-Identifier: Apache-2.0
"""The job runner of a server process: takes experiments, hands out jobs, keeps the workers going.

One thread talks to the scheduler (start, submit, stop), so that no call from a session waits for
it. Which worker runs which job, and when, is the scheduler's business.
"""

from __future__ import annotations

import atexit
import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.errors import near_miss, say
from explorer.experiments import Experiment, classes
from explorer.jobs.errors import JobError, JobLimit, UnknownJob
from explorer.jobs.job import Job
from explorer.results import Store

if TYPE_CHECKING:
    from distributed import Future

    from explorer.jobs.cluster import Cluster

log = logging.getLogger("explorer.jobs")

GRACE_S = 3.0
"""A job that was asked to stop and does not within this time loses its worker process."""
_LOOK_S = 0.05
_ATTEMPTS = 3
_REMEMBERED = 200


class JobRunner:
    """Runs experiments in worker processes; every method may be called from any thread.

    Parameters
    ----------
    address : str, optional
        Of a running Dask scheduler; worker processes on this machine by default. Its workers need the
        same version of ohmscape, and see the results folder under the same path.
    workers : int, optional
        Number of local worker processes; by default the number of cores less one, 4 at most.
    max_active : int
        Most unfinished jobs in all.
    max_per_owner : int
        Most unfinished jobs of one owner.
    keep : bool
        Store the results; without, they live as long as the job is remembered.
    nice : int, optional
        Niceness of local worker processes.
    threads : int
        Torch threads of a worker process.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        max_active: int = 32,
        max_per_owner: int = 4,
        keep: bool = True,
        nice: int | None = None,
        threads: int = 1,
    ):
        self.address = address or None
        self.workers = workers
        self.max_active, self.max_per_owner = max_active, max_per_owner
        self.keep, self.nice, self.threads = keep, nice, threads
        self._jobs: dict[str, Job] = {}
        self._handed: dict[str, tuple[Job, Future]] = {}
        self._cluster: Cluster | None = None
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    def warm(self) -> None:
        """Start the worker processes in the background, so that the first job starts at once."""
        self._later(self._warm)

    @property
    def ready(self) -> bool:
        """Whether the worker processes are up and warm."""
        return self._cluster is not None

    @property
    def closed(self) -> bool:
        """Whether it was shut down."""
        return self._closed

    def submit(self, experiment: Experiment, *, label: str = "", owner: str | None = None) -> Job:
        """Queue an experiment as it is now; later changes of its parameters do not reach the job.

        Parameters
        ----------
        experiment : Experiment
            Of a discovered class.
        label : str
            The user's words for it; stored with the result.
        owner : str, optional
            Whose job it is (a user or session); limited to ``max_per_owner`` unfinished jobs.

        Raises
        ------
        JobLimit
            When too many jobs are unfinished.
        JobError
            When the class of the experiment cannot be found by a worker.
        ParameterError
            When the parameters do not fit together or cannot be written as JSON.
        """
        experiment.check()
        _check_discovered(type(experiment))
        job = Job(experiment.to_dict(), Store(), label=label, owner=owner, ask_to_stop=self._cancel)
        with self._lock:
            self._check_limits(owner)
            self._forget_old()
            self._jobs[job.id] = job
        job.tell("waiting for a worker" if self.ready else "starting the worker processes")
        self._later(lambda: self._dispatch(job))
        return job

    def get(self, job_id: str) -> Job:
        """Return a job by its id; after a restart of the server, the finished job of a stored run.

        Raises
        ------
        UnknownJob
            When there is neither; near misses are named.
        """
        job = self._jobs.get(job_id)
        if job is not None:
            return job
        stored = Store().listing(job_id=job_id, limit=1) if job_id else []
        if stored:
            return Job.of_run(stored[0], Store())
        hint = near_miss(str(job_id), list(self._jobs)).strip() or "See explorer.results.listing()."
        raise UnknownJob(say("jobs.id", job_id, "there is no such job", f"{len(self._jobs)} jobs here", hint))

    def jobs(self, owner: str | None = None) -> list[Job]:
        """Return the jobs of this server process, newest first; of one owner where given."""
        with self._lock:
            known = list(self._jobs.values())
        return [j for j in reversed(known) if owner is None or j.owner == owner]

    def shutdown(self) -> None:
        """Cancel what is unfinished and end all worker processes; the runner cannot be used again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            thread, unfinished = self._thread, [j for j in self._jobs.values() if not j.finished]
        for job in unfinished:
            job.finish("cancelled", message="the server was stopped")
        self._todo.put(None)
        if thread is not None:
            thread.join()
        atexit.unregister(self.shutdown)

    # Everything below _work runs in the one thread that talks to the scheduler.

    def _later(self, work: Callable[[], None]) -> None:
        with self._lock:
            if self._closed:
                raise JobError("JobRunner: it was shut down. Ask explorer.jobs.runner() for a new one.")
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="ohmscape-jobs", daemon=True)
                self._thread.start()
        self._todo.put(work)

    def _work(self) -> None:
        while True:
            try:
                work = self._todo.get(timeout=_LOOK_S if self._handed else None)
            except queue.Empty:
                work = self._look
            if work is None:
                break
            try:
                work()
            except Exception:
                log.exception("the job thread goes on after an error")
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def _warm(self) -> None:
        try:
            self._started()
        except JobError as err:
            if not self._closed:
                log.error("%s", err)

    def _started(self) -> Cluster:
        if self._cluster is not None and not self._cluster.is_alive:
            self._start_again()
        if self._cluster is None:
            from explorer.jobs.cluster import Cluster, default_workers

            # Registered after the handlers of Dask and multiprocessing, so run before them: those wait for
            # worker processes that nobody has told to end.
            atexit.register(self.shutdown)
            count = self.workers or default_workers()
            topic = f"ohmscape-{uuid.uuid4().hex}"
            self._cluster = Cluster(self.address, count, topic, self._on_event, nice=self.nice, threads=self.threads)
        return self._cluster

    def _dispatch(self, job: Job) -> None:
        if job.finished:  # cancelled, or the server ends
            return
        try:
            cluster = self._started()
            job.tell("waiting for a worker")
            future = cluster.submit(f"{job.id}-{job.attempt}", self._request(cluster, job))
        except Exception as err:
            if job.finish("failed", error=_not_handed(job, err), message="failed"):
                log.error("%s", job.error)
            return
        self._handed[job.id] = (job, future)

    def _look(self) -> None:
        """See which jobs have ended; a future's own callbacks would need a thread that is gone at exit."""
        for job, future in list(self._handed.values()):
            if future.status != "pending":
                self._settle(job, future)
            else:
                self._end_if_deaf(job)
        if self._handed and self._cluster is not None and not self._cluster.is_alive:
            self._start_again()

    def _start_again(self) -> None:
        """Give up a cluster without workers; what waited there is handed to a new one."""
        log.error("the worker processes are gone and did not come back; new ones are started")
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None
        handed, self._handed = list(self._handed.values()), {}
        for job, _ in handed:
            self._hand_in_again(job)

    def _request(self, cluster: Cluster, job: Job) -> dict[str, Any]:
        return {
            "job": job.id,
            "experiment": json.dumps(job.written, allow_nan=False),
            "folder": str(job.store.folder) if self.keep else None,
            "label": job.label,
            "topic": cluster.topic,
            "cancel": _cancel_event(job),
        }

    def _on_event(self, message: dict[str, Any]) -> None:
        """Take a message of a worker; called in the client's thread."""
        job = self._jobs.get(message["job"])
        if job is None:
            return
        if "pid" in message:
            job.begin(message["pid"])
        else:
            job.report(message["fraction"], message["message"], list(message["events"]))

    def _settle(self, job: Job, future: Future) -> None:
        del self._handed[job.id]
        if future.status == "finished":
            self._conclude(job, future.result())
        else:
            self._hand_in_again(job)

    def _hand_in_again(self, job: Job) -> None:
        """Save a job that only waited on a worker that died; one that had begun is lost."""
        if job.state == "queued" and job.attempt + 1 < _ATTEMPTS:
            job.attempt += 1
            self._dispatch(job)
        else:
            self._lost(job)

    def _conclude(self, job: Job, outcome: dict[str, Any]) -> None:
        state, error = outcome["state"], outcome.get("error")
        kept = outcome.get("dataset")
        if "data" in outcome:
            from explorer.results.netcdf import from_bytes

            kept = from_bytes(outcome["data"])
        trace = outcome.get("traceback")
        message = {"done": "finished", "failed": "failed", "cancelled": "cancelled"}[state]
        job.finish(state, kept=kept, error=error, traceback=trace, run_id=outcome.get("run_id"), message=message)
        if error:
            log.error("job %s: %s%s", job.id, error, f"\n{trace}" if trace else "")

    def _lost(self, job: Job) -> None:
        """The worker, or the scheduler, is gone and so is the job."""
        if job.cancel_asked is not None:
            job.finish("cancelled", message="cancelled")
            return
        pid = job.status.pid
        error = (
            f"{job.experiment_class}: the worker process{f' {pid}' if pid else ''} ended while the job ran "
            "(killed, out of memory, or crashed). Start the job again; if that repeats, make it smaller."
        )
        if job.finish("failed", error=error, message="failed"):
            log.error("job %s: %s", job.id, error)

    def _cancel(self, job: Job) -> None:
        """Stop a job; called by `Job.cancel` in the caller's thread."""
        if job.cancel_asked is not None:
            return
        job.cancel_asked = time.monotonic()
        if job.state == "queued":
            job.finish("cancelled", message="cancelled")
        else:
            job.tell("stopping")
        self._todo.put(lambda: self._stop(job))

    def _stop(self, job: Job) -> None:
        if self._cluster is None or job.id not in self._handed:
            return
        self._cluster.ask_to_stop(_cancel_event(job))
        if job.status.pid is None:  # still waiting: the scheduler drops it
            self._handed.pop(job.id)[1].cancel()

    def _end_if_deaf(self, job: Job) -> None:
        """End the process of a job that does not look at its progress, so that a cancel always works."""
        if job.cancel_asked is None or time.monotonic() - job.cancel_asked < GRACE_S:
            return
        pid = job.status.pid
        if pid is not None and self._cluster is not None and self._cluster.end_process(pid):
            log.warning("job %s: did not stop within %g s; its process %d was ended", job.id, GRACE_S, pid)

    def _check_limits(self, owner: str | None) -> None:
        active = [j for j in self._jobs.values() if not j.finished]
        if len(active) >= self.max_active:
            raise JobLimit(
                f"jobs.active = {len(active)}: no more jobs are taken now (allowed: {self.max_active}). "
                "Wait for one to finish, or cancel one."
            )
        own = sum(1 for j in active if j.owner == owner)
        if owner is not None and own >= self.max_per_owner:
            raise JobLimit(
                f"jobs.active = {own}: you have too many unfinished jobs (allowed: {self.max_per_owner}). "
                "Wait for one to finish, or cancel one."
            )

    def _forget_old(self) -> None:
        over = [j for j in self._jobs.values() if j.finished]
        for job in over[: max(0, len(over) - _REMEMBERED)]:
            del self._jobs[job.id]  # its run is in the results


def _not_handed(job: Job, err: Exception) -> str:
    if isinstance(err, JobError):
        return str(err)
    why = f"{type(err).__name__}: {' '.join(str(err).split())}"
    return f"{job.experiment_class}: could not be handed to a worker ({why}). Submit it again."


def _cancel_event(job: Job) -> str:
    return f"ohmscape-cancel-{job.id}"


def _check_discovered(cls: type[Experiment]) -> None:
    if classes().get(cls.__name__) is not cls:
        raise JobError(
            f"jobs.experiment = {cls.__module__}.{cls.__qualname__}: a worker process cannot find this class "
            "(allowed: modules of explorer.experiments and of packages with the entry point group "
            "ohmscape.experiments). Move it into one, or call run() here."
        )
