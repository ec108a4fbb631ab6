# SPDX-License-Identifier: Apache-2.0
"""The first fit: device parameters by least squares on the noise-free response, noise from what is left.

Every ramp starts at its own free point, both directions are fitted on their own. How wide the errors are
follows from the noise found, see `explorer.fitting.covariance`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from engine.errors import near_miss

from . import models
from .errors import refusal
from .estimates import estimates
from .measured import Measured
from .models import ResponseModel, Solution
from .noise_budget import noise_budget
from .normalise import Normalised
from .ramps import Ramp, averaged, usable_ramps
from .recursion import Shape, both
from .result import FitResult
from .stack import Stack
from .trace import DIRECTION_NAMES, DOWN, UP

CYCLES = ("joint", "average")


def fit(
    measured: Measured | Normalised,
    model: str = "soft_bounds",
    *,
    cycles: str = "joint",
    start: Mapping[str, float] | None = None,
) -> FitResult:
    """Fit the parameters of one device to measured ramps.

    Parameters
    ----------
    measured : Measured or Normalised
        A `Measured` is normalised with its defaults first. All traces are taken as one device.
    model : str
        A stem of `explorer.fitting.models`: ``soft_bounds`` or ``linear_step``.
    cycles : str
        ``joint`` fits all ramps at once, ``average`` the mean ramp of each direction over the pulses that
        all ramps have. Noise always comes from the single ramps.
    start : dict, optional
        Starting values by parameter name, for those that should not be guessed from the data.

    Raises
    ------
    MeasuredDataError
        If the model, an option or a starting value is not known or allowed, no ramp has three readings,
        or the readings run against the direction of the pulses.

    Notes
    -----
    About 0.1 s for 2000 readings on one core. Deterministic.
    """
    chosen = models.get(model)
    if cycles not in CYCLES:
        hint = near_miss(str(cycles), CYCLES).strip() or "Choose one of these."
        raise refusal("fit cycles", cycles, "is not known", ", ".join(CYCLES), hint)
    normalised = measured if isinstance(measured, Normalised) else measured.normalise()
    ramps, n_short = usable_ramps(normalised.traces)
    single = _stacks(ramps, normalised)
    stacks = single if cycles == "joint" else _stacks(averaged(ramps), normalised)
    starts = _starts(chosen, stacks, start)
    solutions = {d: chosen.solve(stack, starts[d]) for d, stack in stacks.items()}
    for direction, solution in solutions.items():
        _refuse_backward(direction, solution)
    budget = noise_budget(solutions, single)
    found, reasons = estimates(chosen, solutions, budget)
    stopped = [note for solution in solutions.values() for note in solution.notes]
    notes = (*_data_notes(normalised, n_short), *reasons, *budget.notes, *stopped)
    return FitResult(chosen, found, normalised, solutions, *_quality(solutions), notes, cycles)


def guess(measured: Measured | Normalised, model: str = "soft_bounds") -> dict[str, float]:
    """Return the starting values that `fit` takes from the data, by parameter name.

    Raises
    ------
    MeasuredDataError
        As `fit`.
    """
    chosen = models.get(model)
    normalised = measured if isinstance(measured, Normalised) else measured.normalise()
    stacks = _stacks(usable_ramps(normalised.traces)[0], normalised)
    return _guessed(chosen, {d: chosen.guess(stack) for d, stack in stacks.items()})


def _guessed(model: ResponseModel, shapes: Mapping[int, Shape]) -> dict[str, float]:
    for direction, shape in shapes.items():
        if not shape.step0 > 0:
            raise _backward(direction, shape.step0)
    return model.device_values(*both(shapes))


def _stacks(ramps: list[Ramp], normalised: Normalised) -> dict[int, Stack]:
    """Sort ramps by direction; refuse data without a usable one."""
    stacks = {}
    for direction in (UP, DOWN):
        group = tuple(ramp for ramp in ramps if ramp.direction == direction and len(ramp))
        if group:
            stacks[direction] = Stack(direction, group)
    if not stacks:
        rule = "no stretch of pulses in one direction is long enough to fit a curve"
        allowed = "at least 3 readings after pulses of one direction"
        remedy = "Measure ramps: many up pulses, then many down pulses."
        raise refusal(f"ramps in {normalised.measured.source_name}", 0, rule, allowed, remedy)
    return stacks


def _starts(model: ResponseModel, stacks: Mapping[int, Stack], start: Mapping[str, float] | None) -> dict[int, Shape]:
    """Return starting shapes: guessed, with the caller's values put in."""
    shapes = {d: model.guess(stack) for d, stack in stacks.items()}
    if not start:
        return shapes
    for name, value in start.items():
        if name not in model.parameters:
            hint = near_miss(name, model.parameters).strip() or "Leave it out."
            allowed = ", ".join(model.parameters)
            raise refusal("fit start", name, "is no parameter of this model", allowed, hint)
        if not math.isfinite(value):
            raise refusal(f"fit start {name}", float(value), "must be finite", "a number", "Correct it.")
    values = {**_guessed(model, shapes), **start}
    rules = (
        ("dw_min", values["dw_min"] > 0, "> 0"),
        ("up_down", abs(values["up_down"]) < 1, "-1 < up_down < 1"),
        ("w_max", values["w_max"] > 0, "> 0"),
        ("w_min", values["w_min"] < 0, "< 0"),
    )
    for name, kept, allowed in rules:
        if not kept:
            remedy = "Correct the starting value."
            raise refusal(f"fit start {name}", float(values[name]), "is out of range", allowed, remedy)
    up, down = model.shapes(values)
    return {d: up if d == UP else down for d in stacks}


def _refuse_backward(direction: int, solution: Solution) -> None:
    if not solution.shape.step0 > 0:
        raise _backward(direction, solution.shape.step0)


def _backward(direction: int, step0: float):
    name = DIRECTION_NAMES[direction]
    rule = f"{name} pulses do not move the reading {name} (mean step at w = 0)"
    remedy = "Check the direction column; swap +1 and -1 if the device has the other polarity."
    return refusal(f"fit step of {name} ramps", float(step0), rule, "> 0 w", remedy)


def _quality(solutions: Mapping[int, Solution]) -> tuple[float, float, int, int]:
    """Return residual rms, R², number of readings, number of ramps."""
    weights = np.concatenate([d * s.stack.y for d, s in solutions.items()])
    squares = sum(s.sum_of_squares for s in solutions.values())
    total = float(((weights - weights.mean()) ** 2).sum())
    n_ramps = sum(len(s.stack.ramps) for s in solutions.values())
    return math.sqrt(squares / weights.size), 1 - squares / total, weights.size, n_ramps


def _data_notes(normalised: Normalised, n_short: int) -> list[str]:
    """Say what was left out and what was lumped together."""
    notes = []
    summary = normalised.measured.summary()
    if summary.n_stuck:
        notes.append(f"{summary.n_stuck} stuck traces were left out")
    if n_short:
        notes.append(f"{n_short} ramps with fewer than 3 readings were left out")
    if summary.n_devices - summary.n_stuck > 1:
        notes.append(
            f"{summary.n_devices} devices were fitted as one; their spread is in the residual, not in a "
            "device-to-device parameter"
        )
    return notes
