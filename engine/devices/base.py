# SPDX-License-Identifier: Apache-2.0
"""What every device model has: packing for the kernels, derived numbers, files."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from engine import ops
from engine.errors import BuildError, ParameterError, say
from engine.quantity import Model
from engine.shapes import CPU

POSITIVE = {"bounds": (0, None), "inclusive_bounds": (False, True)}
NOT_NEGATIVE = {"bounds": (0, None)}
# Nodes over the range between which a root of the step curve is interpolated: fine enough for the curve to be
# straight, coarse enough for the difference of two float32 steps to stand above its rounding.
_GRID = 1001
_DEVICE_GRID = 201
_GROUPS = [
    "Step", "Bounds", "Shape", "Reference", "Cycle-to-cycle noise", "Write noise", "Device-to-device spread", "Faults",
    "Decay and diffusion", "Reset", "Drift", "Compatibility",
]  # fmt: skip
# Values with which a process in time does nothing, where zero would not be that.
_TIME_OFF = {"drift_t_0": 1.0, "drift_wg_ratio": 1.0}


class Device(Model):
    """A resistive device at one crosspoint.

    Subclasses live one to a file, which is named as the class in small letters (``soft_bounds.py`` holds
    ``SoftBounds``), as is the physics header ``engine/csrc/devices/<stem>.h``. The names of their parameters are
    compared with the header's at import.
    """

    abstract: ClassVar[bool] = True
    title: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    pulsed: ClassVar[bool] = True

    @classmethod
    def stem(cls) -> str:
        """Return the name of the device: that of its class in small letters, ``SoftBounds`` is ``soft_bounds``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    @classmethod
    def fields(cls) -> list[str]:
        """Return the names of the parameters, group by group: what one looks at first comes first."""
        return list(_ordered_fields(cls, tuple(super().fields())))

    @classmethod
    def header(cls) -> str:
        """Return the stem of the physics header; a class that converts its parameters may use another's."""
        return cls.stem()

    @classmethod
    def compare_with_header(cls) -> None:
        """Raise `BuildError` if the parameters are not those of the compiled header."""
        built = ops.build_info()["devices"]
        if cls.header() not in built:
            raise BuildError(
                f"engine.devices.{cls.stem()}: no compiled header (built: {', '.join(built)}). "
                f"Add engine/csrc/devices/{cls.header()}.h and install again."
            )
        schema = ops.schema(cls.header())
        compiled, declared = {*schema["params"], *schema["tables"]}, set(cls.packed())
        if compiled != declared:
            raise BuildError(
                f"{cls.__name__}: parameters differ from engine/csrc/devices/{cls.header()}.h "
                f"(only there: {sorted(compiled - declared)}; only here: {sorted(declared - compiled)}). "
                "Make the names equal and install again."
            )

    @classmethod
    def packed(cls) -> list[str]:
        """Return the names of the parameters that the header reads: all but those of the processes in time."""
        elsewhere = {*ops.time_schema()["time"], *ops.time_schema()["drift"]}
        return [n for n in cls.fields() if n not in elsewhere]

    def physical_values(self) -> dict[str, Any]:
        """Return the header's parameters by name; a class with other parameters converts them here."""
        return {n: getattr(self, n) for n in self.packed()}

    def check(self) -> None:
        """Raise `ParameterError` for a number that the kernels cannot hold."""
        super().check()
        self.check_single_precision()

    def check_granularity(self) -> None:
        """Raise `ParameterError` for a device whose assumed step is lost in single precision."""
        smallest = float(np.finfo(np.float32).tiny)
        if not self.granularity >= smallest:
            raise ParameterError(
                say(f"{type(self).__name__}.granularity", self.granularity, "is lost in single precision",
                    f"at least {smallest:.3g}", "Raise dw_min, or the step at the middle of the range.", unit="w")
            )  # fmt: skip

    def pack(self) -> np.ndarray:
        """Return the header's parameters as float32: numbers in compiled order, then each table behind its length."""
        schema, values = ops.schema(self.header()), self.physical_values()
        numbers = [float(values[n]) for n in schema["params"]]
        for table in schema["tables"]:
            numbers += [float(len(values[table])), *values[table]]
        return np.array(numbers, np.float32)

    def pack_time(self) -> tuple[list[float], list[float]]:
        """Return the parameters of the processes in time and of drift; what the class does not have is off."""
        schema = ops.time_schema()
        return tuple([float(getattr(self, n, _TIME_OFF.get(n, 0.0))) for n in schema[k]] for k in ("time", "drift"))

    @classmethod
    def cell_names(cls) -> list[str]:
        """Return the names of the per-device arrays in order."""
        return list(ops.schema(cls.header())["cells"])

    def arrays(
        self, out: int, in_: int, seed: int, construction_seed: int, where: torch.device = CPU
    ) -> ops.TileArrays:
        """Return ``(out, in)`` devices at weight zero on ``where``, their device-to-device values drawn."""
        return ops.allocate(self.header(), self.pack(), out, in_, seed, construction_seed, where)

    def arrays_of(self, cells, hidden, apparent, seed: int, construction_seed: int) -> ops.TileArrays:
        """Return devices with given values and states, each ``(out, in)``: a restored tile, where the states lie."""
        kind = ops.arrays_on(hidden.device)
        return kind(self.header(), self.pack(), cells, hidden, apparent, seed, construction_seed)

    def steps_of(self, cells: Mapping[str, np.ndarray], w: np.ndarray, direction: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of one pulse of drawn devices; ``cells`` broadcast against ``w``."""
        return ops.step(self.header(), self.pack(), cells, np.asarray(w), direction)

    def nominal(self) -> Device:
        """Return the same device without device-to-device spread, noise and stuck devices."""
        return self.copy(**{n: 0.0 for n in self.fields() if _is_spread_or_noise(n)})

    def nominal_cell(self) -> dict[str, float]:
        """Return the per-device arrays of the nominal device, name to value."""
        return dict(_nominal_cell(self.header(), self.pack().tobytes()))

    def step(self, w, direction: int) -> np.ndarray:
        """Return the noise-free magnitude of one pulse of the nominal device.

        Parameters
        ----------
        w : array_like
            States, weight units, any shape.
        direction : int
            +1 up, -1 down.

        Returns
        -------
        numpy.ndarray
            Weight units, the shape of ``w``; positive means along the pulse's direction.
        """
        return self._step(w, direction)[0]

    def step_noise(self, w, direction: int) -> np.ndarray:
        """Return the standard deviation (weight units) of one pulse of the nominal device from states ``w``."""
        return self._step(w, direction)[1]

    def _step(self, w, direction: int) -> tuple[np.ndarray, np.ndarray]:
        if direction not in (1, -1):
            raise ParameterError(
                say("direction", direction, "must be a pulse direction", "+1, -1", "Give +1 (up) or -1 (down).")
            )
        mean, spread = self.steps_of(self.nominal_cell(), w, direction)
        return mean.astype(float), spread.astype(float)

    @property
    def range(self) -> tuple[float, float]:
        """Nominal lower and upper bound of the weight; infinite where the device has none."""
        return -np.inf, np.inf

    @property
    def granularity(self) -> float:
        """The step (weight units) that the update logic assumes."""
        raise NotImplementedError(f"{type(self).__name__}.granularity: every device must define it.")

    @property
    def n_states(self) -> float:
        """Nominal number of states, range over granularity; infinite without bounds."""
        low, high = self.range
        return (high - low) / self.granularity

    def symmetry_point(self) -> float | None:
        """Return the nominal weight where up and down step are equal, or None if there is none or no single one."""
        low, high = self.range
        if not np.isfinite(low) or high <= low:
            return None
        grid = np.linspace(low, high, _GRID)
        gap = self.step(grid, 1) - self.step(grid, -1)
        crossings = np.flatnonzero((gap[:-1] > 0) & (gap[1:] <= 0))
        if crossings.size != 1:
            return None
        k = crossings[0]
        return float(grid[k] + (grid[k + 1] - grid[k]) * gap[k] / (gap[k] - gap[k + 1]))

    def symmetry_points(self, cells: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the symmetry point of each drawn device.

        Parameters
        ----------
        cells : mapping
            Per-device arrays ``(devices,)`` by name, as `engine.tiles.Tile.cells` has them.

        Returns
        -------
        numpy.ndarray
            ``(devices,)`` weight units; NaN where up and down step cross nowhere or more than once. A root is
            interpolated on a grid of 1/200 of the device's range.
        """
        low, high = (np.asarray(b, float) for b in self.cell_range(cells))
        grid = low + (high - low) * np.linspace(0, 1, _DEVICE_GRID)[:, None]
        up, down = (self.steps_of(cells, grid, way)[0].astype(float) for way in (1, -1))
        gap = up - down
        falls = (gap[:-1] > 0) & (gap[1:] <= 0)
        at = falls.argmax(0)
        column = np.arange(at.size)
        above, below = gap[at, column], gap[at + 1, column]
        with np.errstate(invalid="ignore", divide="ignore"):
            root = grid[at, column] + (grid[at + 1, column] - grid[at, column]) * above / (above - below)
        return np.where((falls.sum(0) == 1) & (high > low), root, np.nan)

    def cell_range(self, cells: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper bound of the weight of each drawn device, ``(devices,)`` each, weight units."""
        return np.asarray(cells["min_bound"]), np.asarray(cells["max_bound"])

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"device": stem, "parameters": {...}}``, JSON-ready."""
        return {"device": self.stem(), "parameters": self.values()}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Device:
        """Return the device of `to_dict`.

        Raises
        ------
        ParameterError
            Unknown device or parameter, a value that breaks its rule, or data that `to_dict` did not write.
        """
        from engine import devices

        whole = isinstance(data, dict) and isinstance(data.get("device"), str)
        if not whole or not isinstance(data.get("parameters"), dict):
            raise ParameterError(
                "Device.from_dict: this is no device (allowed: a dict with device, a name, and parameters, a dict). "
                "Write one with to_dict()."
            )
        cls = devices.get(data["device"])
        for name in data["parameters"]:
            if name not in cls.fields():
                cls._unknown(name)
        return cls(**data["parameters"])

    def to_snippet(self) -> str:
        """Return Python code that makes this device; parameters at their default are left out."""
        changed = {n: v for n, v in self.values().items() if v != type(self).param[n].default}
        body = "".join(f"    {n}={v!r},\n" for n, v in changed.items())
        module, name = type(self).__module__, type(self).__name__
        line = f"from {module} import {name}"
        if not module.startswith("engine."):  # a device from elsewhere is found by its name
            line, name = "from engine import devices", f'devices.get("{self.stem()}")'
        return f"{line}\n\ndevice = {name}(" + (f"\n{body}" if body else "") + ")\n"


@functools.cache
def _ordered_fields(cls: type[Device], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``names`` sorted by group; kept, because every packing of a device asks for them."""
    known = {group: place for place, group in enumerate(_GROUPS)}
    return tuple(sorted(names, key=lambda n: known.get(cls.param[n].group, len(_GROUPS))))


@functools.lru_cache(maxsize=256)
def _nominal_cell(stem: str, packed: bytes) -> tuple[tuple[str, float], ...]:
    """Return the nominal device's arrays; kept, because a derived number asks for them again and again."""
    names = ops.schema(stem)["params"]
    params = np.frombuffer(packed, np.float32).copy()
    params[: len(names)][[_is_spread_or_noise(n) for n in names]] = 0.0
    tile = ops.allocate(stem, params, 1, 1, 0, 0)
    return tuple((n, float(c)) for n, c in tile.cells.items())


def _is_spread_or_noise(name: str) -> bool:
    return name.endswith(("_dtod", "_std", "_std_add", "_std_slope")) or name == "corrupt_devices_prob"
