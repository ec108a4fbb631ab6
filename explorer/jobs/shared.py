# SPDX-License-Identifier: Apache-2.0
"""The job runners that all sessions of a process share: one of full runs, one of quick estimates."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from explorer.jobs.runner import JobRunner

QUICK_NICE = 5
"""Above full jobs (`cluster.NICE`), below the server."""
_current: dict[str, tuple[int, JobRunner]] = {}
_current_lock = threading.Lock()


def runner() -> JobRunner:
    """Return the job runner of this process, shared by all sessions; made at the first call.

    ``OHMSCAPE_SCHEDULER`` names a Dask scheduler to use instead of processes here; ``OHMSCAPE_WORKERS`` their number.
    """
    return _shared("full", lambda: JobRunner(address=os.environ.get("OHMSCAPE_SCHEDULER")))


def quick_runner() -> JobRunner:
    """Return the runner of quick estimates: a process of its own here, behind no full run; results are not stored.

    It takes all cores, four at most: somebody waits for it, and full runs are nicer.
    """
    return _shared("quick", _quick)


def _quick() -> JobRunner:
    threads = min(4, os.cpu_count() or 1)
    return JobRunner(workers=1, keep=False, nice=QUICK_NICE, threads=threads, max_active=256, max_per_owner=16)


def _shared(lane: str, make: Callable[[], JobRunner]) -> JobRunner:
    with _current_lock:
        known = _current.get(lane)
        if known is None or known[0] != os.getpid() or known[1].closed:
            _current[lane] = (os.getpid(), make())  # a forked child inherits the object but not its threads
        return _current[lane][1]


def shutdown() -> None:
    """End the job runners of this process and their workers; happens by itself at exit."""
    for one in [one for pid, one in list(_current.values()) if pid == os.getpid()]:
        one.shutdown()
