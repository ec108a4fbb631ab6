# SPDX-License-Identifier: Apache-2.0
"""Piecewise step: the mean step at nodes, noise in proportion to it."""

from __future__ import annotations

import numpy as np

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
    gaussian = ()

    def variants(self):
        """Return one candidate for each number of nodes."""
        return [type(self)(self.scene, **{**self.options, "nodes": n}) for n in NODES]

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end of the nodes: a little beyond the states, not beyond the readings, around 0."""
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
        return float(np.mean([self.scene.mean_step(way) for way in (1, -1)]))

    def coordinates(self) -> list[Coordinate]:
        """Return the steps at the nodes, in units of the mean step."""
        found = []
        for name, way in (("up", 1), ("down", -1)):
            steps = self.scene.curve(way, self.nodes) / self.unit
            found += [Coordinate(f"{name}_{k}", float(step)) for k, step in enumerate(steps)]
        return found

    def tables(self, x: Values) -> dict[str, np.ndarray]:
        """Return the lists, ``(sets, nodes)``."""
        count = self.nodes.size
        return {f"piecewise_{n}": np.stack([x[f"{n}_{k}"] for k in range(count)], axis=-1) for n in ("up", "down")}

    def device_values(self, x: Values) -> dict:
        """Return lists and ends."""
        low, high = self.ends
        return {"dw_min": self.unit, "up_down": 0.0, "w_max": high, "w_min": low, **self.tables(x)}
