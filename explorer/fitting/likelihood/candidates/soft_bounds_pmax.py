# SPDX-License-Identifier: Apache-2.0
"""Soft bounds by a measured curve: both directions have the same curvature."""

from __future__ import annotations

import numpy as np

from ..effects import Shared, SpreadsOf
from .base import BOUNDS, STEP_SCALES, Coordinate, Values, step_values
from .soft_bounds import SoftBounds


class SoftBoundsPmax(SoftBounds):
    """``w(p) = r_min + B (1 - exp(-alpha p))`` and its mirror image; ``p_max`` is the length of a ramp."""

    stem = "soft_bounds_pmax"
    title = "Soft bounds by measured curve"
    shown = {
        "alpha": ("1", "curvature of the response per pulse, of both directions"),
        "range_min": ("w", "weight from which p_max up pulses lead to range_max"),
        "range_max": ("w", "weight from which p_max down pulses lead to range_min"),
    }
    effects = (
        Shared("alpha", logarithmic=True),
        Shared("range_min"),
        Shared("range_max"),
        SpreadsOf(STEP_SCALES, ("dw_min", "up_down")),
        *(SpreadsOf(bound, (bound.name,)) for bound in BOUNDS),
    )

    def coordinates(self) -> list[Coordinate]:
        """Return curvature and bounds."""
        bounds = self.bounds()
        rate = np.mean([self.scene.lines[w][0] / abs(b.start) for w, b in zip((1, -1), bounds, strict=True)])
        return [Coordinate("alpha", -float(np.log1p(-min(rate, 0.9))), True), *bounds]

    def physical_values(self, x: Values) -> dict:
        """Return the soft bounds with that curvature: a step at w = 0 is the share of the way to the bound."""
        share = -np.expm1(-np.asarray(x["alpha"]))
        scales = step_values(share * x["w_max"], -share * x["w_min"])
        return {**scales, "w_max": x["w_max"], "w_min": x["w_min"]}

    def device_values(self, x: Values) -> dict:
        """Return the curve: ``w_max = r_min + B`` and ``w_min = r_max - B`` solved for the ends."""
        alpha = np.asarray(x["alpha"])
        reach = (x["w_max"] - x["w_min"]) / (1 + np.exp(-alpha * self.scene.ramp))
        return {"alpha": alpha, "range_min": x["w_max"] - reach, "range_max": x["w_min"] + reach}

    def natural(self, x: Values) -> dict:
        """Return, besides, the step scales, which carry the spread over devices."""
        share = -np.expm1(-np.asarray(x["alpha"]))
        return {**super().natural(x), "s_up": share * x["w_max"], "s_down": -share * x["w_min"]}

    def fixed(self) -> dict[str, float | bool]:
        """Return the pulses of the curve."""
        return {**super().fixed(), "p_max": self.scene.ramp}
