# SPDX-License-Identifier: Apache-2.0
"""Soft bounds: the step falls linearly to zero at the bound."""

from __future__ import annotations

from .base import FAR, Candidate, Coordinate, Values, step_start, step_values
from .constant_step import UP_DOWN
from .linear_step import MULT_NOISE

NEAREST = 1.02
"""Start of a bound, in units of the farthest state seen, at least."""


class SoftBounds(Candidate):
    """``step = s (1 - w / w_bound)``."""

    stem = "soft_bounds"
    title = "Soft bounds"
    shown = {
        "dw_min": ("w", "step at w = 0 of the stronger direction"),
        "up_down": UP_DOWN,
        "w_max": ("w", "upper bound, where up steps vanish"),
        "w_min": ("w", "lower bound, where down steps vanish"),
    }

    def variants(self):
        """Return the noise forms: in proportion to the step, and the same everywhere."""
        return [type(self)(self.scene, **{**self.options, "mult_noise": form}) for form in MULT_NOISE]

    def coordinates(self) -> list[Coordinate]:
        """Return step scales and bounds."""
        return step_start(self.scene) + self.bounds()

    def bounds(self) -> list[Coordinate]:
        """Return the bounds, started where the lines of mean steps reach zero."""
        found = []
        for name, way, edge in (("w_max", 1, self.scene.high), ("w_min", -1, self.scene.low)):
            level, slope = self.scene.lines[way]
            least, most = NEAREST * way * edge, FAR * self.scene.span / 2
            zero = -level / (slope * way) if slope * way < 0 else most
            found.append(Coordinate(name, way * min(max(zero, least), max(most, least)), True))
        return found

    def device_values(self, x: Values) -> dict:
        """Return step and bounds."""
        return {**step_values(x["s_up"], x["s_down"]), "w_max": x["w_max"], "w_min": x["w_min"]}

    def fixed(self) -> dict[str, float | bool]:
        """Return the noise form."""
        return {"mult_noise": self.options.get("mult_noise", True)}
