# SPDX-License-Identifier: Apache-2.0
"""Power step: the step follows a power of the distance to the bound."""

from __future__ import annotations

import numpy as np

from ..effects import ScalePair
from .base import BOUNDS, STEP_SCALES, Candidate, Coordinate, Values, step_values
from .constant_step import UP_DOWN
from .soft_bounds import SoftBounds

POWERS = (0.3, 0.6, 1.0, 1.6, 2.5, 4.0)
"""Exponents tried for a start."""

ROOM = 0.1
"""Room between the states seen and the bounds at the start, as a share of the range."""


class PowStep(Candidate):
    """``step = s u^gamma`` with ``u`` the distance to the bound; searched by the step half way, which the data fix."""

    stem = "pow_step"
    title = "Power step"
    curved = True
    shown = {
        "dw_min": ("w", "step at the far bound of the stronger direction"),
        "up_down": UP_DOWN,
        "pow_gamma": ("1", "exponent of the stronger direction"),
        "pow_up_down": ("1", "asymmetry of the exponents; positive: that of down steps is smaller"),
        "w_max": ("w", "upper bound, where up steps vanish"),
        "w_min": ("w", "lower bound, where down steps vanish"),
    }
    effects = (STEP_SCALES, *BOUNDS, ScalePair("g_up", "g_down", "pow_gamma", "pow_up_down"))

    def coordinates(self) -> list[Coordinate]:
        """Return steps half way, exponents and bounds."""
        room = ROOM * self.scene.span
        high, low = max(self.scene.high, 0.0) + room, min(self.scene.low, 0.0) - room
        starts = {name: self._start(way, low, high) for name, way in (("up", 1), ("down", -1))}
        middle = [Coordinate(f"m_{n}", m, True) for n, (m, _) in starts.items()]
        powers = [Coordinate(f"g_{n}", g, True) for n, (_, g) in starts.items()]
        return middle + powers + [Coordinate("w_max", high, True), Coordinate("w_min", low, True)]

    def other_starts(self) -> list[dict[str, float]]:
        """Return soft bounds, which are a power step of exponent 1."""
        top, bottom = SoftBounds(self.scene).bounds()
        middle = (top.start + bottom.start) / 2
        lines = {n: self.scene.lines[way] for n, way in (("up", 1), ("down", -1))}
        steps = {f"m_{n}": max(level + slope * middle, 0.1 * level) for n, (level, slope) in lines.items()}
        return [{**steps, "g_up": 1.0, "g_down": 1.0, "w_max": top.start, "w_min": bottom.start}]

    def _start(self, way: int, low: float, high: float) -> tuple[float, float]:
        nodes = np.linspace(self.scene.low, self.scene.high, 9)
        steps = self.scene.curve(way, nodes)
        left = (high - nodes if way > 0 else nodes - low) / (high - low)
        best = (np.inf, 0.0, 1.0)
        for power in POWERS:
            shape = (2 * left) ** power
            scale = float(shape @ steps / (shape @ shape))
            miss = float(((scale * shape - steps) ** 2).sum())
            if scale > 0 and miss < best[0]:
                best = (miss, scale, power)
        return (best[1], best[2]) if best[1] > 0 else (self.scene.mean_step(way), 1.0)

    @staticmethod
    def scales(x: Values) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps at the far bounds."""
        return tuple(x[f"m_{n}"] * 2.0 ** np.asarray(x[f"g_{n}"]) for n in ("up", "down"))

    def level(self, x: Values) -> np.ndarray:
        """Return the step half way, the mean of both directions."""
        return np.sqrt(np.asarray(x["m_up"]) * x["m_down"])

    def natural(self, x: Values) -> dict:
        """Return, besides, the step scales."""
        up, down = self.scales(x)
        return {**super().natural(x), "s_up": up, "s_down": down}

    def device_values(self, x: Values) -> dict:
        """Return steps, exponents and bounds."""
        powers = step_values(x["g_up"], x["g_down"])
        return {
            **step_values(*self.scales(x)),
            "pow_gamma": powers["dw_min"],
            "pow_up_down": powers["up_down"],
            "w_max": x["w_max"],
            "w_min": x["w_min"],
        }
