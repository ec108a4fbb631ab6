# SPDX-License-Identifier: Apache-2.0
"""Weights on a grid of equal steps."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import SOURCE, Draws, Modifier, round_half_away, step_of
from engine.quantity import Flag, Quantity


class Discretize(Modifier):
    r"""Weights on a grid of equal steps, halves away from zero."""

    title = "Discretize"
    formula = "W̃ = w_max·Δ·round(W/(w_max·Δ))"

    # fmt: off
    res = Quantity(0.1, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.005, 0.5), group="Resolution",
                   source="assumed (aihwkit 1.2.0: 0, off)",
                   doc="Step as a share of the largest weight, or number of steps from 0 to it if above 1.")
    sto_round = Flag(False, group="Resolution", source=SOURCE, doc="Round up or down by chance, right on average.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return weights on the grid."""
        step = step_of(self.res) * w_max
        v = w / step
        return step * (torch.floor(v + 1 - draws.uniform(1)) if self.sto_round else round_half_away(v))
