# SPDX-License-Identifier: Apache-2.0
"""Our end of the peer's process: it runs in its own environment and waits while we run, and we while it runs."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.meters import Clocked
from engine.devices import Device
from engine.tiles import Tile

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv-peer"
PYTHON = VENV / "bin" / "python"
SERVER = ("-m", "bench.peer_server")
# Our switch for the peer's habits, on in every comparison; the peer needs no switch.
_OURS_ALONE = {"peer_compat"}


class PeerError(RuntimeError):
    """The peer's process failed; carries what it said."""


class PeerLacks(Exception):
    """The peer has no such device, parameter or operation: there is nothing to compare."""


@dataclass
class PeerJob:
    """What the peer is asked to run: plain settings, and arrays by name."""

    settings: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def installed() -> bool:
    """True once `make bench-peer` has finished (it notes its stages in the environment)."""
    state = VENV / "ohmscape-environment.json"
    return state.exists() and "peer" in json.loads(state.read_text())


def device_settings(device: Device) -> dict[str, Any]:
    """Return a device as the peer finds it: class name, parameters, and which of them do nothing as they are."""
    values = device.values()
    idle = [n for n in values if n in _OURS_ALONE or values[n] == device.param[n].default]
    name = "".join(word.title() for word in device.stem().split("_"))
    return {"class": f"{name}Device", "parameters": _plain(values), "idle": idle}


def cell_arrays(tile: Tile) -> dict[str, np.ndarray]:
    """Return a tile's per-device values under the names that the peer's side looks for."""
    cells = tile.cells | {"persistent_weights": tile.hidden}
    return {f"cell.{name}": np.ascontiguousarray(values.numpy()) for name, values in cells.items()}


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}


class Peer:
    """The peer's process on a number of threads.

    Parameters
    ----------
    threads : int
        Threads of torch, OpenMP and BLAS in the peer's process.
    command : sequence of str, optional
        How to start it; by default `bench.peer_server` with the Python of ``.venv-peer``.

    Raises
    ------
    PeerError
        It does not start.
    """

    def __init__(self, threads: int, command: tuple[str, ...] = (str(PYTHON), *SERVER)):
        self._folder = tempfile.TemporaryDirectory(prefix="bench-peer-")
        number = str(threads)
        limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), number)
        self._process = subprocess.Popen(
            [*command, "--folder", self._folder.name, "--threads", number],
            cwd=ROOT,
            env=os.environ | limits,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.description = self._ask({"do": "describe"})

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process and remove its files."""
        for pipe in (self._process.stdin, self._process.stdout):
            pipe.close()
        self._process.wait()
        self._folder.cleanup()

    def open(self, job: PeerJob) -> None:
        """Hand over a job; `run` then repeats it.

        Raises
        ------
        PeerLacks
            The peer cannot do that.
        """
        for name, array in job.arrays.items():
            np.save(self._path(name), array)
        self._ask({"do": "open", "settings": job.settings, "arrays": sorted(job.arrays)})

    def run(self) -> tuple[Clocked, np.ndarray]:
        """Prepare afresh, run once, and return its time and its result."""
        answer = self._ask({"do": "run"})
        return Clocked(answer["wall_s"], answer["cpu_s"]), np.load(self._path(answer["result"]))

    def ask(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Run a job that is no timing and return its answer."""
        return self._ask({"do": "answer", "settings": settings})

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.npy"

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise PeerError(
                f"the peer's process ended ({self._process.wait()}) at {request['do']!r}; see above for why"
            )
        answer = json.loads(line)
        if "lacks" in answer:
            raise PeerLacks(answer["lacks"])
        if "error" in answer:
            raise PeerError(f"the peer's process failed at {request['do']!r}:\n{answer['error']}")
        return answer
