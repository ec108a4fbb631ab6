# SPDX-License-Identifier: Apache-2.0
"""The same power law for all devices, as MemTorch has it."""

from __future__ import annotations

import math

import torch

from engine.inference.draws import Draws
from engine.inference.noise.base import NoiseModel, State
from engine.quantity import Quantity

_SOURCE = "MemTorch, retention of its nonideality models"


class PowerLawRetention(NoiseModel):
    r"""Conductances fall by one power law, without spread, from a first time on.

    .. math:: G(t) = G_P (t/t_i)^{-\nu}, \quad t > t_i

    With `states`, conductances are written to the nearest of so many levels. See docs/physics/inference.md, section 3.
    """

    title = "Power law without spread (MemTorch)"
    formula = "G(t) = G_P (t/tᵢ)^−ν"

    # fmt: off
    t_i = Quantity(1e-12, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-12, 100), log=True,
                   unit="s", group="Drift", source=_SOURCE, doc="Time from which on conductances fall.")
    nu = Quantity(0.1, bounds=(0, 1), softbounds=(0, 0.2), group="Drift", source=_SOURCE, doc="Drift exponent.")
    # fmt: on

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return ``programmed``: exactly the targets."""
        return {"programmed": target.expand(len(draws.seeds), *draws.shape).clone()}

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return ``(chip, slices, out, in)`` uS at time t."""
        age = math.log(t / self.t_i) if t > self.t_i else 0.0
        return state["programmed"] * math.exp(-self.nu * self.drift_scale * age)
