# SPDX-License-Identifier: Apache-2.0
"""One factor for a tile, against what its weights should give."""

import torch

from engine.inference.compensation.base import LEAST, Compensation, Readout


class ExactReferenceCompensation(Compensation):
    """As global, compared with the exact product of the weights that were to be programmed.

    Repairs what programming itself takes away too: zero-target devices end above zero. See docs/physics/inference.md,
    section 5.
    """

    title = "Global, exact reference"
    formula = "α = ⟨|W E|⟩/⟨|Y(t)|⟩"

    @classmethod
    def stem(cls) -> str:
        """Return ``exact_reference``."""
        return "exact_reference"

    def baseline(self, tile: Readout) -> torch.Tensor:
        """Return the exact reading of the weights that were to be programmed, ``(1,)``."""
        return tile.wanted(per_output=self.per_output).clamp(min=LEAST)
