# SPDX-License-Identifier: Apache-2.0
"""How a population of devices answers a sequence of pulses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import param
import torch
import xarray as xr

from engine.cuda.availability import preferred
from engine.devices import Device
from engine.errors import ParameterError, say
from engine.presets import load
from engine.quantity import Choice, Quantity
from engine.tiles import Tile
from explorer.experiments import schedules
from explorer.experiments.base import Experiment, Progress

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_NODES = 50


@dataclass(frozen=True)
class Traces:
    """What the devices did, before anything is said about it.

    Attributes
    ----------
    hidden, apparent : numpy.ndarray
        State that the pulses act on, weight as read; ``(pulses + 1, devices)``, weight units, the first row is the
        start.
    band : numpy.ndarray
        `QUANTILES` of the weight as read over the devices, ``(quantiles, pulses + 1)``, weight units.
    nominal : numpy.ndarray
        The nominal device without noise, ``(pulses + 1,)``, weight units.
    directions : numpy.ndarray
        ``(pulses,)`` int8: +1 up, -1 down, 0 none.
    cells : dict of numpy.ndarray
        Per-device arrays ``(devices,)`` by name.
    """

    hidden: np.ndarray
    apparent: np.ndarray
    band: np.ndarray
    nominal: np.ndarray
    directions: np.ndarray
    cells: dict[str, np.ndarray]


class PulseResponse(Experiment):
    """Send pulses to many devices of one model, read after each, and describe what came out.

    Examples
    --------
    >>> ds = PulseResponse(n_devices=20, n_pulses=40).run()
    >>> ds.hidden.dims, ds.hidden.attrs["units"]
    (('pulse', 'device'), 'w')
    """

    # fmt: off
    device = param.ClassSelector(class_=Device, default=load("reram_exp_hfo2_2018"), instantiate=True,
                                 doc="The device model.")
    n_devices = Quantity(200, bounds=(1, 100_000), softbounds=(1, 1000), integer=True, unit="devices",
                         source="assumed", doc="Number of devices drawn.")
    n_pulses = Quantity(400, bounds=(1, 1_000_000), softbounds=(10, 4000), integer=True, unit="pulses",
                        source="assumed", doc="Number of pulses; not used by a custom schedule.")
    schedule = Choice("ramps", ["ramps", "alternating", "random", "custom"], source="docs/physics/devices.md, 8",
                      doc="Order of the pulses: up and down ramps, strict alternation, random, or your own list.")
    ramp_length = Quantity(0, bounds=(0, 1_000_000), softbounds=(0, 2000), integer=True, unit="pulses",
                           source="assumed", doc="Pulses of one ramp; 0 means half of all pulses.")
    directions = param.List([], item_type=int, doc="The custom schedule: +1 up, -1 down, 0 none.")
    start = Choice("w_min", ["w_min", "zero", "w_max"], source="docs/physics/devices.md, 8",
                   doc="Weight that every device is set to before the first pulse, clipped to its own bounds.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a custom schedule without or with wrong directions."""
        super().check()
        if self.schedule == "custom":
            schedules.custom(self.directions)
        if self.n_devices * self.n_pulses > 200_000_000:
            raise ParameterError(
                say(
                    "PulseResponse.n_devices * n_pulses",
                    self.n_devices * self.n_pulses,
                    "would not fit in memory",
                    "200000000",
                    "Take fewer devices or pulses.",
                )
            )

    def pulses(self) -> np.ndarray:
        """Return the directions, ``(pulses,)`` int8."""
        if self.schedule == "custom":
            return schedules.custom(self.directions)
        if self.schedule == "alternating":
            return schedules.alternating(self.n_pulses)
        if self.schedule == "random":
            return schedules.random(self.n_pulses, self.seed)
        return schedules.ramps(self.n_pulses, self.ramp_length or max(self.n_pulses // 2, 1))

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return traces, bands, symmetry points and step statistics; see the variables' attributes."""
        traces = self.simulate()
        progress(0.5, "pulses done")
        return self.labelled(traces)

    def simulate(self) -> Traces:
        """Send the pulses and return what was read: all that a live curve needs, a third of the work of `run`."""
        directions = self.pulses()
        tile = Tile(self.n_devices, 1, self.device, seed=self.seed, torch_device=preferred())
        hidden, apparent = _traces(tile, self._start(), directions)
        twin = Tile(1, 1, self.device.nominal(), seed=self.seed)
        nominal = _traces(twin, self._start(), directions)[0][:, 0]
        cells = {n: c[:, 0].cpu().numpy() for n, c in tile.cells.items()}
        return Traces(hidden, apparent, _band(apparent), nominal, directions, cells)

    def labelled(self, traces: Traces) -> xr.Dataset:
        """Return what `compute` returns, for what `simulate` of the same experiment has read."""
        ds = _dataset(traces)
        ds["symmetry_point"] = _variable(
            "device", self.device.symmetry_points(traces.cells), "w",
            "Weight where a device's up and down step are equal",
        )  # fmt: skip
        steps = _steps(traces.hidden, traces.directions, self.device)
        return ds.merge(steps).assign_attrs(self._numbers())

    def _start(self) -> float:
        low, high = self.device.range
        chosen = {"w_min": low, "zero": 0.0, "w_max": high}[self.start]
        return chosen if np.isfinite(chosen) else 0.0  # a device without bounds starts at zero

    def _numbers(self) -> dict[str, float]:
        point = self.device.symmetry_point()
        return {
            "n_states": float(self.device.n_states),
            "granularity": float(self.device.granularity),
            "nominal_symmetry_point": np.nan if point is None else point,
        }


def _traces(tile: Tile, start: float, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return hidden and apparent weights ``(pulses + 1, devices)``; the first row is the start."""
    tile.set_weights(torch.full_like(tile.hidden, float(start)))  # a whole bound may be an int
    found = []
    first = tile.hidden.cpu().numpy().copy(), tile.weights.cpu().numpy().copy()
    for begin, trace in zip(first, tile.pulse(directions), strict=True):
        rows = np.empty((directions.size + 1, tile.out_features), np.float32)
        rows[0], rows[1:] = begin[:, 0], trace.cpu().numpy()[:, :, 0]
        found.append(rows)
    return found[0], found[1]


def _variable(dims, values, unit: str, text: str) -> xr.Variable:
    return xr.Variable(dims, values, {"units": unit, "long_name": text})


def _band(apparent: np.ndarray) -> np.ndarray:
    """Return the quantiles ``(quantiles, pulses + 1)``; each is the weight of one of the devices."""
    ordered = np.sort(apparent, axis=1)
    return ordered[:, np.rint(np.array(QUANTILES) * (ordered.shape[1] - 1)).astype(int)].T


def _dataset(traces: Traces) -> xr.Dataset:
    hidden, apparent, directions = traces.hidden, traces.apparent, traces.directions
    both = ("pulse", "device")
    return xr.Dataset(
        {
            "hidden": _variable(both, hidden, "w", "State that the pulses act on"),
            "apparent": _variable(both, apparent, "w", "Weight as read, with write noise"),
            "direction": _variable("pulse", np.r_[0, directions].astype(np.int8), "1", "Direction of the last pulse"),
            "band": _variable(("quantile", "pulse"), traces.band, "w", "Quantiles of the weight over devices"),
            "mean": _variable("pulse", apparent.mean(1, dtype=float), "w", "Mean weight over devices"),
            "std": _variable("pulse", apparent.std(1, dtype=float), "w", "Standard deviation over devices"),
            "nominal": _variable("pulse", traces.nominal, "w", "The nominal device without noise"),
        },
        coords={
            "pulse": _variable("pulse", np.arange(directions.size + 1), "pulses", "Number of pulses sent"),
            "device": _variable("device", np.arange(hidden.shape[1]), "1", "Device"),
            "quantile": _variable("quantile", np.array(QUANTILES), "1", "Quantile"),
        },
    )


def _steps(hidden: np.ndarray, directions: np.ndarray, device: Device) -> xr.Dataset:
    """Return mean and spread of the step in bins of the weight it started from, per direction."""
    low, high = float(hidden.min()), float(hidden.max())
    high = high if high > low else low + 1e-6
    width = (high - low) / _NODES
    before, change = hidden[:-1], np.diff(hidden, axis=0)
    found = {way: _binned(before[directions == way], change[directions == way], low, width) for way in (1, -1)}
    nodes = low + width * (np.arange(_NODES) + 0.5)
    dims = ("direction_of_step", "node")
    stacked = [np.stack([found[way][k] for way in (1, -1)]) for k in range(4)]
    nominal = np.stack([way * device.step(nodes, way) for way in (1, -1)])
    return xr.Dataset(
        {
            "step_count": _variable(dims, stacked[0], "1", "Number of steps in the bin"),
            "node_weight": _variable(dims, stacked[1], "w", "Mean weight before the steps of the bin"),
            "step_mean": _variable(dims, stacked[2], "w", "Mean step over devices and cycles"),
            "step_std": _variable(dims, stacked[3], "w", "Standard deviation of a step over devices and cycles"),
            "step_nominal": _variable(dims, nominal, "w", "Step of the nominal device without noise"),
        },
        coords={
            "node": _variable("node", nodes, "w", "Weight before the step, middle of the bin"),
            "direction_of_step": _variable("direction_of_step", np.array([1, -1]), "1", "+1 up, -1 down"),
        },
    )


def _binned(before: np.ndarray, change: np.ndarray, low: float, width: float) -> tuple[np.ndarray, ...]:
    """Return count, mean start, mean and standard deviation of the change in each bin; NaN where a bin is empty."""
    where = np.minimum(((before.ravel() - low) / width).astype(np.int64), _NODES - 1)
    start, step = before.ravel().astype(float), change.ravel().astype(float)
    count = np.bincount(where, minlength=_NODES)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight, mean, square = (np.bincount(where, v, _NODES) / count for v in (start, step, step * step))
        spread = np.sqrt(np.maximum(square - mean * mean, 0.0))
    return count, weight, mean, spread
