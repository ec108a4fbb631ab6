# SPDX-License-Identifier: Apache-2.0
"""From fitted shapes and noise to device parameters with standard errors and reservations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from .models import ResponseModel, Solution
from .noise_budget import NoiseBudget
from .recursion import Shape, both
from .result import Estimate
from .trace import DIRECTION_NAMES, DOWN, UP

NOISE_PARAMETERS = {
    "dw_min_std": ("1", "cycle-to-cycle noise of a step, relative to the step"),
    "write_noise_std": ("1", "write and read noise of a reading, relative to dw_min"),
}


def estimates(
    model: ResponseModel, solutions: Mapping[int, Solution], budget: NoiseBudget
) -> tuple[dict[str, Estimate], list[str]]:
    """Return the device parameters by name, and notes."""
    held, reasons = _held(model, solutions)
    free = np.concatenate([s.free for s in solutions.values()])
    noise = np.array([budget.relative_var, budget.read_var])
    covariance = _block_diagonal(
        [*budget.covariance.values(), np.diag([budget.relative_var_se**2, budget.read_var_se**2])]
    )

    def values_at(point: np.ndarray) -> dict[str, float]:
        shapes, at = {}, 0
        for direction, solution in solutions.items():
            shape = solution.form.shape(*point[at : at + solution.free.size])
            at += solution.free.size
            bound = held[direction].bound if np.isinf(shape.bound) else shape.bound
            shapes[direction] = replace(shape, bound=bound)
        values = model.device_values(*both(shapes))
        relative, read = point[at:]
        values["dw_min_std"] = math.sqrt(max(relative, 0.0)) if not math.isnan(relative) else math.nan
        values["write_noise_std"] = math.sqrt(read) / values["dw_min"] if read >= 0 else math.nan
        return values

    point = np.concatenate([free, noise])
    values = values_at(point)
    errors = _propagated(values_at, point, covariance)
    return _collected(model, values, errors, reasons)


def _held(model, solutions: Mapping[int, Solution]) -> tuple[dict[int, Shape], dict[str, str]]:
    """Return complete shapes by direction, and why parameters are not determined, by name."""
    states = np.concatenate([d * s.fitted.curve for d, s in solutions.items()])
    held: dict[int, Shape] = {}
    reasons: dict[str, str] = {}
    for direction, solution in solutions.items():
        held[direction], why = model.held(solution, float((direction * states).max()))
        reasons |= why
    for direction in {UP, DOWN} - {*solutions}:
        name = DIRECTION_NAMES[direction]
        why = f"no {name} ramp was measured; {name} pulses are taken as the mirror image of the others"
        reasons |= dict.fromkeys((*model.of_direction[direction], "up_down"), why)
    return held, reasons


def _propagated(
    values_at: Callable[[np.ndarray], dict[str, float]], point: np.ndarray, covariance: np.ndarray
) -> dict[str, float]:
    """Return standard errors of functions of the free numbers, by their first derivatives."""
    names = list(values_at(point))
    rows = []
    for i, value in enumerate(point):
        h = 1e-6 * abs(value) if value else 1e-12
        moved = [np.array(point), np.array(point)]
        moved[0][i] += h
        moved[1][i] -= h
        high, low = map(values_at, moved)
        rows.append([(high[name] - low[name]) / (2 * h) for name in names])
    slopes = np.nan_to_num(np.array(rows), posinf=0.0, neginf=0.0)
    with np.errstate(invalid="ignore"):
        variances = np.einsum("iv,ij,jv->v", slopes, np.nan_to_num(covariance), slopes)
    return dict(zip(names, np.sqrt(np.maximum(variances, 0.0)).tolist(), strict=True))


def _collected(model, values, errors, reasons) -> tuple[dict[str, Estimate], list[str]]:
    """Put everything into `Estimate` objects; a number smaller than its error is not determined."""
    found, notes = {}, []
    for name, (unit, meaning) in {**model.parameters, **NOISE_PARAMETERS}.items():
        value, error, why = values[name], errors[name], reasons.get(name, "")
        if why or math.isnan(value):
            error = math.nan
        elif unit == "w" and error > abs(value):
            why = f"{name} is not determined: its standard error {error:.2g} exceeds the value {value:.3g}"
        if name in NOISE_PARAMETERS and value == 0:
            error = math.nan
        found[name] = Estimate(name, value, error, unit, meaning, why)
        if why and why not in notes:
            notes.append(why)
    return found, notes


def _block_diagonal(blocks: list[np.ndarray]) -> np.ndarray:
    size = sum(len(block) for block in blocks)
    out, at = np.zeros((size, size)), 0
    for block in blocks:
        out[at : at + len(block), at : at + len(block)] = block
        at += len(block)
    return out
