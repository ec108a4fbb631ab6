# SPDX-License-Identifier: Apache-2.0
"""Gaussian noise of one size on all weights."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import Draws, Modifier
from engine.quantity import Quantity


class AddNormal(Modifier):
    r"""Noise of one size on all weights, the main lever of hardware-aware training."""

    title = "Additive normal"
    formula = "W̃ = W + σ·w_max·ξ"

    # fmt: off
    std_dev = Quantity(0.06, bounds=(0, None), softbounds=(0, 0.2), group="Noise",
                       source="aihwkit, tutorial on hardware-aware training of ResNet-32: 0.06",
                       doc="Standard deviation, as a share of the largest weight.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return weights with noise."""
        return w + (self.std_dev * strength * w_max) * draws.normal()
