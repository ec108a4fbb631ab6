# SPDX-License-Identifier: Apache-2.0
"""No modifier."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import Draws, Modifier


class Copy(Modifier):
    """The weights as they are (with ``pdrop``, some of them zero)."""

    title = "None"
    formula = "W̃ = W"

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return the weights."""
        return w
