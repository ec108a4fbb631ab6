# SPDX-License-Identifier: Apache-2.0
"""Runs on disk: one folder each, complete or not there at all.

``<home>/runs/<run_id>/data.nc`` holds the data, ``run.json`` what is known of it. A folder is
written under a temporary name and renamed when everything is on the disk.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import time
import uuid
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import xarray as xr

from engine.errors import near_miss, say
from explorer.experiments import Experiment
from explorer.home import home
from explorer.results import netcdf
from explorer.results.index import Index
from explorer.results.record import CorruptRun, ResultError, RunInfo, SaveFailed, UnknownRun, is_run_id

_TEMPORARY = ".unfinished-"
_ABANDONED_S = 24 * 3600.0  # nobody writes one run for a day
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Store:
    """The runs below one folder.

    Parameters
    ----------
    folder : Path, optional
        Made when the first run is saved; ``home() / "runs"`` by default.
    """

    def __init__(self, folder: Path | None = None):
        self.folder = Path(folder) if folder is not None else home() / "runs"

    def save(self, ds: xr.Dataset, experiment: Experiment, *, label: str = "", job_id: str = "") -> RunInfo:
        """Store the result of an experiment; storing the same result again changes nothing.

        Parameters
        ----------
        ds : xarray.Dataset
            What ``experiment.run()`` returned (variables may have been added).
        experiment : Experiment
            The experiment it came from, with unchanged parameters.
        label : str
            The user's words for it.
        job_id : str
            The job it came from.

        Raises
        ------
        SaveFailed
            When the disk is full or cannot be written; ``ds`` is untouched and nothing half-written stays.
        ResultError
            When ``ds`` does not come from ``experiment`` or holds what a file cannot.
        """
        _check_origin(ds, experiment)
        data = netcdf.to_bytes(ds)
        info = self._describe(ds, data, label, job_id)
        try:
            self._write(info, data)
        except OSError as err:
            raise SaveFailed(_refusal(self.folder, err, len(data))) from err
        info = self._read_info(info.run_id)  # of the first time, when it was there already
        with suppress(ResultError):  # the run is safe in its folder; the next listing mends the index
            self._index().add([info.to_record()])
        return info

    def load(self, run_id: str) -> xr.Dataset:
        """Return the data of a run, with its provenance in the attributes.

        Raises
        ------
        UnknownRun
            When there is no such run; near misses are named.
        CorruptRun
            When the file was changed or damaged since it was written.
        """
        return netcdf.from_bytes(_checked_data(self.info(run_id)))

    def info(self, run_id: str) -> RunInfo:
        """Return what is known of a run; raises `UnknownRun` or `CorruptRun`."""
        if not is_run_id(run_id) or not (self.folder / run_id).is_dir():
            known = self._run_ids()
            hint = near_miss(str(run_id), known).strip() or "See explorer.results.listing()."
            raise UnknownRun(
                say(
                    "results.run_id",
                    run_id,
                    "there is no such run",
                    f"{len(known)} runs in {self.folder}",
                    hint,
                )
            )
        return self._read_info(run_id)

    def listing(
        self,
        *,
        experiment_class: str | None = None,
        label: str | None = None,
        job_id: str | None = None,
        content_id: str | None = None,
        limit: int | None = None,
    ) -> list[RunInfo]:
        """Return the stored runs, newest first; each argument keeps only the runs that equal it."""
        if not self.folder.is_dir():
            return []
        index = self._index()
        self._refresh(index)
        asked = {
            "experiment_class": experiment_class, "label": label, "job_id": job_id, "content_id": content_id,
        }  # fmt: skip
        chosen = index.records(limit, **{k: v for k, v in asked.items() if v is not None})
        return [RunInfo.from_record(r, self.folder) for r in chosen]

    def find(self, experiment: Experiment) -> RunInfo | None:
        """Return the newest run of an equal experiment by this package version, or None."""
        return next(iter(self.listing(content_id=experiment.content_id, limit=1)), None)

    def delete(self, run_id: str) -> None:
        """Remove a run from the disk; raises `UnknownRun` or `SaveFailed`."""
        if not is_run_id(run_id) or not (self.folder / run_id).is_dir():
            self.info(run_id)
        doomed = self._temporary()
        try:
            (self.folder / run_id).rename(doomed)  # first out of sight, then piece by piece
            shutil.rmtree(doomed)
        except OSError as err:
            raise SaveFailed(
                f"results.run_id = '{run_id}': cannot be deleted ({err.strerror}). Check the folder {self.folder}."
            ) from err
        with suppress(ResultError):
            self._index().remove([run_id])

    def _describe(self, ds: xr.Dataset, data: bytes, label: str, job_id: str) -> RunInfo:
        a = ds.attrs
        sha256 = hashlib.sha256(data).hexdigest()
        whole = hashlib.sha256(json.dumps([_digest(ds), label, job_id]).encode()).hexdigest()
        run_id = f"{a['content_id'][:12]}-{whole[:8]}"
        return RunInfo(
            run_id=run_id, content_id=a["content_id"], experiment_class=a["experiment_class"],
            experiment=json.loads(a["experiment"]), label=label, job_id=job_id, seed=a["seed"],
            started=a["started"], finished=a["finished"], wall_time_s=a["wall_time_s"],
            ohmscape_version=a["ohmscape_version"], size_bytes=len(data), sha256=sha256,
            folder=self.folder / run_id,
        )  # fmt: skip

    def _write(self, info: RunInfo, data: bytes) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        temporary = self._temporary()
        try:
            temporary.mkdir()
            _write_file(temporary / "data.nc", data)
            _write_file(temporary / "run.json", json.dumps(info.to_record(), indent=1).encode())
            self._publish(temporary, info)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def _publish(self, temporary: Path, info: RunInfo) -> None:
        try:
            temporary.rename(info.folder)
        except OSError:
            if not info.folder.is_dir():
                raise
            if self._intact(info.run_id):
                return  # the id names the content: this run is there already
            replaced = self._temporary()
            info.folder.rename(replaced)
            temporary.rename(info.folder)
            shutil.rmtree(replaced, ignore_errors=True)

    def _intact(self, run_id: str) -> bool:
        try:
            _checked_data(self._read_info(run_id))
        except CorruptRun:
            return False
        return True

    def _temporary(self) -> Path:
        return self.folder / f"{_TEMPORARY}{uuid.uuid4().hex}"

    def _sweep(self) -> None:
        """Remove what a killed process left half-written."""
        for left in self.folder.glob(f"{_TEMPORARY}*"):
            try:
                old = time.time() - left.stat().st_mtime > _ABANDONED_S
            except FileNotFoundError:  # its writer has just renamed it
                continue
            if old:
                shutil.rmtree(left, ignore_errors=True)

    def _index(self) -> Index:
        return Index(self.folder / "index.sqlite")

    def _run_ids(self) -> set[str]:
        if not self.folder.is_dir():
            return set()
        with os.scandir(self.folder) as entries:
            return {e.name for e in entries if is_run_id(e.name)}

    def _refresh(self, index: Index) -> None:
        """Bring the index in line with the folders, which are the truth."""
        there, indexed = self._run_ids(), index.run_ids()
        if gone := indexed - there:
            index.remove(sorted(gone))
        records = []
        for run_id in sorted(there - indexed):
            try:
                records.append(self._read_info(run_id).to_record())
            except CorruptRun as err:
                warnings.warn(str(err), stacklevel=3)
        if records:
            index.add(records)

    def _read_info(self, run_id: str) -> RunInfo:
        folder = self.folder / run_id
        try:
            record: Any = json.loads((folder / "run.json").read_bytes())
            return RunInfo.from_record(record, self.folder)
        except OSError as err:
            raise CorruptRun(_damage(folder, f"run.json cannot be read ({err.strerror})")) from err
        except (ValueError, CorruptRun) as err:
            raise CorruptRun(_damage(folder, "run.json is not the file that was written")) from err


def _check_origin(ds: xr.Dataset, experiment: Experiment) -> None:
    written = ds.attrs.get("experiment")
    if written is None:
        raise ResultError(
            "results.save: the dataset has no provenance (allowed: what an experiment's run() returned). "
            "Use run(), and keep the attributes when you change the data."
        )
    if json.loads(written) != experiment.to_dict():
        raise ResultError(
            f"results.save: the dataset comes from other parameters than this {type(experiment).__name__} "
            "has now (allowed: the experiment as it was run). Save with "
            "Experiment.from_dict(json.loads(ds.attrs['experiment']))."
        )


def _digest(ds: xr.Dataset) -> str:
    """Return a checksum of names, axes, attributes and values (netCDF bytes may differ for equal data)."""
    total = hashlib.sha256(json.dumps(ds.attrs, sort_keys=True, default=str).encode())
    for name in sorted(ds.variables, key=str):
        v = ds.variables[name]
        head = [str(name), v.dims, v.shape, str(v.dtype), v.attrs]
        total.update(json.dumps(head, sort_keys=True, default=str).encode())
        values = v.values.astype("U") if v.dtype.kind == "O" else v.values
        total.update(values.tobytes())
    return total.hexdigest()


def _checked_data(info: RunInfo) -> bytes:
    try:
        data = (info.folder / "data.nc").read_bytes()
    except OSError as err:
        raise CorruptRun(_damage(info.folder, f"data.nc cannot be read ({err.strerror})")) from err
    if hashlib.sha256(data).hexdigest() != info.sha256:
        raise CorruptRun(_damage(info.folder, "data.nc is not the file that was written"))
    return data


def _write_file(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _damage(folder: Path, what: str) -> str:
    return (
        f"results.run = '{folder}': {what}. Delete it with explorer.results.delete('{folder.name}') and run it again."
    )


def _refusal(folder: Path, err: OSError, needed: int) -> str:
    if err.errno in _FULL:
        why = f"the disk is full ({needed / 1e6:.3g} MB needed)"
    else:
        why = f"it cannot be written ({err.strerror or err})"
    return (
        f"results.folder = '{folder}': {why}. Free space there, or set OHMSCAPE_HOME to another folder, "
        "and save again; the result is still in memory."
    )
