# SPDX-License-Identifier: Apache-2.0
"""Soft bounds: the step shrinks linearly and vanishes at the bound."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..recursion import AFFINE, Shape, affine_guess, limited
from ..stack import Stack
from ..trace import DOWN, UP
from .base import ResponseModel, Solution, dw_min_and_up_down, least_squares, step_scales

FARTHEST_BOUND = 10.0
"""Bounds are sought up to this many times the largest reading; beyond, the curve is a straight line."""


def _limit(stack: Stack) -> float:
    return FARTHEST_BOUND * float(np.abs(stack.y).max())


class SoftBounds(ResponseModel):
    """``step = s * (1 - w / bound)`` with ``s_up, w_max`` up and ``s_down, w_min`` down."""

    stem = "soft_bounds"
    title = "Soft bounds"
    parameters = {
        "dw_min": ("w", "step at w = 0 of the stronger direction"),
        "up_down": ("1", "asymmetry of the steps at w = 0"),
        "w_max": ("w", "upper bound, where up steps vanish"),
        "w_min": ("w", "lower bound, where down steps vanish"),
    }
    of_direction = {UP: ("w_max",), DOWN: ("w_min",)}

    def guess(self, stack: Stack) -> Shape:
        found = affine_guess(stack)
        return found if 0 < found.fixed_point <= _limit(stack) else limited(_limit(stack)).shape(found.step0)

    def solve(self, stack: Stack, start: Shape) -> Solution:
        """Fit step and bound; where the steps do not shrink the bound is held at its limit."""
        found = least_squares(AFFINE, start, stack)
        if 0 < found.shape.fixed_point <= _limit(stack):
            return found
        return least_squares(limited(_limit(stack)), found.shape, stack)

    def held(self, solution: Solution, reach: float) -> tuple[Shape, dict[str, str]]:
        if solution.form is AFFINE:
            return solution.shape, {}
        direction = solution.stack.direction
        name = self.of_direction[direction][0]
        bound = direction * solution.shape.fixed_point
        note = f"{name} is at its limit {bound:.4g}: the steps do not shrink towards a bound in these data"
        return solution.shape, {name: note}

    def device_values(self, up: Shape, down: Shape) -> dict[str, float]:
        return {
            **dw_min_and_up_down(up.step0, down.step0),
            "w_max": up.fixed_point,
            "w_min": -down.fixed_point,
        }

    def shapes(self, values: Mapping[str, float]) -> tuple[Shape, Shape]:
        s_up, s_down = step_scales(values)
        return Shape(s_up, -s_up / values["w_max"]), Shape(s_down, s_down / values["w_min"])
