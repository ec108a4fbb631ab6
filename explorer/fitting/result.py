# SPDX-License-Identifier: Apache-2.0
"""What a fit returns: device parameters with errors, quality, honest notes, curves to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from .errors import refusal
from .models import ResponseModel, Solution
from .normalise import Normalised
from .plain import plain
from .trace import DIRECTION_NAMES
from .units import engineering

CURVE_POINTS = 1000
"""Points of a drawn curve; more are not seen."""

NO_SPREAD = ("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod")
"""Device-to-device spreads: one set of parameters is one device, so they are 0."""


@dataclass(frozen=True)
class Estimate:
    """One fitted device parameter.

    Attributes
    ----------
    name : str
        Name of the parameter in `engine.devices`.
    value : float
        In ``unit``; NaN where the data say nothing about it.
    stderr : float
        Standard error in ``unit``; NaN where the value is held or assumed, not estimated.
    unit : str
        ``w`` for normalised weight, ``1`` for a pure number.
    meaning : str
    note : str
        Why the value is to be taken with care; blank if there is no reason.
    """

    name: str
    value: float
    stderr: float
    unit: str
    meaning: str
    note: str = ""

    @property
    def determined(self) -> bool:
        """True where the data fix the value."""
        return not self.note

    def __str__(self) -> str:
        error = f"± {self.stderr:.2g}" if math.isfinite(self.stderr) else "(not determined)"
        unit = "" if self.unit == "1" else f" {self.unit}"
        return f"{self.name} = {self.value:.5g} {error}{unit}"


@dataclass(frozen=True, eq=False)
class FitCurve:
    """Noise-free response of the fitted device along one ramp.

    Attributes
    ----------
    direction : int
        +1 or -1.
    pulses : array, (point,)
    weight : array, (point,)
        In normalised weight.
    value : array, (point,)
        The same in the unit of the measurement.
    """

    direction: int
    pulses: np.ndarray
    weight: np.ndarray
    value: np.ndarray


@dataclass(frozen=True, eq=False)
class FitResult:
    """Result of `explorer.fitting.fit`.

    Attributes
    ----------
    model : ResponseModel
    parameters : dict of str to Estimate
        The model's own, then ``dw_min_std`` and ``write_noise_std``.
    normalised : Normalised
        The data with their map to weights.
    solutions : dict of int to Solution
        Least-squares result by direction, +1 and -1; a direction that was not measured is missing.
    residual_rms : float
        Root mean square of readings minus curves, in weight units.
    r_squared : float
        Share of the variance of the readings that the curves explain.
    n_readings, n_ramps : int
    notes : tuple of str
        What the numbers alone do not say.
    cycles : str
        ``joint`` or ``average``.
    """

    model: ResponseModel
    parameters: Mapping[str, Estimate]
    normalised: Normalised
    solutions: Mapping[int, Solution]
    residual_rms: float
    r_squared: float
    n_readings: int
    n_ramps: int
    notes: tuple[str, ...] = field(default=())
    cycles: str = "joint"

    @property
    def values(self) -> dict[str, float]:
        """Parameter values by name."""
        return {name: estimate.value for name, estimate in self.parameters.items()}

    def curve(self) -> dict[str, FitCurve]:
        """Return the response from the mean starting point for each measured direction, to draw over data.

        Keys are ``up`` and ``down``; pulses run from 0 to the length of the longest ramp.
        """
        curves = {}
        for direction, solution in self.solutions.items():
            longest = int(solution.stack.n.max())
            pulses = np.unique(np.linspace(0, longest, min(longest + 1, CURVE_POINTS)).round())
            weight = direction * solution.shape.curve(pulses, float(solution.fitted.y0.mean()))
            value = self.normalised.to_value(weight)
            curves[DIRECTION_NAMES[direction]] = FitCurve(direction, pulses, weight, value)
        return curves

    def ramp_curves(self) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
        """Return ``(device_id, cycle, pulses, weight)`` of the fitted curve of every ramp."""
        curves = []
        for direction, solution in self.solutions.items():
            parts = solution.stack.split(direction * solution.fitted.curve)
            for ramp, weight in zip(solution.stack.ramps, parts, strict=True):
                curves.append((ramp.device_id, ramp.cycle, ramp.pulses, weight))
        return curves

    def device_parameters(self) -> dict[str, float | bool]:
        """Return keyword arguments for the device class ``engine.devices.get(model.stem)``.

        One fitted device has no device-to-device spread, so all spreads are 0. Noise that could not be
        estimated is 0 (see `notes`).

        Raises
        ------
        MeasuredDataError
            If the values do not describe a device around ``w = 0``.
        """
        values = {name: (0.0 if math.isnan(v) else float(v)) for name, v in self.values.items()}
        rules = (("w_max", values["w_max"] > 0, "> 0"), ("w_min", values["w_min"] < 0, "< 0"))
        for name, kept, allowed in rules:
            if not kept:
                rule = "weight 0 is not between the bounds"
                remedy = "Normalise the data to a range around 0, for example normalise(-1, 1)."
                raise refusal(f"fitted {self.model.stem}.{name}", values[name], rule, allowed, remedy)
        spreads = dict.fromkeys(NO_SPREAD, 0.0)
        return {**values, **spreads, "mult_noise": True, **self.model.fixed_values(values)}

    def in_reading_units(self) -> dict[str, str]:
        """Return step and bounds in the unit of the measurement, with unit, as text."""
        unit = self.normalised.measured.unit
        values = self.values
        step = values["dw_min"] / self.normalised.slope
        bounds = {n: float(self.normalised.to_value(values[n])) for n in ("w_max", "w_min")}
        return {n: engineering([v], unit) for n, v in {"dw_min": step, **bounds}.items()}

    def report(self) -> str:
        """Return the result as text, one parameter a line."""
        sizes = f"{self.n_readings} readings in {self.n_ramps} ramps ({self.cycles})"
        quality = f"residual rms {self.residual_rms:.4g} w, R² {self.r_squared:.4f}"
        lines = [f"{self.model.title}, {self.normalised.measured.source_name}", f"{sizes}: {quality}"]
        lines += [f"  {estimate}" for estimate in self.parameters.values()]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join(lines)

    def to_dict(self) -> dict:
        """Return everything but the arrays, fit for JSON; NaN and infinity are None."""
        rows = [plain(asdict(estimate)) for estimate in self.parameters.values()]
        return {
            "model": self.model.stem,
            "parameters": rows,
            "mapping": self.normalised.mapping(),
            "residual_rms": self.residual_rms,
            "r_squared": self.r_squared,
            "n_readings": self.n_readings,
            "n_ramps": self.n_ramps,
            "cycles": self.cycles,
            "notes": list(self.notes),
        }
