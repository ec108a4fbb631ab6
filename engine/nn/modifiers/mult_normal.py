# SPDX-License-Identifier: Apache-2.0
"""Gaussian noise in proportion to each weight."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import Draws, Modifier
from engine.quantity import Flag, Quantity


class MultNormal(Modifier):
    r"""Noise in proportion to each weight.

    aihwkit's compiled tiles multiply the noise by the largest weight once more, its torch tiles do not; ``times_wmax``
    chooses.
    """

    title = "Multiplicative normal"
    formula = "W̃ = W·(1 + σ·ξ)"

    # fmt: off
    std_dev = Quantity(0.06, bounds=(0, None), softbounds=(0, 0.2), group="Noise", source="assumed, as add_normal",
                       doc="Standard deviation, as a share of each weight.")
    times_wmax = Flag(False, group="Noise", source="aihwkit 1.2.0, torch tile (its compiled tiles: on)",
                      doc="The share is multiplied by the largest weight.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return weights with noise."""
        share = self.std_dev * strength * (w_max if self.times_wmax else 1.0)
        return w * (1 + share * draws.normal())
