# SPDX-License-Identifier: Apache-2.0
"""The peer's end: runs in its own environment, takes one JSON request a line, gives one JSON answer a line.

Arrays travel as .npy files in a folder given by the caller. Nothing of the engine is imported here.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from aihwkit.simulator.configs import SingleRPUConfig
from aihwkit.simulator.configs import devices as peer_devices
from aihwkit.simulator.parameters import IOParameters
from aihwkit.simulator.parameters.enums import WeightNoiseType
from aihwkit.simulator.tiles import AnalogTile
from aihwkit.version import __version__

from bench.meters import clock, growth

Arrays = dict[str, np.ndarray]


class Lacks(Exception):
    """The peer has nothing of that name."""


def device_of(settings: dict[str, Any]) -> Any:
    """Return the peer's device of that class with those parameters; what it does not know must be idle."""
    cls = getattr(peer_devices, settings["class"], None)
    if cls is None or not issubclass(cls, peer_devices.PulsedDevice | peer_devices.IdealDevice):
        raise Lacks(f"aihwkit has no device {settings['class']} for an analog tile")
    device, unknown = cls(), []
    for name, value in settings["parameters"].items():
        if hasattr(device, name):
            setattr(device, name, value)
        elif name not in settings["idle"]:
            unknown.append(name)
    if unknown:
        raise Lacks(f"aihwkit's {settings['class']} has no parameter {', '.join(unknown)}")
    return device


def tile_of(settings: dict[str, Any], arrays: Arrays) -> AnalogTile:
    """Return a new tile with the given per-device values and weights; its noise is drawn anew."""
    config = SingleRPUConfig(device=device_of(settings["device"]))
    for name, value in settings.get("update", {}).items():
        setattr(config.update, name, value)
    for way in ("forward", "backward"):
        setattr(config, way, periphery_of(settings.get(way, {"is_perfect": True})))
    tile = AnalogTile(*settings["shape"], config, bias=False)
    drawn = tile.get_hidden_parameters()
    cells = {name.removeprefix("cell."): a for name, a in arrays.items() if name.startswith("cell.")}
    if cells:
        for name in drawn:
            drawn[name] = torch.from_numpy(cells[name])
        tile.set_hidden_parameters(drawn)
    set_weights(tile, arrays)
    return tile


def periphery_of(values: dict[str, Any]) -> IOParameters:
    """Return the peer's converters and noise; its bound management is on by default, as ours is."""
    periphery = IOParameters()
    for name, value in values.items():
        setattr(periphery, name, value)
    if periphery.w_noise > 0:
        periphery.w_noise_type = WeightNoiseType.ADDITIVE_CONSTANT
    return periphery


def set_weights(tile: AnalogTile, arrays: Arrays) -> None:
    """Write the weights that the job starts from."""
    if "weights" in arrays:
        tile.set_weights(torch.from_numpy(arrays["weights"]))


def read_weights(tile: AnalogTile) -> np.ndarray:
    """Return the tile's weights ``(out, in)``."""
    return tile.get_weights()[0].numpy()


class Update:
    """Pulsed updates of one batch; the result is the change of the weights."""

    def __init__(self, settings: dict[str, Any], arrays: Arrays):
        self.settings, self.arrays = settings, arrays
        self.x, self.d = (torch.from_numpy(arrays[n]) for n in ("x", "d"))

    def prepare(self) -> None:
        """Build a tile and warm it up."""
        self.tile = tile_of(self.settings, self.arrays)
        self.tile.set_learning_rate(self.settings["lr"])
        self.call()
        set_weights(self.tile, self.arrays)

    def call(self) -> None:
        """Do what is timed."""
        self.tile.update(self.x, self.d)

    def result(self) -> np.ndarray:
        """Return the change of the weights ``(out, in)``."""
        return read_weights(self.tile) - self.arrays["weights"]


class Response:
    """A pulse response read after every pulse, one update a pulse as the peer's own tools do it."""

    def __init__(self, settings: dict[str, Any], arrays: Arrays):
        self.settings, self.arrays = settings, arrays
        # One slot, probabilities above one: every update is exactly one pulse, of the sign of d.
        self.settings["update"] = {"desired_bl": 1, "update_bl_management": False, "update_management": False}
        out, in_ = settings["shape"]
        self.x = torch.full((1, in_), -1.0)
        self.errors = {way: torch.full((1, out), float(way)) for way in (1, -1)}

    def prepare(self) -> None:
        """Build a tile and warm it up."""
        self.tile = tile_of(self.settings, self.arrays)
        self.tile.set_learning_rate(1.0)
        self.pulse(1)
        set_weights(self.tile, self.arrays)

    def pulse(self, direction: int) -> np.ndarray:
        """Pulse every device once and read them all."""
        self.tile.update(self.x, self.errors[direction])
        return read_weights(self.tile)

    def call(self) -> None:
        """Do what is timed."""
        self.trace = [self.pulse(int(direction)) for direction in self.arrays["directions"]]

    def result(self) -> np.ndarray:
        """Return the states at the turning point and at the end ``(2, devices)``."""
        return np.stack([self.trace[k].ravel() for k in self.settings["reads"]])


class Mvm:
    """Products with the weights through converters and noise; the result is the output."""

    def __init__(self, settings: dict[str, Any], arrays: Arrays):
        self.settings, self.arrays = settings, arrays
        self.v = torch.from_numpy(arrays["v"])

    def prepare(self) -> None:
        """Build a tile and warm it up."""
        self.tile = tile_of(self.settings, self.arrays)
        self.product = self.tile.backward if self.settings["way"] == "backward" else self.tile.forward
        self.call()

    def call(self) -> None:
        """Do what is timed."""
        with torch.no_grad():
            self.output = self.product(self.v)

    def result(self) -> np.ndarray:
        """Return the output ``(batch, out or in)``."""
        return self.output.numpy()


class Construct:
    """Making a tile, its devices drawn; the result is the devices' up steps."""

    def __init__(self, settings: dict[str, Any], arrays: Arrays):
        self.settings, self.arrays = settings, arrays
        self.config = SingleRPUConfig(device=device_of(settings["device"]))

    def prepare(self) -> None:
        """Nothing to prepare: the tile of the last repetition goes when the next one stands."""

    def call(self) -> None:
        """Do what is timed."""
        self.tile = AnalogTile(*self.settings["shape"], self.config, bias=False)

    def result(self) -> np.ndarray:
        """Return the devices' up steps ``(out, in)``."""
        return self.tile.get_hidden_parameters()["dwmin_up"].numpy()


class Fit:
    """A fit of measured readings by the peer's own fitter; the result is the parameters in the order of the search."""

    def __init__(self, settings: dict[str, Any], arrays: Arrays):
        self.settings, self.arrays = settings, arrays
        try:
            from aihwkit.utils.fitting import fit_measurements
        except ImportError as missing:
            raise Lacks(f"aihwkit's fitter cannot be imported ({missing}). Run make bench-peer") from missing
        self.fitter = fit_measurements
        self.search = {name: tuple(numbers) for name, numbers in settings["search"].items()}
        self.device = device_of(settings["device"])

    def prepare(self) -> None:
        """Nothing to prepare: a fit keeps nothing between calls."""

    def call(self) -> None:
        """Do what is timed."""
        data = self.arrays["pulses"], self.arrays["responses"]
        self.found = self.fitter(self.search, *data, self.device, method=self.settings["method"])[0]

    def result(self) -> np.ndarray:
        """Return the parameters."""
        return np.array([self.found.params[name].value for name in self.search])


def memory(settings: dict[str, Any]) -> dict[str, float]:
    """Return by how much the process grows with one tile, bytes."""
    config = SingleRPUConfig(device=device_of(settings["device"]))
    AnalogTile(8, 8, config, bias=False)  # what is allocated once
    return {"bytes": growth(lambda: AnalogTile(*settings["shape"], config, bias=False))}


OPERATIONS: dict[str, Callable] = {
    "update": Update, "response": Response, "mvm": Mvm, "construct": Construct, "fit": Fit,
}  # fmt: skip


class Server:
    """Answers requests; keeps the job that was opened last."""

    def __init__(self, folder: Path):
        self.folder, self.job = folder, None

    def describe(self, _: dict[str, Any]) -> dict[str, Any]:
        """Return versions and threads."""
        return {"peer": f"aihwkit {__version__}", "torch": torch.__version__, "threads": torch.get_num_threads()}

    def open(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take over a job and its arrays."""
        settings = request["settings"]
        arrays = {name: np.load(self.folder / f"{name}.npy") for name in request["arrays"]}
        device_of(settings["device"])
        self.job = OPERATIONS[settings["op"]](settings, arrays)
        return {}

    def run(self, _: dict[str, Any]) -> dict[str, Any]:
        """Prepare, time one call, save its result."""
        self.job.prepare()
        time.sleep(self.job.settings.get("pause_s", 0.0))  # threads of the preparation spin on for a while
        clocked = clock(self.job.call)
        np.save(self.folder / "result.npy", self.job.result())
        return {**clocked._asdict(), "result": "result"}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Run what is no timing."""
        return memory(request["settings"])


def main() -> None:
    """Serve until the caller closes the pipe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    # Whatever the peer prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    server = Server(options.folder)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(server, request["do"])(request)
        except Lacks as problem:
            answer = {"lacks": str(problem)}
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
