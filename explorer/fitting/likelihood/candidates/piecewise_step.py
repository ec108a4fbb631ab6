# SPDX-License-Identifier: Apache-2.0
"""Piecewise step: the mean step at nodes, noise in proportion to it."""

from __future__ import annotations

import numpy as np

from ..effects import Shared, Single, Tilt
from .base import Candidate, Coordinate, Values

NODES = (3, 5, 8, 12)
"""Numbers of nodes tried, in this order, as long as they gain."""

ROOM = 0.15
"""Room between the states seen and the ends of the nodes, as a share of the range."""


class PiecewiseStep(Candidate):
    """Steps at equally spaced nodes between the ends of the states seen, linear in between."""

    stem = "piecewise_step"
    title = "Piecewise step"
    shown = {
        "dw_min": ("w", "mean step over all nodes; the unit of the lists"),
        "w_max": ("w", "upper end of the nodes"),
        "w_min": ("w", "lower end of the nodes"),
        "piecewise_up": ("1", "relative up steps at the nodes"),
        "piecewise_down": ("1", "relative down steps at the nodes"),
    }

    def variants(self):
        """Return one candidate for each number of nodes."""
        return [type(self)(self.scene, **{**self.options, "nodes": n}) for n in NODES]

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end of the nodes: a little beyond the states, not beyond the readings, around 0."""
        if "ends" in self.options:
            return self.options["ends"]
        s = self.scene
        room = ROOM * s.span + s.step_std
        low = max(s.low - room, min(s.reading_low, s.low))
        high = min(s.high + room, max(s.reading_high, s.high))
        return min(low, 0.0), max(high, 0.0)

    @property
    def nodes(self) -> np.ndarray:
        """Weights of the nodes."""
        return np.linspace(*self.ends, self.options.get("nodes", NODES[0]))

    @property
    def unit(self) -> float:
        """Step in whose units the lists are."""
        return self.options.get("unit") or float(np.mean([self.scene.mean_step(way) for way in (1, -1)]))

    def coordinates(self) -> list[Coordinate]:
        """Return the steps at the nodes, in units of the mean step."""
        found = []
        for name, way in (("up", 1), ("down", -1)):
            steps = self.scene.curve(way, self.nodes) / self.unit
            found += [Coordinate(f"{name}_{k}", float(step)) for k, step in enumerate(steps)]
        return found

    def steps(self, x: Values) -> tuple[np.ndarray, np.ndarray]:
        """Return up and down steps at the nodes, ``(sets, nodes)`` each, weight units."""
        count = self.nodes.size
        return tuple(self.unit * np.stack([x[f"{n}_{k}"] for k in range(count)], axis=-1) for n in ("up", "down"))

    def frame(self, x: Values) -> dict:
        """Return the mean step over all nodes and the ends."""
        low, high = self.ends
        gain = np.abs(sum(s.mean(-1) for s in self.steps(x))) / 2
        return {"dw_min": np.maximum(gain, 1e-3 * self.unit), "w_max": high, "w_min": low}

    def natural(self, x: Values) -> dict:
        """Return, besides, half the difference of mean up and down step."""
        up, down = self.steps(x)
        return {**super().natural(x), "tilt": (up.mean(-1) - down.mean(-1)) / 2}

    @property
    def effects(self):
        """Return the spread of the scale and of the asymmetry; tables are shared by all devices."""
        tables = [Shared(n) for n in self.described() if "[" in n]
        return (Single("dw_min"), Tilt("up_down_dtod", "tilt", "dw_min"), *tables)

    def device_values(self, x: Values) -> dict:
        """Return scale, ends and lists."""
        frame, (up, down) = self.frame(x), self.steps(x)
        scale = frame["dw_min"][..., None]
        return {**frame, "piecewise_up": up / scale, "piecewise_down": down / scale}

    def fixed(self) -> dict[str, float | bool]:
        """Both directions have tables of their own; the ends are those of the data."""
        return {"up_down": 0.0}
