# SPDX-License-Identifier: Apache-2.0
"""From the fits of all devices to the parameters of the class, with errors and correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine import ops

from .common_noise import CommonNoise, common_noise
from .common_shape import errors_of_shapes
from .device_fit import DeviceFit, upper_limit
from .effects import Cohort
from .marginal import marginal
from .parameters import Parameter, held, is_signed, parameter

NOISE = {
    "dw_min_std": ("1", "cycle-to-cycle noise of a step, relative to the step"),
    "write_noise_std": ("1", "error of a written weight, relative to dw_min"),
    "read_std": ("w", "scatter of a reading about the weight"),
}

TOGETHER = "write and read noise together: a weight was never read twice between two pulses"
NO_WRITE_NOISE = "this class has no write noise; the scatter of readings counts as read noise"


def settle(fits: Sequence[DeviceFit]) -> list[DeviceFit]:
    """Return the fits with bounds that no reading speaks of put at the edge of the states seen."""
    states = [f.objective.filtered(f.u, states=True).state[0] for f in fits]
    low, high = min(float(s.min()) for s in states), max(float(s.max()) for s in states)
    return [replace(f, candidate=f.candidate.settled(low, high)) for f in fits]


def noise_names(fits: Sequence[DeviceFit]) -> list[str]:
    """Return the noise parameters that the class and the data have."""
    first = fits[0]
    writes = ops.schema(first.candidate.header)["has_write_noise"]
    names = [] if first.candidate.own_noise else ["dw_min_std"]
    apart = any(f.device.repeated for f in fits)
    return names + (
        ["write_noise_std", "read_std"] if writes and apart else ["write_noise_std" if writes else "read_std"]
    )


def with_noise(fit: DeviceFit, x: dict) -> dict[str, np.ndarray]:
    """Return natural quantities with the noise under its names in the class."""
    found = fit.candidate.natural(x)
    writes = ops.schema(fit.candidate.header)["has_write_noise"]
    write, read = np.asarray(x["write_std"]), np.asarray(x.get("read_std", 0.0))
    scale = found["dw_min"] if "dw_min" in found else fit.candidate.physical_values(x)["dw_min"]
    if writes:
        return {**found, "dw_min": scale, "write_noise_std": write / scale, "read_std": read}
    return {**found, "read_std": np.hypot(write, read)}


def of_one(fit: DeviceFit) -> tuple[dict[str, Parameter], np.ndarray]:
    """Return the parameters of one device, and their covariance on the scales of their intervals."""
    described = {**fit.candidate.described(), **{n: NOISE[n] for n in noise_names([fit])}}
    names = list(described)
    stem = fit.candidate.stem
    signed = [is_signed(n, stem) for n in names]

    def scaled(x: dict) -> list[np.ndarray]:
        found = with_noise(fit, x)
        sets = np.shape(next(iter(x.values())))
        rows = [np.broadcast_to(np.asarray(found[n], float), sets) for n in names]
        return [r if s else np.log(np.maximum(np.abs(r), 1e-300)) for r, s in zip(rows, signed, strict=True)]

    _, covariance = fit.spread_of(scaled)
    values = {n: float(np.ravel(with_noise(fit, fit.values())[n])[0]) for n in names}
    made = {}
    for i, name in enumerate(names):
        made[name] = _of_one(fit, name, values[name], float(np.sqrt(covariance[i, i])), described[name], signed[i])
    return made, covariance


def _of_one(fit: DeviceFit, name: str, value: float, error: float, described, signed: bool) -> Parameter:
    unit, meaning = described
    if fit.held.get(name) == "far":
        return held(
            name, value, unit, meaning, f"{name} is not determined: steps do not shrink towards it in these data"
        )
    unseen = _unseen(fit, name)
    if unseen:
        return held(name, 0.0, unit, meaning, f"{name} is not resolved beside the other noise", limit=unseen)
    if error == 0.0:
        bound = name in ("w_max", "w_min")
        note = f"{name} is not determined: no reading comes near it" if bound and fit.candidate.hard_bounds else ""
        return held(name, value, unit, meaning, note)
    stderr = error if signed else error * abs(value)
    made = parameter(name, value, stderr, unit, meaning, signed=signed, freedom=max(fit.transitions - fit.u.size, 1))
    missing = [b for b in ("w_max", "w_min") if name == f"gamma_{_END[b]}" and b not in fit.values()]
    if missing and fit.candidate.stem == "linear_step":
        made = replace(made, note=made.note or f"holds for {missing[0]} = {_bound(fit, missing[0]):.3g}; only "
                       "their ratio follows from the data")  # fmt: skip
    return made


def _unseen(fit: DeviceFit, name: str) -> float:
    """Return the upper limit of a noise that was held at 0, in the unit of the parameter; 0 for others."""
    source = {"write_noise_std": "write_std", "read_std": "read_std" if fit.device.repeated else "write_std"}.get(
        name, name
    )
    if fit.held.get(source) != "nothing":
        return 0.0
    scale = float(np.ravel(with_noise(fit, fit.values())["dw_min"])[0]) if name == "write_noise_std" else 1.0
    return upper_limit(fit, source) / scale


_END = {"w_max": "up", "w_min": "down"}


def _bound(fit: DeviceFit, name: str) -> float:
    return float(np.ravel(fit.candidate.device_values(fit.values())[name])[0])


def of_population(fits: Sequence[DeviceFit]) -> dict[str, Parameter]:
    """Return means and spreads over devices, and the noise that they share."""
    together = common_noise(fits)
    if together:
        fits = together.fits
    if fits[0].candidate.curved:
        fits = marginal(fits, together.names if together else [])
    cohort = Cohort(fits)
    described = fits[0].candidate.described()
    made: dict[str, Parameter] = {}
    for effect in fits[0].candidate.effects:
        made |= {p.name: p for p in effect.of(cohort, described)}
    if together:
        made |= errors_of_shapes(made, together, described)
        made |= _shared_noise(together, made, described)
    for name in (n for n in [*described, *noise_names(fits)] if n not in made):
        value = float(np.ravel(with_noise(fits[0], fits[0].values())[name])[0])
        unit, meaning = described.get(name) or NOISE[name]
        made[name] = held(name, value, unit, meaning, "")
    ordered = [*described, *noise_names(fits)]
    return {n: made[n] for n in [*ordered, *(n for n in made if n not in ordered)]}


def _shared_noise(together: CommonNoise, made: dict[str, Parameter], described) -> dict[str, Parameter]:
    """Return the parameters that follow from the common noise, errors by how the devices scatter about it."""
    first = together.fits[0]
    covariance = np.zeros_like(first.covariance)
    at = [first.objective.names.index(n) for n in together.names]
    covariance[np.ix_(at, at)] = together.covariance
    typical = replace(first, covariance=covariance)
    if first.candidate.own_noise:
        typical = _mean_device(typical, together.fits, at)
    wanted = {n: NOISE[n] for n in noise_names(together.fits)}
    if first.candidate.own_noise:
        wanted |= {n: d for n, d in described.items() if n.startswith("spread_")}
    wanted |= {n: described[n] for n in first.candidate.common_shown}
    scale = made.get("dw_min")
    names = [n for n in wanted if n != "write_noise_std"]
    found = {}
    if names:
        values, errors = typical.spread_of(lambda x: [with_noise(typical, x)[n] for n in names])
        found = {
            n: (float(v), float(np.sqrt(errors[i, i]))) for i, (n, v) in enumerate(zip(names, values, strict=True))
        }
    if "write_noise_std" in wanted:
        found["write_noise_std"] = _relative_write_noise(typical, scale, together.fits)
    free = max(len(together.fits) - 1, 1)
    signed = {n: is_signed(n, first.candidate.stem) and not n.startswith("spread_") for n in found}
    return {n: parameter(n, v, e, *wanted[n], signed=signed[n], freedom=free) for n, (v, e) in found.items()}


def _mean_device(typical: DeviceFit, fits: Sequence[DeviceFit], common: Sequence[int]) -> DeviceFit:
    """Return the device whose curve is the mean of all, with the error of that mean: noise is relative to its steps."""
    u = np.array([f.u for f in fits])
    rest = np.setdiff1d(np.arange(u.shape[1]), common)
    mean, covariance = typical.u.copy(), typical.covariance.copy()
    mean[rest] = u[:, rest].mean(0)
    covariance[np.ix_(rest, rest)] = np.cov(u[:, rest].T) / len(fits)
    return replace(typical, u=mean, covariance=covariance)


def _relative_write_noise(fit: DeviceFit, scale: Parameter | None, fits: Sequence[DeviceFit]) -> tuple[float, float]:
    """Return write noise in units of the population's step, and its standard error."""
    if "write_std" not in fit.objective.names:
        return 0.0, np.nan
    i = fit.objective.names.index("write_std")
    step, error = (scale.value, np.nan_to_num(scale.stderr)) if scale else _mean_step(fits)
    value = float(fit.values()["write_std"][0]) / step
    relative = np.hypot(np.sqrt(fit.covariance[i, i]), error / step)
    return value, value * float(relative)


def _mean_step(fits: Sequence[DeviceFit]) -> tuple[float, float]:
    """Return the step scale of the mean device and its error, for a class that has no ``dw_min`` of its own."""
    mean = {n: np.mean([f.values()[n] for f in fits], axis=0) for n in fits[0].values()}
    each = [float(np.ravel(f.candidate.physical_values(f.values())["dw_min"])[0]) for f in fits]
    step = float(np.ravel(fits[0].candidate.physical_values(mean)["dw_min"])[0])
    return step, float(np.std(each, ddof=1) / np.sqrt(len(each)))


def noise_notes(fits: Sequence[DeviceFit]) -> list[str]:
    """Say what the noise of readings stands for."""
    if not ops.schema(fits[0].candidate.header)["has_write_noise"]:
        return [NO_WRITE_NOISE]
    return [] if any(f.device.repeated for f in fits) else [f"write_noise_std is {TOGETHER}"]
