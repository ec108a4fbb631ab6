# SPDX-License-Identifier: Apache-2.0
"""Exponential step."""

from __future__ import annotations

import numpy as np

from ..effects import Shared
from .base import BOUNDS, STEP_SCALES, Candidate, Coordinate, Values, bound_start, bound_values, step_values
from .constant_step import UP_DOWN, W_MAX, W_MIN

RATES = np.geomspace(0.5, 40.0, 12)
"""Exponents over the range tried for a start."""

SHORT = 0.85
"""Steps this far from weight 0 to where readings rest are free of the plateau there; those beyond are cut short."""

HALF = 0.5
"""``a`` of the class: the exponent is then ``gamma`` over the whole range of the device, ``b`` being 0."""


class ExpStep(Candidate):
    """``step = s (1 - A exp(+-gamma w / range))``, never negative, between hard bounds."""

    stem = "exp_step"
    title = "Exponential step"
    shown = {
        "dw_min": ("w", "step scale of the stronger direction"),
        "up_down": UP_DOWN,
        "A_up": ("1", "share that the exponential takes from the up step at w = 0; negative: it adds"),
        "A_down": ("1", "share that the exponential takes from the down step at w = 0; negative: it adds"),
        "gamma_up": ("1", "exponent of the up step over the range of the device"),
        "gamma_down": ("1", "exponent of the down step over the range of the device"),
        "w_max": W_MAX,
        "w_min": W_MIN,
    }
    hard_bounds = True
    common = ("A_up", "A_down", "rate_up", "rate_down")
    common_shown = ("A_up", "A_down", "gamma_up", "gamma_down")
    effects = (
        STEP_SCALES,
        *BOUNDS,
        Shared("A_up"),
        Shared("A_down"),
        Shared("gamma_up", logarithmic=True),
        Shared("gamma_down", logarithmic=True),
    )

    def coordinates(self) -> list[Coordinate]:
        """Return step scales, amplitudes and exponents, and the hard bounds asked for."""
        starts = {name: self._start(way, self.width) for name, way in (("up", 1), ("down", -1))}
        scales = [Coordinate(f"s_{n}", s, True) for n, (s, _, _) in starts.items()]
        shares = [Coordinate(f"A_{n}", a) for n, (_, a, _) in starts.items()]
        rates = [Coordinate(f"rate_{n}", g, True) for n, (_, _, g) in starts.items()]
        return scales + shares + rates + bound_start(self.scene, self.options)

    @property
    def width(self) -> float:
        """Range over which exponents are searched where the device's own is not known; the same for all devices."""
        low, high = self.options.get("ends", (self.scene.low, self.scene.high))
        return high - low

    def other_starts(self) -> list[dict[str, float]]:
        """Return starts from gentle, middling and steep exponents alone: mean steps near a plateau mislead the best."""
        found = []
        for part in np.array_split(RATES, 3):
            start = {}
            for name, way in (("up", 1), ("down", -1)):
                start[f"s_{name}"], start[f"A_{name}"], start[f"rate_{name}"] = self._start(way, self.width, part)
            found.append(start)
        return found

    def _start(self, way: int, width: float, rates: np.ndarray = RATES) -> tuple[float, float, float]:
        """Return scale, amplitude and exponent of the mean steps: straight lines in exp(rate w), the best rate."""
        rest = self.scene.rest
        low, high = (SHORT * rest.get(w, edge) for w, edge in ((-1, self.scene.low), (1, self.scene.high)))
        nodes = np.linspace(low, high, 9)
        steps = self.scene.curve(way, nodes)
        best = (np.inf, 0.0, 0.0, 1.0)
        for rate in rates / self.scene.span:
            basis = np.stack([np.ones_like(nodes), np.exp(way * rate * nodes)], axis=1)
            (level, part), *_ = np.linalg.lstsq(basis, steps, rcond=None)
            miss = float(((basis @ (level, part) - steps) ** 2).sum())
            if level > 0 and miss < best[0]:
                best = (miss, float(level), float(-part / level), float(rate * width))
        if best[1] <= 0:
            return max(float(steps.mean()), 1e-6 * self.scene.span), -0.1, 2.0 * width / self.scene.span
        return best[1:]

    def level(self, x: Values) -> np.ndarray:
        """Return the step at w = 0, the mean of both directions."""
        steps = [np.maximum(x[f"s_{n}"] * (1 - np.asarray(x[f"A_{n}"])), 1e-3 * x[f"s_{n}"]) for n in ("up", "down")]
        return np.sqrt(steps[0] * steps[1])

    def device_values(self, x: Values) -> dict:
        """Return scale, shape and bounds."""
        bounds = bound_values(self, x)
        own = self.options.get("top") and self.options.get("bottom")  # without both bounds, over the data's range
        share = 1.0 if own else (bounds["w_max"] - bounds["w_min"]) / self.width
        shape = {"A_up": x["A_up"], "A_down": x["A_down"]}
        rates = {f"gamma_{n}": share * np.asarray(x[f"rate_{n}"]) for n in ("up", "down")}
        return {**step_values(x["s_up"], x["s_down"]), **shape, **rates, **bounds}

    def fixed(self) -> dict[str, float | bool]:
        """Return how the exponent is counted."""
        return {"a": HALF, "b": 0.0}
