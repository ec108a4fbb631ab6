# SPDX-License-Identifier: Apache-2.0
"""Results that stay: saved in one step, found again, checked when read.

The functions work on the user's own store (``OHMSCAPE_HOME``, else the user's data folder);
`Store` does the same below any folder.
"""

from __future__ import annotations

import xarray as xr

from explorer.experiments import Experiment
from explorer.results.record import CorruptRun, ResultError, RunInfo, SaveFailed, UnknownRun
from explorer.results.store import Store, home

__all__ = [
    "CorruptRun",
    "ResultError",
    "RunInfo",
    "SaveFailed",
    "Store",
    "UnknownRun",
    "delete",
    "find",
    "home",
    "info",
    "listing",
    "load",
    "save",
]


def save(ds: xr.Dataset, experiment: Experiment, *, label: str = "", job_id: str = "") -> RunInfo:
    """Store the result of an experiment; see `Store.save`."""
    return Store().save(ds, experiment, label=label, job_id=job_id)


def load(run_id: str) -> xr.Dataset:
    """Return the data of a run; see `Store.load`."""
    return Store().load(run_id)


def info(run_id: str) -> RunInfo:
    """Return what is known of a run; see `Store.info`."""
    return Store().info(run_id)


def listing(
    *,
    experiment_class: str | None = None,
    label: str | None = None,
    job_id: str | None = None,
    content_id: str | None = None,
    limit: int | None = None,
) -> list[RunInfo]:
    """Return the stored runs, newest first; see `Store.listing`."""
    return Store().listing(
        experiment_class=experiment_class, label=label, job_id=job_id, content_id=content_id, limit=limit
    )


def find(experiment: Experiment) -> RunInfo | None:
    """Return the newest run of an equal experiment, or None; see `Store.find`."""
    return Store().find(experiment)


def delete(run_id: str) -> None:
    """Remove a run from the disk; see `Store.delete`."""
    Store().delete(run_id)
