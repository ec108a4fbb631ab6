# SPDX-License-Identifier: Apache-2.0
"""Resistive memory of a compute-in-memory chip one second after programming, as CrossSim has it."""

from engine.inference.noise.programming_only import ProgrammingOnly
from engine.quantity import Quantity, Table

_SOURCE = "Nature 608, 504 (2022), as coefficients of CrossSim, RRAMWan"


class RramWanSecond(ProgrammingOnly):
    """Deviation 1 s after programming; the same paper as `ReramWan`, read off by others: compare both.

    At 10 uS 2.41 uS here and 2.26 there, at 0 1.05 and 0.35. See docs/physics/inference.md, section 3.
    """

    title = "ReRAM array at 1 s (CrossSim)"
    formula = "g = g_T + σ(g_T) ξ"

    # fmt: off
    g_max = Quantity(39.26, bounds=(0, 39.26), inclusive_bounds=(False, True), softbounds=(5, 39.26), unit="uS",
                     group="Conductance", source=_SOURCE, doc="Conductance of a full weight; the fit ends at 39.26.")
    sigma_coeff = Table([1.053, 0.2374, -1.167e-2, 1.536e-4], group="Programming", source=_SOURCE,
                        doc="Coefficients of the standard deviation of programming in uS over the target in uS, "
                            "ascending.")
    # fmt: on
