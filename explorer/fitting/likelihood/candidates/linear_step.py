# SPDX-License-Identifier: Apache-2.0
"""Linear step between hard bounds."""

from __future__ import annotations

import numpy as np

from ..effects import Slope
from .base import (
    BOUNDS,
    STEP_SCALES,
    Candidate,
    Coordinate,
    Values,
    bound_start,
    bound_values,
    step_start,
    step_values,
)
from .constant_step import UP_DOWN, W_MAX, W_MIN

MULT_NOISE = (True, False)


class LinearStep(Candidate):
    """``step = s (1 + r w)`` up to a hard bound; ``gamma = -r w_bound``."""

    stem = "linear_step"
    title = "Linear step"
    shown = {
        "dw_min": ("w", "step at w = 0 of the stronger direction"),
        "up_down": UP_DOWN,
        "gamma_up": ("1", "relative loss of the up step between w = 0 and w_max"),
        "gamma_down": ("1", "relative loss of the down step between w = 0 and w_min"),
        "w_max": W_MAX,
        "w_min": W_MIN,
    }
    effects = (STEP_SCALES, *BOUNDS, Slope("gamma_up", "r_up", "w_max"), Slope("gamma_down", "r_down", "w_min"))
    hard_bounds = True

    def variants(self):
        """Return the noise forms: in proportion to the step, and the same everywhere."""
        return [type(self)(self.scene, **{**self.options, "mult_noise": form}) for form in MULT_NOISE]

    def coordinates(self) -> list[Coordinate]:
        """Return step scales, relative slopes (1/w), and the hard bounds asked for."""
        lines = self.scene.lines
        slopes = [Coordinate(f"r_{name}", lines[way][1] / lines[way][0]) for name, way in (("up", 1), ("down", -1))]
        return step_start(self.scene) + slopes + bound_start(self.scene, self.options)

    def device_values(self, x: Values) -> dict:
        """Return step, slopes and bounds."""
        bounds = bound_values(self, x)
        gammas = {
            "gamma_up": -np.asarray(x["r_up"]) * bounds["w_max"],
            "gamma_down": -np.asarray(x["r_down"]) * bounds["w_min"],
        }
        return {**step_values(x["s_up"], x["s_down"]), **gammas, **bounds}

    def fixed(self) -> dict[str, float | bool]:
        """Steps may grow: a negative gamma is kept as it is."""
        return {"allow_increasing": True, "mean_bound_reference": True, "mult_noise": self.options.get("mult_noise", True)}
