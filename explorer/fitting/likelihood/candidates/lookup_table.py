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
        """Return mean steps, and noise on a logarithmic scale, in units of the mean step."""
        noise = self.scene.relative_noise
        names = [f"{n}_noise_{k}" for n in ("up", "down") for k in range(SPREAD_NODES)]
        return super().coordinates() + [Coordinate(name, noise, True) for name in names]

    def device_values(self, x: Values) -> dict:
        """Return scale, ends and tables."""
        tables = dict(zip(("mean_up", "mean_down"), self.steps(x), strict=True))
        for name in ("up", "down"):
            noise = [x[f"{name}_noise_{k}"] for k in range(SPREAD_NODES)]
            tables[f"spread_{name}"] = self.unit * np.stack(noise, axis=-1)
        return {**self.frame(x), **tables}
