# SPDX-License-Identifier: Apache-2.0
"""Soft bounds by a measured curve: both directions have the same curvature, of a population on average."""

from __future__ import annotations

import numpy as np

from ..effects import Curve, SpreadsOf
from .base import BOUNDS, STEP_SCALES, Coordinate, Values, step_values
from .soft_bounds import SoftBounds


class SoftBoundsPmax(SoftBounds):
    """``w(p) = r_min + B (1 - exp(-alpha p))`` and its mirror image; ``p_max`` is the length of a ramp.

    The curve is that of the nominal device. The spreads are those of soft bounds, so that each device of a population
    has steps and bounds of its own: there the coordinates are those of soft bounds.
    """

    stem = "soft_bounds_pmax"
    title = "Soft bounds by measured curve"
    twin_of_several = "soft_bounds"
    shown = {
        "alpha": ("1", "curvature of the response per pulse, of both directions"),
        "range_min": ("w", "weight from which p_max up pulses lead to range_max"),
        "range_max": ("w", "weight from which p_max down pulses lead to range_min"),
    }

    @property
    def effects(self):
        """Return the curve of the mean device, and the spreads of soft bounds."""
        return (
            Curve(self.scene.ramp),
            SpreadsOf(STEP_SCALES, ("dw_min", "up_down")),
            *(SpreadsOf(bound, (bound.name,)) for bound in BOUNDS),
        )

    @property
    def several(self) -> bool:
        """Whether the device is one of a population."""
        return "ends" in self.options

    def coordinates(self) -> list[Coordinate]:
        """Return curvature and bounds; of a population, steps and bounds."""
        if self.several:
            return super().coordinates()
        bounds = self.bounds()
        rate = np.mean([self.scene.lines[w][0] / abs(b.start) for w, b in zip((1, -1), bounds, strict=True)])
        return [Coordinate("alpha", -float(np.log1p(-min(rate, 0.9))), True), *bounds]

    def physical_values(self, x: Values) -> dict:
        """Return the soft bounds with that curvature: a step at w = 0 is the share of the way to the bound."""
        return {**step_values(*self.scales(x)), "w_max": x["w_max"], "w_min": x["w_min"]}

    def scales(self, x: Values) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps at w = 0."""
        if self.several:
            return np.asarray(x["s_up"]), np.asarray(x["s_down"])
        share = -np.expm1(-np.asarray(x["alpha"]))
        return share * x["w_max"], -share * x["w_min"]

    def device_values(self, x: Values) -> dict:
        """Return the curve."""
        return Curve(self.scene.ramp).values(*self.scales(x), x["w_max"], x["w_min"])

    def level(self, x: Values) -> np.ndarray:
        """Return the step at w = 0, the mean of both directions."""
        up, down = self.scales(x)
        return np.sqrt(up * down)

    def natural(self, x: Values) -> dict:
        """Return, besides, the step scales, which carry the spread over devices."""
        up, down = self.scales(x)
        return {**super().natural(x), "s_up": up, "s_down": down}

    def fixed(self) -> dict[str, float | bool]:
        """Return the pulses of the curve."""
        return {**super().fixed(), "p_max": self.scene.ramp}
