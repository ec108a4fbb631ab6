# SPDX-License-Identifier: Apache-2.0
"""Weights on a grid, then Gaussian noise."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import Draws
from engine.nn.modifiers.discretize import Discretize
from engine.quantity import Quantity


class DiscretizeAddNormal(Discretize):
    r"""Weights on a grid of equal steps, with noise of one size on top."""

    title = "Discretize, additive normal"
    formula = "W̃ = w_max·Δ·round(W/(w_max·Δ)) + σ·w_max·ξ"

    # fmt: off
    std_dev = Quantity(0.06, bounds=(0, None), softbounds=(0, 0.2), group="Noise", source="assumed, as add_normal",
                       doc="Standard deviation, as a share of the largest weight.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return weights on the grid with noise."""
        return super().changed(w, w_max, draws, strength) + (self.std_dev * strength * w_max) * draws.normal()
