# SPDX-License-Identifier: Apache-2.0
"""What runs inside a worker process. Only JSON comes in, only plain values go out.

The task never raises through the scheduler: an exception of another package may not survive
pickling, and a retry by the scheduler would start a long training again.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from distributed import Event, Worker, WorkerPlugin, get_client, get_worker

from engine.errors import OhmscapeError, ParameterError
from explorer.experiments import Cancelled, Experiment, classes
from explorer.experiments.base import check_fraction
from explorer.experiments.provenance import package_version
from explorer.results import SaveFailed, Store
from explorer.results.netcdf import to_bytes

log = logging.getLogger("explorer.jobs")

INTERVAL_S = 0.2
MAX_PAYLOAD_BYTES = 64 * 1024
_MAX_PENDING = 200


class WarmWorker(WorkerPlugin):
    """Prepares a worker process once: everything imported, number of torch threads, low priority.

    Parameters
    ----------
    nice : int
        Added to the niceness, so that the server process stays responsive; 0 on foreign machines.
    threads : int
        Torch threads. One where workers share the cores: for most networks a second one costs more than it brings.
    """

    name = "ohmscape-warm"
    idempotent = True

    def __init__(self, nice: int, threads: int = 1):
        self.nice, self.threads = nice, threads

    def setup(self, worker: Worker) -> None:
        """Run in the worker process before it takes tasks."""
        import torch

        torch.set_num_threads(self.threads)
        for cls in classes().values():
            _prepare(cls)
        to_bytes(xr.Dataset({"n": ((), 0.0)}))  # brings in the file format
        if self.nice and hasattr(os, "nice"):
            os.nice(self.nice)  # last: on a busy machine the imports alone would take minutes at low priority


def _prepare(cls: type[Experiment]) -> None:
    try:
        cls.prepare()
    except Exception:  # one experiment must not keep the others from running; its own run will tell the user
        log.exception("%s.prepare failed in a worker process", cls.__name__)


def version() -> str:
    """Return the package version this worker would run."""
    return package_version()


def plain(value: Any) -> Any:
    """Return a payload value as plain Python data, or raise `ParameterError`."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if value is None or isinstance(value, bool | float | str) or _is_int64(value):
        return value
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    raise ParameterError(
        f"progress.payload = {type(value).__name__}: cannot be sent (allowed: 64-bit numbers, text, "
        "lists, dicts, arrays). Convert it, a tensor with .tolist()."
    )


def _is_int64(value: Any) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


class Reporter:
    """The progress of a job: collects reports, sends them five times a second, watches for a cancel.

    Sending and watching happen in one thread, so a report costs the experiment next to nothing,
    the last report before a long silence is sent too, and none is lost.

    Parameters
    ----------
    send : callable
        Takes one plain dict.
    cancel_asked : callable
        Returns whether the user asked for a stop; may take some milliseconds.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], cancel_asked: Callable[[], bool]):
        self._send, self._cancel_asked = send, cancel_asked
        self._lock = threading.Lock()
        self._latest: tuple[float, str] | None = None
        self._events: list[dict[str, Any]] = []
        self._cancelled = threading.Event()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ohmscape-report", daemon=True)
        self._thread.start()

    def __call__(self, fraction: float, message: str = "", **payload: Any) -> None:
        fraction = check_fraction(fraction)
        event = plain(payload)
        if len(json.dumps(event)) > MAX_PAYLOAD_BYTES:
            raise ParameterError(
                f"progress.payload: more than {MAX_PAYLOAD_BYTES} bytes (allowed: small numbers and lists). "
                "Send a summary; the dataset holds the rest."
            )
        with self._lock:
            self._latest = (fraction, message)
            if event:
                self._events.append(event)
            full = len(self._events) >= _MAX_PENDING
        if full:
            self._flush()
        self.stop_if_asked()

    def stop_if_asked(self) -> None:
        """Raise `Cancelled` when the user has asked for a stop."""
        if self._cancelled.is_set():
            raise Cancelled("The job was cancelled.")

    def close(self) -> None:
        """Send what is left and end the thread."""
        self._closed.set()
        self._thread.join()
        self._flush()

    def _watch(self) -> None:
        while not self._closed.wait(INTERVAL_S):
            self._flush()
            try:
                if not self._cancelled.is_set() and self._cancel_asked():
                    self._cancelled.set()
            except Exception:  # the scheduler does not answer now; without it this process ends anyway
                continue

    def _flush(self) -> None:
        with self._lock:
            latest, events = self._latest, self._events
            self._latest, self._events = None, []
            if latest is not None:
                self._send({"fraction": latest[0], "message": latest[1], "events": events})


def execute(request: dict[str, Any]) -> dict[str, Any]:
    """Run one job: rebuild the experiment from its dict, run it, store the result.

    Parameters
    ----------
    request : dict
        ``job``, ``experiment`` (JSON text), ``folder`` (None: the result is not stored), ``label``, ``topic``,
        ``cancel`` (name of the event).

    Returns
    -------
    dict
        ``state`` (``done``, ``failed``, ``cancelled``) with ``run_id``, ``error``, ``traceback`` where they
        apply, and when the result was not stored ``dataset``, or where it could not be ``data`` (netCDF bytes).
    """
    worker = get_worker()

    def send(message: dict[str, Any]) -> None:
        worker.log_event(request["topic"], {"job": request["job"], **message})

    send({"pid": os.getpid()})
    reporter = Reporter(send, Event(request["cancel"], client=get_client()).is_set)
    written = json.loads(request["experiment"])
    try:
        return _run_and_save(written, request, reporter)
    except Cancelled:
        return {"state": "cancelled"}
    except OhmscapeError as err:
        return {"state": "failed", "error": one_line(err), "traceback": traceback.format_exc()}
    except MemoryError:
        text = f"{written['class']}: not enough memory. Make it smaller (fewer devices, points or epochs)."
        return {"state": "failed", "error": text, "traceback": traceback.format_exc()}
    except (Exception, SystemExit) as err:
        text = f"{written['class']} stopped with an error: {type(err).__name__}: {one_line(err)}"
        return {"state": "failed", "error": text, "traceback": traceback.format_exc()}
    finally:
        reporter.close()


def _run_and_save(written: dict[str, Any], request: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    experiment = Experiment.from_dict(written)
    ds = experiment.run(reporter)
    reporter.stop_if_asked()
    if request["folder"] is None:
        return {"state": "done", "dataset": ds}
    try:
        info = Store(request["folder"]).save(ds, experiment, label=request["label"], job_id=request["job"])
    except SaveFailed as err:
        return {"state": "done", "error": one_line(err), "data": to_bytes(ds)}
    return {"state": "done", "run_id": info.run_id}


def one_line(err: BaseException) -> str:
    """Return the text of an exception on one line of bearable length."""
    text = " ".join(str(err).split()) or type(err).__name__
    return text if len(text) <= 500 else text[:497] + "..."
