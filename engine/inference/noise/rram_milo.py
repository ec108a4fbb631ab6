# SPDX-License-Identifier: Apache-2.0
"""HfO2 resistive memory, programming error as CrossSim has it."""

import torch

from engine.inference.converters import Converter
from engine.inference.converters.single_pair import SinglePair
from engine.inference.noise.programming_only import ProgrammingOnly
from engine.quantity import Quantity, Table

_SOURCE = "CrossSim, RRAMMilo (HfO2 cells, 50 to 225 uS)"


class RramMilo(ProgrammingOnly):
    """Programming error of HfO2 cells between 50 and 225 uS; a device at 0 is reset and has none.

    See docs/physics/inference.md, section 3. The cells' nonlinear current is not part of this model.
    """

    title = "HfO₂ RRAM, programming only (CrossSim)"
    formula = "g = g_T + σ(g_T) ξ"

    # fmt: off
    g_max = Quantity(225.0, bounds=(50, 225), softbounds=(50, 225), unit="uS", group="Conductance", source=_SOURCE,
                     doc="Conductance of a full weight; the fit ends at 225.")
    g_min = Quantity(50.0, bounds=(0, 225), softbounds=(50, 100), unit="uS", group="Conductance", source=_SOURCE,
                     doc="Smallest conductance of the default converter; the fit begins at 50.")
    sigma_coeff = Table([4.782321, -0.009107], group="Programming", source=_SOURCE,
                        doc="Coefficients of the standard deviation of programming in uS over the target in uS, "
                            "ascending.")
    # fmt: on

    def converter(self) -> Converter:
        """Return one pair of devices between g_min and g_max."""
        return SinglePair(g_max=self.g_max, g_min=self.g_min)

    def programming_sigma(self, g: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of programming for targets g, uS; 0 for devices that are reset."""
        return super().programming_sigma(g).masked_fill_(g == 0, 0.0)
