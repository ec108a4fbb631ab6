# SPDX-License-Identifier: Apache-2.0
"""What every device model has: packing for the kernels, derived numbers, files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from engine import ops
from engine.errors import BuildError, ParameterError, say
from engine.quantity import Flag, Model, Quantity

AIHWKIT = "aihwkit 1.2.0, default of PulsedDevice"
POSITIVE = {"bounds": (0, None), "inclusive_bounds": (False, True)}
NOT_NEGATIVE = {"bounds": (0, None)}
# Nodes over the range between which a root of the step curve is interpolated: fine enough for the curve to be
# straight, coarse enough for the difference of two float32 steps to stand above its rounding.
_GRID = 1001
_DEVICE_GRID = 201
_WIDEST_LOG_NORMAL = 10.0  # the widest normal draw is 6.7: e^67 = 1e29 leaves room below the largest number, 3e38


class Device(Model):
    """A resistive device at one crosspoint.

    Subclasses live one to a file; the file's stem names the physics header ``engine/csrc/devices/<stem>.h``.
    The names of their parameters are compared with the header's at import.
    """

    title: ClassVar[str] = ""
    formula: ClassVar[str] = ""
    pulsed: ClassVar[bool] = True

    @classmethod
    def stem(cls) -> str:
        """Return the name of the device, which is that of its file and of its header."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def compare_with_header(cls) -> None:
        """Raise `BuildError` if the parameters are not those of the compiled header."""
        built = ops.build_info()["devices"]
        if cls.stem() not in built:
            raise BuildError(
                f"engine.devices.{cls.stem()}: no compiled header (built: {', '.join(built)}). "
                f"Add engine/csrc/devices/{cls.stem()}.h and install again."
            )
        compiled, declared = set(ops.schema(cls.stem())["params"]), set(cls.packed())
        if compiled != declared:
            raise BuildError(
                f"{cls.__name__}: parameters differ from engine/csrc/devices/{cls.stem()}.h "
                f"(only there: {sorted(compiled - declared)}; only here: {sorted(declared - compiled)}). "
                "Make the names equal and install again."
            )

    @classmethod
    def packed(cls) -> list[str]:
        """Return the names of the parameters that the kernels read."""
        return cls.fields()

    def check(self) -> None:
        """Raise `ParameterError` for a number that the kernels cannot hold."""
        super().check()
        self.check_single_precision()

    def pack(self) -> np.ndarray:
        """Return the kernel's parameters ``(n,)`` as float32 in compiled order."""
        return np.array([float(getattr(self, n)) for n in ops.schema(self.stem())["params"]], np.float32)

    def nominal(self) -> Device:
        """Return the same device without device-to-device spread, noise and stuck devices."""
        return self.copy(**{n: 0.0 for n in self.fields() if _is_spread_or_noise(n)})

    def nominal_cell(self) -> dict[str, float]:
        """Return the per-device arrays of the nominal device, name to value."""
        return dict(_nominal_cell(self.stem(), self.pack().tobytes()))

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
        params = self.pack()
        cell = dict(_nominal_cell(self.stem(), params.tobytes()))
        mean, spread = ops.step(self.stem(), params, cell, np.asarray(w), direction)
        return mean.astype(float), spread.astype(float)

    @property
    def range(self) -> tuple[float, float]:
        """Nominal lower and upper bound of the weight; infinite where the device has none."""
        return -np.inf, np.inf

    @property
    def granularity(self) -> float:
        """The step (weight units) that the update logic assumes."""
        raise NotImplementedError  # every concrete class has one

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
        params = self.pack()
        up, down = (ops.step(self.stem(), params, cells, grid, way)[0].astype(float) for way in (1, -1))
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
        changed = {n: v for n, v in self.values().items() if v != self.param[n].default}
        body = "".join(f"    {n}={v!r},\n" for n, v in changed.items())
        call = f"{type(self).__name__}(\n{body})" if body else f"{type(self).__name__}()"
        return f"from engine.devices.{self.stem()} import {type(self).__name__}\n\ndevice = {call}\n"


@functools.lru_cache(maxsize=256)
def _nominal_cell(stem: str, packed: bytes) -> tuple[tuple[str, float], ...]:
    """Return the nominal device's arrays; kept, because a derived number asks for them again and again."""
    names = ops.schema(stem)["params"]
    params = np.where([_is_spread_or_noise(n) for n in names], np.float32(0), np.frombuffer(packed, np.float32))
    tile = ops.allocate(stem, params, 1, 1, 0, 0)
    return tuple((n, float(c)) for n, c in tile.cells.items())


def _is_spread_or_noise(name: str) -> bool:
    return name.endswith(("_dtod", "_std", "_std_add", "_std_slope")) or name == "corrupt_devices_prob"


class PulsedDevice(Device):
    """Parameters that all pulsed devices share (see docs/physics/devices.md, section 2)."""

    # fmt: off
    dw_min = Quantity(0.001, **POSITIVE, softbounds=(1e-5, 1), unit="w", log=True, group="Step", source=AIHWKIT,
                      doc="Mean size of one step; for constant, linear and soft-bounds types at weight zero.")
    up_down = Quantity(0.0, bounds=(-1, 1), inclusive_bounds=(False, False), softbounds=(-0.5, 0.5), group="Step",
                       source=AIHWKIT,
                       doc="Mean asymmetry of the steps: positive makes down steps smaller, negative up steps.")
    w_max = Quantity(0.6, **NOT_NEGATIVE, softbounds=(0.05, 2), unit="w", group="Bounds", source=AIHWKIT,
                     doc="Mean upper bound of the weight.")
    w_min = Quantity(-0.6, bounds=(None, 0), softbounds=(-2, 0), unit="w", group="Bounds", source=AIHWKIT,
                     doc="Mean lower bound of the weight.")
    dw_min_std = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 5), group="Cycle-to-cycle noise", source=AIHWKIT,
                          doc="Noise of a single step relative to the step; values far above 1 are normal.")
    dw_min_dtod = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 1), group="Device-to-device spread", source=AIHWKIT,
                           doc="Relative spread of the step size over devices, common to both directions.")
    dw_min_dtod_log_normal = Flag(False, group="Device-to-device spread", source=AIHWKIT,
                                  doc="Draw the step size log-normally; its mean is then exp(dtod^2/2) times dw_min.")
    up_down_dtod = Quantity(0.01, **NOT_NEGATIVE, softbounds=(0, 0.3), group="Device-to-device spread", source=AIHWKIT,
                            doc="Spread of the up/down asymmetry over devices, in units of dw_min.")
    w_max_dtod = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 1), group="Device-to-device spread", source=AIHWKIT,
                          doc="Relative spread of the upper bound over devices.")
    w_min_dtod = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 1), group="Device-to-device spread", source=AIHWKIT,
                          doc="Relative spread of the lower bound over devices.")
    enforce_consistency = Flag(True, group="Device-to-device spread", source=AIHWKIT,
                               doc="Fold negative steps and wrong-sided bounds; off, crossed bounds disable a device.")
    perfect_bias = Flag(False, group="Faults", source=AIHWKIT,
                        doc="The last column (a bias) gets ideal devices with bounds a hundred times wider.")
    corrupt_devices_prob = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.5), group="Faults", source=AIHWKIT,
                                    doc="Probability that a device is stuck at a random weight.")
    corrupt_devices_range = Quantity(0.1, **NOT_NEGATIVE, softbounds=(0, 1), unit="w", group="Faults", source=AIHWKIT,
                                     doc="A stuck device's weight lies within plus or minus this.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a log-normal spread whose draws would leave single precision."""
        super().check()
        if self.dw_min_dtod_log_normal and self.dw_min_dtod > _WIDEST_LOG_NORMAL:
            raise ParameterError(
                say(
                    f"{type(self).__name__}.dw_min_dtod",
                    self.dw_min_dtod,
                    "is too wide for a log-normal draw",
                    f"0 .. {_WIDEST_LOG_NORMAL} with dw_min_dtod_log_normal",
                    "Lower it, or draw normally.",
                )
            )

    @property
    def range(self) -> tuple[float, float]:
        """Nominal lower and upper bound of the weight (weight units)."""
        return self.w_min, self.w_max

    @property
    def granularity(self) -> float:
        """The step (weight units) that the update logic assumes: ``dw_min``."""
        return self.dw_min


class WrittenDevice(PulsedDevice):
    """A pulsed device whose reads see a frozen write error on top of the state that the pulses act on."""

    # fmt: off
    write_noise_std = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 100), group="Write noise",
                               source="aihwkit 1.2.0, write_noise_std",
                               doc="Error of a written weight, in units of dw_min, redrawn at each write.")
    apply_write_noise_on_set = Flag(True, group="Write noise", source="aihwkit 1.2.0, apply_write_noise_on_set",
                                    doc="Also when a weight is set from outside.")
    # fmt: on
