# SPDX-License-Identifier: Apache-2.0
"""Programming noise of a device that keeps the sign of the weight."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import Draws
from engine.nn.modifiers.poly import Poly
from engine.quantity import Quantity, Table


class ProgNoise(Poly):
    r"""Programming noise, a polynomial in microsiemens; the sign of the weight stays, that of zero is positive."""

    title = "Programming noise"
    formula = "W̃ = sgn(W)·|W + (σ/g_max)·w_max·Σ cₖ(|W|/w_max)ᵏ·ξ|"

    # fmt: off
    coeffs = Table([0.26348, 1.9650, -1.1731], unit="uS", group="Noise",
                   source="Accurate deep neural network inference using computational phase-change memory, Nat. Commun. "
                          "2020 (aihwkit 1.2.0: the same over 25 uS, then divided by g_max again)",
                   doc="Standard deviation of the programmed conductance, ascending powers of its share of g_max.")
    g_max = Quantity(25.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Noise", source="aihwkit 1.2.0, default of WeightModifierParameter",
                     doc="Conductance of the largest weight.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return weights with noise."""
        noisy = w + self._sigma(w, w_max, self.std_dev * strength / self.g_max) * draws.normal()
        return torch.where(w < 0, -1.0, 1.0) * noisy.abs()
