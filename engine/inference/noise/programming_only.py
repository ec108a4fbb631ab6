# SPDX-License-Identifier: Apache-2.0
"""Models of the error of programming alone."""

from __future__ import annotations

from typing import ClassVar

import torch

from engine.inference.draws import Draws
from engine.inference.noise.base import NoiseModel, State, programmed_with
from engine.quantity import Table


class ProgrammingOnly(NoiseModel):
    """A normal error at programming; nothing happens afterwards, whatever the time.

    Subclasses give the coefficients, and `programming_sigma` where more than a polynomial is needed.
    """

    abstract: ClassVar[bool] = True

    # fmt: off
    sigma_coeff = Table([0.0], group="Programming", source="assumed",
                        doc="Coefficients of the standard deviation of programming in uS over the target in uS, "
                            "ascending.")
    # fmt: on

    def programming_sigma(self, g: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of programming for targets g, uS."""
        total = torch.zeros_like(g)
        for c in reversed(self.sigma_coeff):
            total = total * g + c
        return total.clamp_(min=0)

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return ``programmed``."""
        sigma = self.programming_sigma(target) * self.prog_noise_scale
        return {"programmed": programmed_with(target, sigma, draws, prog_id)}

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return what was programmed, ``(chip, slices, out, in)`` uS."""
        return state["programmed"].clone()
