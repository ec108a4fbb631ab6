# SPDX-License-Identifier: Apache-2.0
"""Lookup table: mean and noise of the step at nodes."""

from __future__ import annotations

import numpy as np

from .base import Coordinate, Values
from .piecewise_step import PiecewiseStep

SPREAD_NODES = 3
"""Nodes of the noise tables: a variance needs many more steps than a mean."""


class LookupTable(PiecewiseStep):
    """Mean steps at nodes, and their noise at nodes of its own; in weight units."""

    stem = "lookup_table"
    title = "Lookup table"
    shown = {
        "dw_min": ("w", "mean step over all nodes; what the update logic assumes"),
        "w_max": ("w", "upper end of the tables"),
        "w_min": ("w", "lower end of the tables"),
        "mean_up": ("w", "mean up step at the nodes"),
        "mean_down": ("w", "mean down step at the nodes"),
        "spread_up": ("w", "standard deviation of an up step at the nodes"),
        "spread_down": ("w", "standard deviation of a down step at the nodes"),
    }
    own_noise = True

    def coordinates(self) -> list[Coordinate]:
        """Return mean steps, and noise on a logarithmic scale in units of the device's own mean step of a direction.

        Devices of a population differ in scale: mean and noise of a step grow together, their ratio is the same.
        """
        noise = self.scene.relative_noise
        return super().coordinates() + [Coordinate(name, noise, True) for way in WAYS for name in _noise(way)]

    def noise_levels(self, x: Values) -> dict[str, np.ndarray]:
        """Return the mean step of a direction for each noise in it."""
        levels = [np.maximum(np.abs(steps.mean(-1)), 1e-3 * self.unit) for steps in self.steps(x)]
        return {name: level for way, level in zip(WAYS, levels, strict=True) for name in _noise(way)}

    def device_values(self, x: Values) -> dict:
        """Return scale, ends and tables."""
        tables = dict(zip(("mean_up", "mean_down"), self.steps(x), strict=True))
        levels = self.noise_levels(x)
        for way in WAYS:
            tables[f"spread_{way}"] = np.stack([levels[name] * x[name] for name in _noise(way)], axis=-1)
        return {**self.frame(x), **tables}


WAYS = ("up", "down")


def _noise(way: str) -> list[str]:
    return [f"{way}_noise_{k}" for k in range(SPREAD_NODES)]
