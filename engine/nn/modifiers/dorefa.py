# SPDX-License-Identifier: Apache-2.0
"""Weights through a hyperbolic tangent, then on a grid."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import SOURCE, Draws, Modifier, round_half_away, step_of
from engine.quantity import Quantity


class Dorefa(Modifier):
    """Weights through tanh, scaled to a limit, on a grid: "DoReFa-Net" (S. Zhou et al., arXiv:1606.06160), eq. 9."""

    title = "DoReFa"
    formula = "W̃ = Δ·round(c·tanh W/(Δ·tanh w_max))"

    # fmt: off
    res = Quantity(0.1, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.005, 0.5), unit="w",
                   group="Resolution", source="assumed (aihwkit 1.2.0: 0, off)",
                   doc="Step of the grid, or number of steps from 0 to 1 if above 1.")
    dorefa_clip = Quantity(0.6, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 1), unit="w",
                           group="Resolution", source=SOURCE, doc="What the largest weight becomes.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return weights on the grid."""
        step = step_of(self.res)
        return step * round_half_away(torch.tanh(w) * self.dorefa_clip / torch.tanh(w_max) / step)
