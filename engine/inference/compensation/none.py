# SPDX-License-Identifier: Apache-2.0
"""No compensation."""

import torch

from engine.inference.compensation.base import Compensation, Readout


class NoCompensation(Compensation):
    """Outputs as the tile gives them."""

    title = "None"
    formula = "α = 1"

    @classmethod
    def stem(cls) -> str:
        """Return ``none``."""
        return "none"

    def baseline(self, tile: Readout) -> torch.Tensor:
        """Read nothing."""
        return tile.wanted(per_output=False)

    def factors(self, tile: Readout, baseline: torch.Tensor) -> torch.Tensor:
        """Return ones, ``(1,)``."""
        return torch.ones_like(baseline, dtype=torch.float32)
