# SPDX-License-Identifier: Apache-2.0
"""From the fits of all devices to the parameters of the class, with errors and correlations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engine import ops

from .device_fit import DeviceFit
from .effects import Cohort, Shared
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
    return names + (["write_noise_std", "read_std"] if writes and apart else ["write_noise_std" if writes else "read_std"])


def with_noise(fit: DeviceFit, x: dict) -> dict[str, np.ndarray]:
    """Return natural quantities with the noise under its names in the class."""
    found = fit.candidate.natural(x)
    writes = ops.schema(fit.candidate.header)["has_write_noise"]
    write, read = np.asarray(x["write_std"]), np.asarray(x.get("read_std", 0.0))
    scale = found["dw_min"] if "dw_min" in found else fit.candidate.physical_values(x)["dw_min"]
    if writes:
        return {**found, "write_noise_std": write / scale, "read_std": read}
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
    if name in fit.held:
        return held(name, value, unit, meaning, f"{name} is not determined: steps do not shrink towards it in these data")
    if error == 0.0:
        bound = name in ("w_max", "w_min")
        note = f"{name} is not determined: no reading comes near it" if bound and fit.candidate.hard_bounds else ""
        return held(name, value, unit, meaning, note)
    stderr = error if signed else error * abs(value)
    made = parameter(name, value, stderr, unit, meaning, signed=signed, freedom=max(fit.transitions - fit.u.size, 1))
    missing = [b for b in ("w_max", "w_min") if name == f"gamma_{_END[b]}" and b not in fit.values()]
    if missing and fit.candidate.stem == "linear_step":
        made = replace(made, note=made.note or f"holds for {missing[0]} = {_bound(fit, missing[0]):.3g}; only their ratio "
                       "follows from the data")  # fmt: skip
    return made


_END = {"w_max": "up", "w_min": "down"}


def _bound(fit: DeviceFit, name: str) -> float:
    return float(np.ravel(fit.candidate.device_values(fit.values())[name])[0])


def of_population(fits: Sequence[DeviceFit]) -> dict[str, Parameter]:
    """Return means and spreads over devices."""
    cohort = Cohort(fits)
    described = fits[0].candidate.described()
    made: dict[str, Parameter] = {}
    for effect in fits[0].candidate.effects:
        made |= {p.name: p for p in effect.of(cohort, described)}
    made |= _noise_of_population(fits, made)
    for name, (unit, meaning) in described.items():
        if name not in made:
            value = float(np.ravel(fits[0].candidate.natural(fits[0].values())[name])[0])
            made[name] = held(name, value, unit, meaning, "")
    ordered = [*described, *noise_names(fits)]
    return {n: made[n] for n in [*ordered, *(n for n in made if n not in ordered)]}


def _noise_of_population(fits: Sequence[DeviceFit], made: dict[str, Parameter]) -> dict[str, Parameter]:
    described = {"dw_min_std": NOISE["dw_min_std"], "write_std": ("w", ""), "read_std": NOISE["read_std"]}
    names = noise_names(fits)
    cohort = Cohort(fits)
    wanted = [n for n in described if n in fits[0].values()]
    found = {p.name: p for n in wanted for p in Shared(n, logarithmic=True).of(cohort, described)}
    if "write_noise_std" in names:
        scale = made.get("dw_min")
        scale_value = scale.value if scale else fits[0].candidate.physical_values(fits[0].values())["dw_min"].item()
        relative = np.hypot(found["write_std"].stderr / found["write_std"].value,
                            np.nan_to_num(scale.stderr) / scale.value if scale else 0.0)  # fmt: skip
        value = found["write_std"].value / scale_value
        made_noise = parameter("write_noise_std", value, value * float(relative), *NOISE["write_noise_std"], signed=False,
                               freedom=max(len(fits) - 1, 1))  # fmt: skip
        found["write_noise_std"] = made_noise
    elif "read_std" in names and "read_std" not in found:
        p = found["write_std"]
        found["read_std"] = replace(p, name="read_std", meaning=NOISE["read_std"][1])
    return {n: p for n, p in found.items() if n in names}


def noise_notes(fits: Sequence[DeviceFit]) -> list[str]:
    """Say what the noise of readings stands for."""
    if not ops.schema(fits[0].candidate.header)["has_write_noise"]:
        return [NO_WRITE_NOISE]
    return [] if any(f.device.repeated for f in fits) else [f"write_noise_std is {TOGETHER}"]
