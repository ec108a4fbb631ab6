# SPDX-License-Identifier: Apache-2.0
"""Constant step between hard bounds."""

from __future__ import annotations

from .base import Candidate, Coordinate, Values, bound_start, bound_values, step_values

DW_MIN = ("w", "step of the stronger direction")
UP_DOWN = ("1", "asymmetry of the step scales; positive: down steps are smaller")
W_MAX = ("w", "upper bound, where up pulses stop acting")
W_MIN = ("w", "lower bound, where down pulses stop acting")


class ConstantStep(Candidate):
    """``step = s`` up to a hard bound."""

    stem = "constant_step"
    title = "Constant step"
    shown = {"dw_min": DW_MIN, "up_down": UP_DOWN, "w_max": W_MAX, "w_min": W_MIN}
    hard_bounds = True

    def coordinates(self) -> list[Coordinate]:
        """Return step scales, and the hard bounds asked for."""
        ways = (("up", 1), ("down", -1))
        mean = [Coordinate(f"s_{name}", self.scene.mean_step(way), True) for name, way in ways]
        return mean + bound_start(self.scene, self.options)

    def device_values(self, x: Values) -> dict:
        """Return step and bounds."""
        return {**step_values(x["s_up"], x["s_down"]), **bound_values(self, x)}
