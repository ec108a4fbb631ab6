# SPDX-License-Identifier: Apache-2.0
"""The worker processes and the line to them: a local Dask cluster, or one at an address.

Choices that were measured: spawned processes (a forked one hangs after torch used threads), bound
to the loopback address (the scheduler runs any code sent to it), no dashboard, niceness 10.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import dask
import psutil
from distributed import Client, Event, Future, LocalCluster, Status

from explorer.experiments.provenance import package_version
from explorer.jobs import worker
from explorer.jobs.errors import JobError

NICE = 10
CONNECT_S = 15.0
_DASK_LOG = logging.getLogger("distributed")
_SETTINGS = {
    "distributed.worker.multiprocessing-method": "spawn",
    "distributed.worker.daemon": False,  # data loaders may start processes of their own
    "distributed.scheduler.allowed-failures": 0,  # a job whose worker died is not started again by itself
    "distributed.scheduler.worker-ttl": None,  # a long call into C is no reason to give a worker up
    "distributed.scheduler.http.routes": [],  # nothing of a job is told over HTTP
    "distributed.worker.http.routes": [],
}


def default_workers() -> int:
    """Return the number of worker processes: ``OHMSCAPE_WORKERS``, else the cores less one, 4 at most."""
    text = os.environ.get("OHMSCAPE_WORKERS")
    if text is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(4, max(1, cores - 1))
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise JobError(
            f"OHMSCAPE_WORKERS = {text!r}: is no number of processes (allowed: 1 to 256). Correct or unset it."
        )
    return int(text)


class Cluster:
    """A started cluster.

    Parameters
    ----------
    address : str or None
        Of a running scheduler; None starts processes on this machine.
    workers : int
        Number of processes of a local cluster; each runs one job at a time.
    on_event : callable
        Takes each message of a job; called in the client's thread.
    nice : int, optional
        Niceness of local worker processes; `NICE` by default.
    threads : int
        Torch threads of a worker process.

    Raises
    ------
    JobError
        When the processes cannot be started or the scheduler cannot be used.
    """

    def __init__(
        self,
        address: str | None,
        workers: int,
        topic: str,
        on_event: Callable[[dict[str, Any]], None],
        *,
        nice: int | None = None,
        threads: int = 1,
    ):
        _refuse_unguarded_script()
        self.topic = topic
        self._local: LocalCluster | None = None
        self._client: Any = None  # a Client once connected
        self._settings = dask.config.set(_SETTINGS) if address is None else None
        self._log_level = _DASK_LOG.level
        _DASK_LOG.setLevel(logging.CRITICAL)  # the runner says in one line what happened
        try:
            self._local = None if address else _start_local(workers)
            target = address or self._local
            self._client = Client(target, set_as_default=False, timeout=CONNECT_S, name="ohmscape-jobs")
            self._client.subscribe_topic(topic, lambda event: on_event(event[1]))
            self._client.register_plugin(worker.WarmWorker(0 if address else NICE if nice is None else nice, threads))
            if address:
                self._check_versions(address)
        except Exception as err:
            self.close()
            raise _start_error(address, err) from err

    @property
    def is_local(self) -> bool:
        """Whether the worker processes are children of this process."""
        return self._local is not None

    @property
    def is_alive(self) -> bool:
        """Whether there is, or will be, a worker to run a job; a nanny may give up restarting its worker."""
        if self._local is None:
            return self._client is not None and self._client.status in ("running", "connecting")
        return any(n.status in (Status.running, Status.starting) for n in self._local.workers.values())

    def submit(self, key: str, request: dict[str, Any]) -> Future:
        """Hand a job to the scheduler; ``worker.execute`` runs it."""
        return self._client.submit(worker.execute, request, key=key, pure=False, retries=0)

    def ask_to_stop(self, name: str) -> None:
        """Set the cancel event of a job."""
        Event(name, client=self._client).set()

    def end_process(self, pid: int) -> bool:
        """End a worker process that does not answer; return whether it was one of ours."""
        if not self.is_local:
            return False
        try:
            process = psutil.Process(pid)
            if process.ppid() != os.getpid():
                return False
            process.kill()  # its nanny starts a new one
        except psutil.NoSuchProcess:
            return False
        return True

    def _check_versions(self, address: str) -> None:
        ours = package_version()
        theirs = set(self._client.run(worker.version).values())
        if theirs - {ours}:
            raise JobError(
                f"OHMSCAPE_SCHEDULER = '{address}': its workers have ohmscape {', '.join(sorted(theirs))} "
                f"(allowed: {ours}, as here). Install the same version there."
            )

    def close(self) -> None:
        """End the connection and, of a local cluster, every process; safe to call twice."""
        client, local = self._client, self._local
        self._client = self._local = None
        if local is not None:
            _end_workers(local)
        for part in (client, local):
            # the processes are gone; Dask's own bookkeeping may fail while the interpreter ends
            with suppress(Exception):
                if part is not None:
                    part.close(timeout=5)
        if self._settings is not None:
            self._settings.__exit__(None, None, None)
            self._settings = None
        _DASK_LOG.setLevel(self._log_level)


def _start_local(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address=None,
        # without an address Dask still takes port 8787, and warns when a second server wants it too
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
    )


def _end_workers(cluster: LocalCluster) -> None:
    """End the worker processes at once: results are written in one step, so there is nothing to wait for."""
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        with suppress(psutil.NoSuchProcess):
            if nanny.pid is not None:
                psutil.Process(nanny.pid).kill()


def _refuse_unguarded_script() -> None:
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise JobError(
            "explorer.jobs: a worker process is importing your script, which starts jobs as it is imported. "
            "Put the script's calls under `if __name__ == '__main__':`, or use experiment.run()."
        )


def _start_error(address: str | None, err: Exception) -> JobError:
    if isinstance(err, JobError):
        return err
    why = f"{type(err).__name__}: {worker.one_line(err)}"
    if address:
        return JobError(
            f"OHMSCAPE_SCHEDULER = '{address}': cannot be used ({why}). Start the scheduler and its workers with "
            "ohmscape installed, or unset the variable to use this machine."
        )
    return JobError(
        f"explorer.jobs: the worker processes did not start ({why}). In a script, put the calls under "
        "`if __name__ == '__main__':`; else see the log above."
    )
