# SPDX-License-Identifier: Apache-2.0
"""What becomes of programmed weights when time passes and no pulse is sent."""

from __future__ import annotations

import math

import numpy as np
import param
import torch
import xarray as xr

from engine.devices import Device
from engine.errors import ParameterError, say
from engine.presets import load
from engine.quantity import Choice, Quantity, Table
from engine.tiles import Tile
from explorer.experiments.base import Experiment, Progress

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MAX_VALUES = 100_000_000
UNITS = {"drift": "s", "batches": "batches"}
"""Unit of time of each clock."""


def clocks(device: Device) -> list[str]:
    """Return which clocks change the device: ``drift`` (seconds), ``batches`` (decay and diffusion), both or none."""

    def any_of(*names: str) -> bool:
        return any(getattr(device, name, 0.0) != 0 for name in names)

    found = ["drift"] if any_of("drift_nu", "drift_nu_k", "drift_w_noise_std") else []
    return found + (["batches"] if any_of("lifetime", "diffusion") else [])


class Retention(Experiment):
    """Program devices to a few levels, let time pass, read at log-spaced times.

    Examples
    --------
    >>> from engine.devices.soft_bounds import SoftBounds
    >>> ds = Retention(device=SoftBounds(drift_nu=0.05), n_devices=10, n_times=5).run()
    >>> ds.weight.dims, ds.time.attrs["units"]
    (('level', 'device', 'time'), 's')
    """

    # fmt: off
    device = param.ClassSelector(class_=Device, default=load("reram_exp_hfo2_2018"), instantiate=True,
                                 doc="The device model.")
    clock = Choice("drift", list(UNITS), source="docs/physics/devices.md, section 5",
                   doc="What passes: seconds of power-law drift, or mini-batches of decay and diffusion.")
    n_devices = Quantity(200, bounds=(1, 100_000), softbounds=(1, 1000), integer=True, unit="devices",
                         source="assumed", doc="Number of devices drawn for each level.")
    levels = Table([-0.8, -0.4, 0.0, 0.4, 0.8], source="assumed",
                   doc="Programmed weights in shares of the nominal bounds: -1 is the lower, 1 the upper one; "
                       "weight units where a device has no bounds.")
    n_times = Quantity(41, bounds=(2, 10_000), softbounds=(5, 200), integer=True, unit="times", source="assumed",
                       doc="Number of reads, evenly spaced on a logarithmic axis.")
    first = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 100), unit="s", log=True,
                     source="assumed", doc="Time of the first read of a drift.")
    last = Quantity(1e6, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(10, 1e9), unit="s", log=True,
                    source="assumed", doc="Time of the last read of a drift.")
    n_batches = Quantity(1000, bounds=(1, 10_000_000), softbounds=(10, 100_000), integer=True, unit="batches", log=True,
                         source="assumed", doc="Mini-batches until the last read of decay and diffusion.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for times that run backwards, or more values than fit in memory."""
        super().check()
        if self.last <= self.first:
            raise ParameterError(
                say("Retention.last", self.last, "must be later than first", f"above {self.first:g}",
                    "Swap the two.", unit="s")
            )  # fmt: skip
        values = self.n_devices * self.n_times * len(self.levels)
        if values > _MAX_VALUES:
            raise ParameterError(
                say("Retention.n_devices * n_times * levels", values, "would not fit in memory", str(_MAX_VALUES),
                    "Take fewer devices or times.")
            )  # fmt: skip

    def times(self) -> np.ndarray:
        """Return when is read, ``(times,)``: seconds, or whole mini-batches without repeats."""
        if self.clock == "drift":
            return np.geomspace(self.first, self.last, self.n_times)
        return np.unique(np.rint(np.geomspace(1, self.n_batches, self.n_times)).astype(np.int64))

    def programmed(self) -> np.ndarray:
        """Return the weight that each level asks for, ``(levels,)`` weight units."""
        low, high = self.device.range
        low, high = (low, high) if math.isfinite(high - low) else (-1.0, 1.0)
        return np.array([share * high if share >= 0 else -share * low for share in self.levels])

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return weights, bands and the nominal device over time; see the variables' attributes."""
        times, asked = self.times(), self.programmed()
        start, weight = self._pass(self.device, np.repeat(asked, self.n_devices), times, progress)
        shape = (asked.size, self.n_devices)
        still = self.device.nominal()
        still = still.copy(diffusion=0.0) if "diffusion" in still.fields() else still
        nominal = self._pass(still, asked, times)[1]
        return _dataset(self, times, asked, start.reshape(shape), weight.reshape(*shape, times.size), nominal)

    def _pass(
        self, device: Device, asked: np.ndarray, times: np.ndarray, progress: Progress | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the weight as read after programming ``(devices,)`` and at each time ``(devices, times)``."""
        tile = Tile(asked.size, 1, device, seed=self.seed)
        tile.set_weights(torch.as_tensor(asked, dtype=torch.float32)[:, None])
        start = tile.weights[:, 0].numpy().copy()
        read = np.empty((asked.size, times.size), np.float32)
        for k, step in enumerate(np.diff(times, prepend=0)):
            if self.clock == "drift":
                tile.drift(float(step))
            else:
                for _ in range(step):
                    tile.end_batch()
            read[:, k] = tile.weights[:, 0].numpy()
            if progress is not None:
                progress((k + 1) / times.size, f"read {k + 1} of {times.size}")
        return start, read


def _variable(dims, values, unit: str, text: str) -> xr.Variable:
    return xr.Variable(dims, values, {"units": unit, "long_name": text})


def _dataset(asked: Retention, times, target, start, weight, nominal) -> xr.Dataset:
    over = ("level", "time")
    ordered = np.sort(weight, axis=1)
    ranks = np.rint(np.array(_QUANTILES) * (ordered.shape[1] - 1)).astype(int)
    band = ordered[:, ranks].transpose(1, 0, 2)
    return xr.Dataset(
        {
            "weight": _variable(("level", "device", "time"), weight, "w", "Weight as read"),
            "programmed": _variable(("level", "device"), start, "w", "Weight as read right after programming"),
            "band": _variable(("quantile", *over), band, "w", "Quantiles of the weight over devices"),
            "mean": _variable(over, weight.mean(1, dtype=float), "w", "Mean weight over devices"),
            "std": _variable(over, weight.std(1, dtype=float), "w", "Standard deviation over devices"),
            "nominal": _variable(over, nominal, "w", "The nominal device without noise"),
            "target": _variable("level", target, "w", "Weight that was asked for"),
        },
        coords={
            "level": _variable("level", np.array(asked.levels), "1", "Programmed weight in shares of the bounds"),
            "device": _variable("device", np.arange(weight.shape[1]), "1", "Device"),
            "time": _variable("time", times, UNITS[asked.clock], "Time since programming"),
            "quantile": _variable("quantile", np.array(_QUANTILES), "1", "Quantile"),
        },
    )
