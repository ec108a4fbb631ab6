# SPDX-License-Identifier: Apache-2.0
"""Whether a device can be expected to train a network: its numbers against the published specification, in words.

Three limits are figures of the preset `REFERENCE`, the published specification of 2016 for stochastic pulsed updates
with plain gradient descent; the others are derived or assumed, and each says which. A device that misses them may
still train with an algorithm made for it.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from engine import presets
from engine.devices import Device
from engine.tiles import Tile

REFERENCE = "rpu_baseline_2016"
"""Preset that holds the limits."""

PASS, MARGINAL, FAIL = "pass", "marginal", "fail"
MARGIN = 2.0
"""A number that misses its limit by less than this factor is marginal; our choice."""

_ASYMMETRY, _ASYMMETRY_SPREAD = 0.05, 0.02  # our choice: a few per cent for the mean, less for the spread
_STATES = 1000  # our choice: somewhat below the preset's 1250
_WRITE_SHARE = 0.01  # of the range; the specification knows no write noise
_MIDDLE = 0.5  # of the bounds: where most weights of a trained network lie
_GRID = 101
_STANDARD_ERRORS = 3  # by which a mean or spread over few devices may exceed its limit by chance
_ROUNDING = 1e-5  # relative, of steps that the kernels compute in single precision


@dataclass(frozen=True)
class Limit:
    """What is asked for.

    Attributes
    ----------
    label, unit : str
        Text; ``"%"`` or ``"states"``.
    value : float
        The largest number allowed (the smallest with ``at_least``), in ``unit``.
    origin : str
        Where the limit comes from.
    measured : str
        How the number of the device is found.
    good, bad : str
        What it means for training to keep or to miss the limit.
    sampled : bool
        The number is a spread over the simulated devices and has a statistical error.
    """

    label: str
    unit: str
    value: float
    origin: str
    measured: str
    good: str
    bad: str
    at_least: bool = False
    sampled: bool = False


@dataclass(frozen=True)
class Finding:
    """One number of a device against its limit.

    Attributes
    ----------
    name : str
    limit : Limit
    value : float
        In the limit's unit; NaN where there is no such number, ``words`` then says why.
    status : str
        `PASS`, `MARGINAL` or `FAIL`.
    words : str
        What it means for training.
    """

    name: str
    limit: Limit
    value: float
    status: str
    words: str


@functools.cache
def limits() -> dict[str, Limit]:
    """Return the limits by name, figures of the specification from the preset `REFERENCE`."""
    spec = presets.load(REFERENCE)
    preset = f"specification of 2016, preset {REFERENCE}"
    assumed = "assumed: up and down steps alike within 5 % on average, 2 % from device to device"
    derived = "derived: a linear device with the asymmetry allowed here has its symmetry point there"
    return {
        "states": Limit(
            "States", "states", _STATES, f"assumed: 1000, somewhat below the {spec.n_states:.0f} of preset {REFERENCE}",
            "range over granularity, nominal device",
            "The range holds enough steps for small gradients to add up.",
            "One pulse is a large part of the range: small gradients are lost or overshoot.", at_least=True,
        ),
        "asymmetry": Limit(
            "Asymmetry at zero", "%", 100 * _ASYMMETRY, assumed,
            "difference of up and down step over their mean at weight zero, nominal device",
            "Up and down pulses cancel around zero.",
            "Pulses that should cancel leave a net move: the weights wander off zero without any gradient.",
        ),
        "asymmetry_range": Limit(
            "Asymmetry over the range", "%", 100 * _ASYMMETRY, assumed,
            f"largest difference of up and down step over their mean within {100 * _MIDDLE:.0f} % of the bounds",
            "Up and down pulses cancel wherever a weight stands.",
            "Plain gradient descent pulls every weight back to the symmetry point, the harder the further it is away.",
        ),
        "asymmetry_spread": Limit(
            "Asymmetry spread", "%", 100 * _ASYMMETRY_SPREAD, assumed,
            "standard deviation over devices of the difference of up and down step, over the mean step, at zero",
            "Devices are alike in their asymmetry.",
            "Each device drifts in its own direction; no common correction removes that.", sampled=True,
        ),
        "symmetry_mean": Limit(
            "Symmetry point", "%", 50 * _ASYMMETRY, derived,
            "distance of the mean symmetry point from zero, in half ranges",
            "What pulls on the weights pulls towards zero.",
            "The weights are pulled towards a point away from zero; a reference device has to take it off.",
        ),
        "symmetry_spread": Limit(
            "Symmetry point spread", "%", 50 * _ASYMMETRY_SPREAD, derived,
            "standard deviation of the symmetry point over devices, in half ranges",
            "All devices are pulled to the same point.",
            "Every device is pulled to a point of its own: zero the symmetry points one by one, or use an algorithm "
            "that tracks them.", sampled=True,
        ),
        "step_noise": Limit(
            "Noise to step", "%", 100 * spec.dw_min_std, f"{preset}, dw_min_std",
            "noise of one pulse over the step at weight zero, nominal device",
            "A single pulse goes where it should.",
            "A single pulse goes the wrong way often; many pulses are needed before the gradient stands out.",
        ),
        "step_spread": Limit(
            "Step spread", "%", 100 * spec.dw_min_dtod, f"{preset}, dw_min_dtod",
            "standard deviation of the step at zero over devices, over its mean",
            "Devices learn at similar rates.", "Some devices learn many times faster than others.", sampled=True,
        ),
        "bound_spread": Limit(
            "Bound spread", "%", 100 * spec.w_max_dtod, f"{preset}, w_max_dtod and w_min_dtod",
            "standard deviation of the bounds over devices, over their mean; the larger of upper and lower",
            "Few devices have too small a range.",
            "Many devices have little range: their weights saturate early.", sampled=True,
        ),
        "write_noise": Limit(
            "Write noise to range", "%", 100 * _WRITE_SHARE,
            f"assumed, about {_STATES * _WRITE_SHARE:.0f} states; not part of the specification",
            "error of a written weight over the range, nominal device",
            "A read sees the state that the pulses act on.",
            "A read sees a weight far from the state that the pulses act on: gradients are taken at the wrong place.",
        ),
    }  # fmt: skip


def assess(device: Device, response: xr.Dataset, seed: int) -> list[Finding]:
    """Compare a device with the limits.

    Parameters
    ----------
    device : Device
    response : xarray.Dataset
        Result of `PulseResponse` for this device: gives the symmetry points and the number of devices.
    seed : int
        The one of that response.

    Returns
    -------
    list of Finding
        One for each of `limits`, in their order.
    """
    n = response.sizes["device"]
    values = _nominal_numbers(device) | _population_numbers(device, n, seed)
    values |= _symmetry_numbers(device, response["symmetry_point"].values)
    errors = {"symmetry_mean": values["symmetry_spread"] / math.sqrt(n)}
    errors |= {k: limit.value / math.sqrt(2 * max(n - 1, 1)) for k, limit in limits().items() if limit.sampled}
    found = [_judge(name, limit, values[name], errors.get(name, 0.0)) for name, limit in limits().items()]
    pulled = any(f.status == FAIL for f in found if f.name in ("asymmetry", "asymmetry_range"))
    return [_without_point(f, pulled) if math.isnan(f.value) else f for f in found]


def verdict(findings: list[Finding]) -> str:
    """Return one sentence on the whole."""
    named = {s: [f.limit.label.lower() for f in findings if f.status == s] for s in (FAIL, MARGINAL)}
    if not named[FAIL] and not named[MARGINAL]:
        return f"Keeps all {len(findings)} limits: plain gradient descent should train as in floating point."
    parts = [f"Outside: {', '.join(named[FAIL])}."] if named[FAIL] else []
    parts += [f"Close to the limit: {', '.join(named[MARGINAL])}."] if named[MARGINAL] else []
    return " ".join(parts)


def _nominal_numbers(device: Device) -> dict[str, float]:
    low, high = device.range
    middle = np.linspace(_MIDDLE * low, _MIDDLE * high, _GRID) if np.isfinite(high - low) else np.zeros(1)
    cell, at = device.nominal_cell(), np.r_[0.0, middle]
    (up, up_noise), (down, down_noise) = (device.steps_of(cell, at, way) for way in (1, -1))
    asymmetry = np.abs(_asymmetry(up.astype(float), down.astype(float)))
    return {
        "states": device.n_states,
        "asymmetry": 100 * float(asymmetry[0]),
        "asymmetry_range": 100 * float(asymmetry[1:].max()),
        "step_noise": 100 * _ratio(float(up_noise[0] + down_noise[0]), float(up[0] + down[0])),
        "write_noise": 100 * (write_noise(device) or 0.0) / (high - low),
    }


def _population_numbers(device: Device, n_devices: int, seed: int) -> dict[str, float]:
    """Return spreads over the devices that the response has drawn; stuck ones are left out."""
    cells = {n: c[:, 0].numpy() for n, c in Tile(n_devices, 1, device, seed=seed).cells.items()}
    up, down = (device.steps_of(cells, np.zeros(n_devices), way)[0].astype(float) for way in (1, -1))
    moves = np.abs(up) + np.abs(down) > 0
    step = 0.5 * (up + down)[moves]
    low, high = (np.asarray(bound, float)[moves] for bound in _bounds(device, cells))
    return {
        "asymmetry_spread": 100 * _ratio(_std((up - down)[moves]), float(step.mean()) if step.size else 0.0),
        "step_spread": 100 * _relative_spread(step),
        "bound_spread": 100 * max(_relative_spread(low), _relative_spread(high)),
    }


def _bounds(device: Device, cells: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return lower and upper bound of each device; zeros, which have no spread, where the class has no bounds."""
    if np.isfinite(device.range[1] - device.range[0]):
        return device.cell_range(cells)
    none = np.zeros_like(next(iter(cells.values())))
    return none, none


def _symmetry_numbers(device: Device, points: np.ndarray) -> dict[str, float]:
    known = points[np.isfinite(points)]
    half = 0.5 * (device.range[1] - device.range[0])
    if not known.size or not np.isfinite(half):
        return {"symmetry_mean": math.nan, "symmetry_spread": math.nan}
    return {"symmetry_mean": 100 * abs(float(known.mean())) / half, "symmetry_spread": 100 * _std(known) / half}


def _judge(name: str, limit: Limit, value: float, standard_error: float) -> Finding:
    allowed = limit.value + _STANDARD_ERRORS * standard_error
    miss = limit.value / value if limit.at_least else value / allowed
    status = PASS if not miss > 1 + _ROUNDING else MARGINAL if miss <= MARGIN else FAIL
    words = limit.good if status == PASS else limit.bad
    if status == PASS and not limit.at_least and value > limit.value * (1 + _ROUNDING):
        words += " Above its limit by no more than chance explains for this number of devices."
    return Finding(name, limit, value, status, words)


def _without_point(finding: Finding, pulled: bool) -> Finding:
    if pulled:
        words = "No device has a point where its steps are equal: the weights are driven into a bound."
        return Finding(finding.name, finding.limit, math.nan, FAIL, words)
    words = "Up and down steps are alike everywhere: nothing pulls on the weights."
    return Finding(finding.name, finding.limit, math.nan, PASS, words)


def _asymmetry(up: Any, down: Any) -> np.ndarray:
    """Return the difference over the mean of two step sizes; 2 where only one of the directions moves."""
    mean = 0.5 * (np.abs(up) + np.abs(down))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(mean > 0, (np.asarray(up) - np.asarray(down)) / mean, 0.0)


def _ratio(noise: float, step: float) -> float:
    return noise / step if step > 0 else (math.inf if noise > 0 else 0.0)


def _std(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1)) if np.size(values) > 1 else 0.0


def _relative_spread(values: np.ndarray) -> float:
    mean = abs(float(np.mean(values))) if np.size(values) else 0.0
    return _std(values) / mean if mean > 0 else 0.0


def write_noise(device: Device) -> float | None:
    """Return the standard deviation between state and read weight (weight units); None where a class has none."""
    own = getattr(device, "write_noise", None)  # a device in Python says it itself
    if own is not None:
        return float(own)
    values = device.physical_values()
    share = values.get("write_noise_std")
    return None if share is None else float(share * values["dw_min"])
