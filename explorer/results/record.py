# SPDX-License-Identifier: Apache-2.0
"""What is known of a stored run without opening its data, and what can go wrong with it."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import OhmscapeError

SCHEMA = 1
_RUN_ID = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}")


class ResultError(OhmscapeError):
    """A result cannot be written or read; the text says why and what to do."""


class SaveFailed(ResultError):
    """The disk refused a result (full, no permission); the dataset in memory is untouched."""


class UnknownRun(ResultError, LookupError):
    """There is no run of that id."""


class CorruptRun(ResultError):
    """The files of a run are damaged."""


def is_run_id(text: str) -> bool:
    """Return whether ``text`` has the form of a run id (it may come from a link: never a path)."""
    return isinstance(text, str) and _RUN_ID.fullmatch(text) is not None


@dataclass(frozen=True)
class RunInfo:
    """One stored run.

    Attributes
    ----------
    run_id : str
        Names the folder: 12 digits of the experiment, 8 of everything in the run.
    content_id : str
        `Experiment.content_id`: equal for equal parameters and package version.
    experiment_class, experiment
        Class name, and the dict `Experiment.from_dict` takes.
    label, job_id : str
        The user's words and the job it came from; may be empty.
    seed : int
    started, finished : str
        ISO 8601, UTC.
    wall_time_s : float
    ohmscape_version : str
    size_bytes : int
        Size of the data file.
    sha256 : str
        Checksum of the data file.
    folder : Path
        Where the files are.
    """

    run_id: str
    content_id: str
    experiment_class: str
    experiment: dict[str, Any]
    label: str
    job_id: str
    seed: int
    started: str
    finished: str
    wall_time_s: float
    ohmscape_version: str
    size_bytes: int
    sha256: str
    folder: Path

    def to_record(self) -> dict[str, Any]:
        """Return the JSON-ready content of ``run.json``."""
        known = dataclasses.asdict(self)
        del known["folder"]
        return {"schema": SCHEMA, **known}

    @classmethod
    def from_record(cls, record: dict[str, Any], root: Path) -> RunInfo:
        """Rebuild from ``run.json``; raises `CorruptRun` when something is missing."""
        known = {f.name for f in dataclasses.fields(cls)} - {"folder"}
        if not isinstance(record, dict) or record.get("schema") != SCHEMA or not known <= set(record):
            raise CorruptRun("run.json: is damaged or of another version. Delete the run or restore it.")
        return cls(**{n: record[n] for n in known}, folder=root / record["run_id"])
