# SPDX-License-Identifier: Apache-2.0
"""Gaussian noise whose size is a polynomial of the weight."""

from __future__ import annotations

import torch

from engine.nn.modifiers.base import Draws, Modifier
from engine.quantity import Quantity, Table

_PCM = (
    "PCM programming noise of Accurate deep neural network inference using computational phase-change memory, "
    "Nat. Commun. 2020, over 25 uS (aihwkit 1.2.0 has .0768 in place of .0786, digits transposed)"
)


class Poly(Modifier):
    r"""Noise whose size is a polynomial of the weight: :math:`\sigma \sum_k c_k (|W|/w_{max})^k`."""

    title = "Polynomial noise"
    formula = "W̃ = W + σ·w_max·Σ cₖ(|W|/w_max)ᵏ·ξ"

    # fmt: off
    std_dev = Quantity(1.0, bounds=(0, None), softbounds=(0, 5), group="Noise", source="assumed: the device's own noise",
                       doc="Factor on the polynomial.")
    coeffs = Table([0.0105392, 0.0786, -0.046924], group="Noise", source=_PCM,
                   doc="Coefficients, ascending powers of the weight as a share of the largest one.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return weights with noise."""
        return w + self._sigma(w, w_max, self.std_dev * strength) * draws.normal()

    def _sigma(self, w: torch.Tensor, w_max: torch.Tensor, factor: float) -> torch.Tensor:
        q = w.abs() / w_max
        return w_max * factor * sum(c * q**k for k, c in enumerate(self.coeffs))
