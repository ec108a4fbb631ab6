# SPDX-License-Identifier: Apache-2.0
"""What a likelihood fit returns: plain data that travels as JSON, and what one does with it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

from engine import devices
from engine.devices import Device
from engine.errors import ParameterError

from ..errors import refusal
from ..plain import plain
from .corrupt import Corrupt
from .parameters import Parameter
from .residuals import Residuals

SCHEMA = 1

NO_SPREAD = ("dw_min_dtod", "up_down_dtod", "w_max_dtod", "w_min_dtod", "gamma_up_dtod", "gamma_down_dtod",
             "pow_gamma_dtod", "pow_up_down_dtod", "slope_up_dtod", "slope_down_dtod", "reference_std")  # fmt: skip
"""Spreads over devices, 0 where they were not estimated."""

TRIES = 50
"""Draws from the posterior for one parameter set that the device class takes."""


@dataclass(frozen=True)
class OneDevice:
    """The fit of one device among several.

    Attributes
    ----------
    device_id : str
    values, stderr : dict of str to float
        By parameter name.
    log_likelihood : float
    n_transitions : int
    converged : bool
    """

    device_id: str
    values: dict[str, float]
    stderr: dict[str, float]
    log_likelihood: float
    n_transitions: int
    converged: bool


@dataclass(frozen=True)
class HeldOut:
    """Prediction of cycles that the fit did not see.

    Attributes
    ----------
    score : float
        Log density per reading, natural logarithm.
    by_cycle : list of float
        The same for every held-out cycle of every device.
    n_transitions : int
    """

    score: float
    by_cycle: list[float]
    n_transitions: int


@dataclass(frozen=True, eq=False)
class ResponseFit:
    """A device class fitted to measured pulse responses by maximum likelihood.

    Attributes
    ----------
    model, title : str
        Stem and title of the class in `engine.devices`.
    parameters : dict of str to Parameter
        Of the class, noise included; with several devices means over the population, then spreads (``*_dtod``).
    covariance : list of list of float
        ``(parameter, parameter)`` in the order of ``parameters``, of the logarithm where a parameter is logarithmic;
        0 for held ones.
    fixed : dict
        Further parameters of the class that were not fitted.
    devices : list of OneDevice
    corrupt : list of Corrupt
    log_likelihood, aic, aicc, bic : float
    n_parameters, n_transitions, n_devices : int
        All devices together; a transition is a reading that counts.
    held_out : HeldOut or None
    residuals : Residuals
    trace : dict
        First trace: ``pulses`` (signed, since the reading before), ``weight`` and ``value`` read.
    mapping : dict
        From readings to weights, as `Normalised.mapping`.
    source_name, data_hash : str
        SHA-256 of the readings.
    notes : list of str
        What the numbers alone do not say.
    verdict : str
        The same in a sentence or two for the reader.
    twin_of : str
        Class with the same curves for one device.
    """

    model: str
    title: str
    parameters: dict[str, Parameter]
    covariance: list[list[float]]
    fixed: dict[str, float | bool]
    devices: list[OneDevice]
    corrupt: list[Corrupt]
    log_likelihood: float
    aic: float
    aicc: float
    bic: float
    n_parameters: int
    n_transitions: int
    residuals: Residuals
    trace: dict[str, list[float]]
    mapping: dict[str, float | str]
    source_name: str
    data_hash: str
    held_out: HeldOut | None = None
    notes: list[str] = field(default_factory=list)
    verdict: str = ""
    twin_of: str = ""

    @property
    def n_devices(self) -> int:
        """Devices that the parameters describe."""
        return len(self.devices)

    @property
    def values(self) -> dict[str, float]:
        """Parameter values by name."""
        return {name: p.value for name, p in self.parameters.items()}

    @property
    def correlation(self) -> np.ndarray:
        """Correlations of the parameters, ``(parameter, parameter)``; 0 where one is held."""
        c = np.array(self.covariance)
        scale = np.sqrt(np.maximum(np.diag(c), 0.0))
        scale[scale == 0] = np.inf
        return c / np.outer(scale, scale)

    def device_parameters(self, values: Mapping[str, float] | None = None) -> dict[str, float | bool | list[float]]:
        """Return keyword arguments for the device class; ``values`` in place of the estimates where given."""
        cls = devices.get(self.model)
        known = {**dict.fromkeys((n for n in NO_SPREAD if n in cls.fields()), 0.0), **self.fixed}
        tables: dict[str, list[float]] = {}
        for name, value in {**self.values, **(values or {})}.items():
            base, bracket, _ = name.partition("[")
            if bracket:
                tables.setdefault(base, []).append(float(value))
            elif base in cls.fields() and math.isfinite(value):
                known[base] = bool(value) if base == "dw_min_dtod_log_normal" else float(value)
        return known | tables

    def device(self, values: Mapping[str, float] | None = None) -> Device:
        """Return the fitted device of the class.

        Raises
        ------
        ParameterError
            If the values break a rule of the class.
        """
        return devices.get(self.model)(**self.device_parameters(values))

    def draw(self, n: int, seed: int = 0) -> list[dict[str, float]]:
        """Return ``n`` parameter sets from the posterior: normal on the scales of the intervals, flat prior.

        Every set makes a device (``device(values)``); sets that the class refuses are drawn again.

        Raises
        ------
        MeasuredDataError
            If ``n`` is below 1, or hardly any draw makes a device.
        """
        if n < 1:
            raise refusal("draw n", n, "must be positive", "1, 2, ...", "Ask for at least one set.")
        source = np.random.default_rng(seed)
        root = self._root()
        found: list[dict[str, float]] = []
        for _ in range(TRIES * n):
            values = self._moved(root @ source.standard_normal(root.shape[1]))
            if self._accepted(values):
                found.append(values)
            if len(found) == n:
                return found
        rule = "hardly any draw from the posterior makes a device of this class"
        raise refusal(f"draw {self.model}", len(found), rule, f"{n} sets", "Measure more, or take another class.")

    def _root(self) -> np.ndarray:
        c = np.array(self.covariance)
        value, vector = np.linalg.eigh((c + c.T) / 2)
        return vector * np.sqrt(np.maximum(value, 0.0))

    def _moved(self, shift: np.ndarray) -> dict[str, float]:
        pairs = zip(self.parameters.values(), shift, strict=True)
        return {p.name: float(p.value * math.exp(min(s, 50.0)) if p.logarithmic else p.value + s) for p, s in pairs}

    def _accepted(self, values: Mapping[str, float]) -> bool:
        try:
            self.device(values)
        except ParameterError:
            return False
        return True

    def report(self) -> str:
        """Return the result as text, one parameter a line."""
        size = f"{self.n_transitions} readings of {self.n_devices} device{'s' if self.n_devices != 1 else ''}"
        quality = f"log likelihood {self.log_likelihood:.2f}, AICc {self.aicc:.2f}, BIC {self.bic:.2f}"
        lines = [f"{self.title}, {self.source_name}", f"{size}, {self.n_parameters} parameters: {quality}"]
        lines += [f"  {p}" for p in self.parameters.values()]
        lines += [f"  corrupt: device {c.device_id}: {c.reason}" for c in self.corrupt]
        lines += [f"  note: {note}" for note in self.notes]
        return "\n".join([*lines, self.verdict] if self.verdict else lines)

    def to_dict(self) -> dict:
        """Return everything, fit for JSON; NaN and infinity are None."""
        written = {k: v for k, v in vars(self).items()}
        written["parameters"] = [p.to_dict() for p in self.parameters.values()]
        written["devices"] = [asdict(d) for d in self.devices]
        written["corrupt"] = [asdict(c) for c in self.corrupt]
        written["residuals"] = self.residuals.to_dict()
        written["held_out"] = asdict(self.held_out) if self.held_out else None
        return {"schema": SCHEMA, **plain(written)}

    @classmethod
    def from_dict(cls, data: Mapping) -> ResponseFit:
        """Return the fit of `to_dict`.

        Raises
        ------
        MeasuredDataError
            If the data are not of this schema.
        """
        if data.get("schema") != SCHEMA:
            raise refusal("fit schema", data.get("schema"), "is not known", str(SCHEMA), "Fit again.")
        plain = {k: v for k, v in data.items() if k != "schema"}
        rows = [Parameter.from_dict(p) for p in plain["parameters"]]
        plain["parameters"] = {p.name: p for p in rows}
        plain["devices"] = [OneDevice(**d) for d in plain["devices"]]
        plain["corrupt"] = [Corrupt(**c) for c in plain["corrupt"]]
        plain["residuals"] = Residuals.from_dict(plain["residuals"])
        plain["held_out"] = HeldOut(**plain["held_out"]) if plain["held_out"] else None
        return cls(**plain)

    def to_json(self) -> str:
        """Return `to_dict` as JSON text."""
        return json.dumps(self.to_dict(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ResponseFit:
        """Return the fit of `to_json`."""
        return cls.from_dict(json.loads(text))

    def to_preset(self, title: str = "", note: str = "") -> str:
        """Return the device as TOML that `engine.presets.loads` takes, with source, data hash, errors, covariance."""
        from .preset import written

        return written(self, title, note)

    def simulate(self, n_devices: int = 100, seed: int = 0, *, posterior: bool = True):
        """Return bands of simulated devices along the first measured trace; see `simulate.simulated`."""
        from .simulate import simulated

        return simulated(self, n_devices, seed, posterior=posterior)
