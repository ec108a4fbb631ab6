# SPDX-License-Identifier: Apache-2.0
"""What the live response shows, as plain arrays: made in a thread, drawn by `response`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from engine.devices import Device
from engine.errors import ParameterError
from explorer.assessment import Finding, assess, write_noise
from explorer.experiments.pulse_response import QUANTILES, PulseResponse, Traces
from explorer.fitting import Normalised
from explorer.labs.state import DeviceState
from explorer.views.numbers import four_digits

N_TRACES = 4
MAX_POINTS = 1000
"""Pulses drawn of a curve at most; of longer ones every second, third, ... pulse is drawn."""
MAX_MEASURED = 12
"""Measured traces drawn at most, each with at most `MAX_READINGS`."""
MAX_READINGS = 4000
LIVE_LIMIT = 2_000_000
"""Devices times pulses that the live response takes; what is larger is no longer live."""
_BINS = 30
_LINE_POINTS = 101
_MIN_STEPS = 10  # in a bin of weights; fewer give no standard error worth the name
_KNOWN = 0.2  # largest standard error of a mean step that is drawn, of the largest nominal step


@dataclass(frozen=True)
class Request:
    """What to simulate, frozen when it was asked for."""

    device: Device
    n_devices: int
    n_pulses: int
    seed: int

    @classmethod
    def of(cls, state: DeviceState) -> Request:
        """Return the request that shows ``state``."""
        return cls(state.device, state.n_devices, state.n_pulses, state.seed)


@dataclass(frozen=True)
class Curves:
    """The columns of the pulse response, which is drawn first, and what the rest is made of.

    Attributes
    ----------
    curves : dict of arrays
        Columns of the source.
    stride : int
        Every so many pulses one is drawn.
    """

    request: Request
    curves: dict[str, np.ndarray]
    stride: int
    experiment: PulseResponse
    traces: Traces


@dataclass(frozen=True)
class Response:
    """Columns for the plots and tiles for the headline.

    Attributes
    ----------
    curves, step_lines, up_points, down_points, histogram : dict of arrays or lists
        Columns of the sources.
    symmetry : float or None
        Nominal symmetry point, weight units.
    n_symmetric, n_devices : int
        How many of the simulated devices have a symmetry point.
    stride : int
        Every so many pulses one is drawn.
    tiles : list
        ``(label, value, unit, explanation)``.
    findings : list of Finding
        The device against the published limits.
    """

    request: Request
    curves: dict[str, np.ndarray]
    step_lines: dict[str, list[float]]
    up_points: dict[str, list[float]]
    down_points: dict[str, list[float]]
    histogram: dict[str, list[float]]
    symmetry: float | None
    n_symmetric: int
    stride: int
    tiles: list[tuple[str, str, str, str]]
    findings: list[Finding]


def check_live_size(n_devices: int, n_pulses: int) -> None:
    """Raise `ParameterError` for more devices times pulses than `LIVE_LIMIT`."""
    if n_devices * n_pulses > LIVE_LIMIT:
        raise ParameterError(
            f"Devices × pulses = {n_devices} × {n_pulses}: too many to be live (allowed: at most {LIVE_LIMIT:,} in "
            "all). Choose fewer, or run the experiment PulseResponse from a script."
        )


def simulate(request: Request) -> Curves:
    """Send the pulses and return the curves.

    Raises
    ------
    ParameterError
        If more is asked for than is live.
    """
    check_live_size(request.n_devices, request.n_pulses)
    experiment = PulseResponse(
        device=request.device, n_devices=request.n_devices, n_pulses=request.n_pulses, seed=request.seed
    )
    traces = experiment.simulate()
    stride = max(1, math.ceil(len(traces.nominal) / MAX_POINTS))
    return Curves(request, _curves(traces, stride), stride, experiment, traces)


def describe(drawn: Curves) -> Response:
    """Return all that is shown of what `simulate` has found."""
    device = drawn.request.device
    ds = drawn.experiment.labelled(drawn.traces)
    symmetry = ds["symmetry_point"].values
    found = symmetry[np.isfinite(symmetry)]
    nominal = ds.attrs["nominal_symmetry_point"]
    nominal = None if math.isnan(nominal) else nominal
    lines = _step_lines(device, ds["node"].values)
    scale = max(*lines["up"], *lines["down"])
    return Response(
        request=drawn.request,
        curves=drawn.curves,
        step_lines=lines,
        up_points=_step_points(ds, 1, scale),
        down_points=_step_points(ds, -1, scale),
        histogram=_histogram(found),
        symmetry=nominal,
        n_symmetric=int(found.size),
        stride=drawn.stride,
        tiles=tiles(device, ds.attrs["n_states"], ds.attrs["granularity"], nominal),
        findings=assess(device, ds, drawn.request.seed),
    )


def respond(request: Request) -> Response:
    """Simulate and return all that is drawn; raises as `simulate` does."""
    return describe(simulate(request))


def _curves(traces: Traces, stride: int) -> dict[str, np.ndarray]:
    low, median, high = (traces.band[QUANTILES.index(q)] for q in (0.05, 0.5, 0.95))
    columns = {"pulse": np.arange(len(traces.nominal), dtype=np.int32), "low": low, "median": median, "high": high}
    columns["nominal"] = traces.nominal
    devices = traces.apparent.T
    for k in range(N_TRACES):
        columns[f"trace{k}"] = devices[k] if k < len(devices) else np.full(len(traces.nominal), np.nan, np.float32)
    return {name: np.ascontiguousarray(column[::stride]) for name, column in columns.items()}


def _step_lines(device: Device, visited: np.ndarray) -> dict[str, list[float]]:
    """Return the nominal step sizes over the range: where the curves cross is the symmetry point."""
    low, high = device.range if np.isfinite(device.range[0]) else (visited[0], visited[-1])
    w = np.linspace(low, high, _LINE_POINTS)
    return _short({"w": w, "up": device.step(w, 1), "down": device.step(w, -1)})


def _step_points(ds: xr.Dataset, way: int, scale: float) -> dict[str, list[float]]:
    """Return simulated mean step sizes with their standard error, of the bins where they are known well enough."""
    of = ds.sel(direction_of_step=way)
    mean, error = way * of["step_mean"].values, of["step_std"].values / np.sqrt(np.maximum(of["step_count"].values, 1))
    known = (of["step_count"].values >= _MIN_STEPS) & (error <= _KNOWN * scale)
    w, mean, error = of["node_weight"].values[known], mean[known], error[known]
    return _short({"w": w, "mean": mean, "low": mean - error, "high": mean + error})


def _short(columns: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Return short columns as lists: an array would cost two messages of its own."""
    return {name: column.tolist() for name, column in columns.items()}


def _histogram(found: np.ndarray) -> dict[str, list[float]]:
    if not found.size:
        return {"left": [], "right": [], "count": []}
    low, high = float(found.min()), float(found.max())
    if high - low < 1e-9:  # all devices alike: one bar that can be seen
        low, high = low - 0.01, high + 0.01
    counts, edges = np.histogram(found, bins=_BINS, range=(low, high))
    return _short({"left": edges[:-1], "right": edges[1:], "count": counts})


def tiles(
    device: Device, n_states: float, granularity: float, symmetry: float | None
) -> list[tuple[str, str, str, str]]:
    """Return the numbers of the nominal device: label, value, unit, explanation."""
    low, high = device.range
    at = symmetry if symmetry is not None else (0.0 if low < 0 < high else 0.5 * (low + high))
    step = 0.5 * float(device.step(at, 1) + device.step(at, -1))
    noise = 0.5 * float(device.step_noise(at, 1) + device.step_noise(at, -1))
    found = [
        ("States", four_digits(n_states), "1", "Range over granularity of the nominal device; ∞ without bounds."),
        ("Granularity", four_digits(granularity), "w", "The step that the update logic assumes."),
        ("Range", f"{four_digits(low)} … {four_digits(high)}", "w", "Nominal bounds of the weight."),
        ("Symmetry point", *(("none", "1") if symmetry is None else (four_digits(round(symmetry, 5)), "w")),
         "Weight where the nominal up and down step are equal; none where they are equal everywhere or nowhere."),
        ("Step noise / step", four_digits(noise / step) if step else "–", "1",
         f"Cycle-to-cycle noise of one pulse over its mean step, nominal device at w = {at:.3g}."),
    ]  # fmt: skip
    written = write_noise(device)
    if written is not None:
        text = "Standard deviation between the state that pulses act on and what a read sees: write_noise_std · dw_min."
        found.append(("Write noise", four_digits(written), "w", text))
    return found


def measured_columns(normalised: Normalised | None) -> dict[str, np.ndarray]:
    """Return measured weights against the number of pulses applied, traces separated by NaN."""
    pulses, weights = [np.empty(0)], [np.empty(0)]
    for trace in normalised.traces[:MAX_MEASURED] if normalised is not None else ():
        stride = max(1, math.ceil(len(trace) / MAX_READINGS))
        pulses += [np.cumsum(trace.n_pulses)[::stride].astype(float), np.array([np.nan])]
        weights += [trace.value[::stride], np.array([np.nan])]
    return {"pulse": np.concatenate(pulses), "w": np.concatenate(weights)}
