# SPDX-License-Identifier: Apache-2.0
"""Linear step: the step changes linearly with the weight up to a hard bound."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..noise import moments
from ..recursion import AFFINE, CLIPPED, Shape, affine_guess
from ..stack import Stack
from ..trace import DOWN, UP
from .base import ResponseModel, Solution, dw_min_and_up_down, least_squares, step_scales

END_SHARE = 0.05
"""Part of a ramp at its end that may be a plateau."""

MIN_PLATEAU = 3
"""Readings at the bound below which there is no plateau."""

WALK = 1.2
"""Variance of the slope of a random walk of n steps, times n, in units of the variance of a step."""

MOST_RISE = 0.5
"""Rise per pulse on a plateau, relative to the step due there, that still counts as flat."""


def _usual_end(stack: Stack) -> float:
    """Return the median level at the end of the ramps."""
    ends = [y[-max(1, round(END_SHARE * y.size)) :].mean() for y in stack.split(stack.y)]
    return float(np.median(ends))


class LinearStep(ResponseModel):
    """``step = s * (1 - gamma * w / bound)``, clipped at the bound, for each direction."""

    stem = "linear_step"
    title = "Linear step"
    parameters = {
        "dw_min": ("w", "step at w = 0 of the stronger direction"),
        "up_down": ("1", "asymmetry of the steps at w = 0"),
        "w_max": ("w", "upper bound, where up pulses stop acting"),
        "w_min": ("w", "lower bound, where down pulses stop acting"),
        "gamma_up": ("1", "relative loss of the up step between w = 0 and w_max"),
        "gamma_down": ("1", "relative loss of the down step between w = 0 and w_min"),
    }
    of_direction = {UP: ("w_max", "gamma_up"), DOWN: ("w_min", "gamma_down")}

    def guess(self, stack: Stack) -> Shape:
        found = affine_guess(stack)
        return Shape(found.step0, found.slope, _usual_end(stack))

    def solve(self, stack: Stack, start: Shape) -> Solution:
        """Fit the curve with and without a plateau at its end; keep the plateau if the data call for it."""
        plain = least_squares(AFFINE, start, stack)
        end = _usual_end(stack)
        low = float(np.percentile(stack.y, 1))
        reached = stack.y > end - 0.05 * (end - low)
        rising = np.concatenate([np.cumsum(part) for part in stack.split(reached)]) == 0
        before = affine_guess(stack, keep=rising)
        starts = {Shape(s.step0, s.slope, b) for s in (start, before) for b in (start.bound, end)}
        clipped = [least_squares(CLIPPED, s, stack) for s in starts if np.isfinite(s.bound)]
        called_for = [c for c in clipped if _calls_for(c, plain)]
        return min([plain, *called_for], key=lambda s: s.sum_of_squares)

    def held(self, solution: Solution, reach: float) -> tuple[Shape, dict[str, str]]:
        shape = solution.shape
        if np.isfinite(shape.bound):
            return shape, {}
        bound, gamma = self.of_direction[solution.stack.direction]
        note = (
            f"{bound} is not determined: no plateau was reached. It is put at the end of the fitted curves; "
            f"{gamma} and its error hold for this {bound}, only their ratio follows from the data"
        )
        return Shape(shape.step0, shape.slope, min(reach, shape.fixed_point)), {bound: note}

    def device_values(self, up: Shape, down: Shape) -> dict[str, float]:
        return {
            **dw_min_and_up_down(up.step0, down.step0),
            "w_max": up.bound,
            "w_min": -down.bound,
            "gamma_up": -up.slope * up.bound / up.step0,
            "gamma_down": -down.slope * down.bound / down.step0,
        }

    def shapes(self, values: Mapping[str, float]) -> tuple[Shape, Shape]:
        s_up, s_down = step_scales(values)
        up = Shape(s_up, -values["gamma_up"] * s_up / values["w_max"], values["w_max"])
        down = Shape(s_down, values["gamma_down"] * s_down / values["w_min"], -values["w_min"])
        return up, down

    def fixed_values(self, values: Mapping[str, float]) -> dict[str, float | bool]:
        """A negative gamma (steps that grow) is folded to a positive one unless the device allows it."""
        grows = values["gamma_up"] < 0 or values["gamma_down"] < 0
        return {"gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0, "allow_increasing": grows}


def _calls_for(clipped: Solution, plain: Solution) -> bool:
    """Tell whether a plateau is in the data: readings at the bound stay flat, and the fit gains by it (BIC)."""
    noise = moments(plain.stack, plain.shape, plain.fitted)
    step_var = max(noise.step_var, 0.0) if noise else 0.0
    if clipped.shape.bound >= clipped.shape.fixed_point or not _flat(clipped, step_var):
        return False
    n = clipped.stack.y.size
    tiny = np.finfo(float).eps ** 2 * float(clipped.stack.y @ clipped.stack.y)  # exact data leave nothing
    gain = n * np.log(max(plain.sum_of_squares, tiny) / max(clipped.sum_of_squares, tiny))
    return gain > np.log(n)


def _flat(clipped: Solution, step_var: float) -> bool:
    """Tell whether readings at the bound rise clearly less than the step that would be due there.

    Ramps that merely end at different heights gain by a bound too, but go on rising; ramps with random
    steps may pause by chance, so the variance of a step widens the error of the rise.
    """
    stack, on = clipped.stack, (~clipped.fitted.active).astype(float)
    if on.sum() < MIN_PLATEAU:
        return False
    count = np.maximum(stack.sum(on), 1.0)
    x = on * (stack.n - stack.spread(stack.sum(on * stack.n) / count))
    y = on * (stack.y - stack.spread(stack.sum(on * stack.y) / count))
    spread = x @ x
    if spread == 0:
        return False
    rise = x @ y / spread
    rest = y - rise * x
    n_free = max(on.sum() - np.count_nonzero(stack.sum(on)) - 1, 1.0)
    error = np.sqrt(rest @ rest / n_free / spread + WALK * step_var / on.sum())
    due = float(clipped.shape.step(clipped.shape.bound))
    return bool(rise + 2 * error < MOST_RISE * due)
