# SPDX-License-Identifier: Apache-2.0
"""Phase-change memory, programming error as CrossSim has it."""

from engine.inference.noise.programming_only import ProgrammingOnly
from engine.quantity import Quantity, Table

_SOURCE = "Nature Communications 11, 2473 (2020), as coefficients of CrossSim, PCMJoshi"


class PcmJoshi(ProgrammingOnly):
    """Programming error of the cells of `Pcm`, as fitted by others; no drift.

    See docs/physics/inference.md, section 3.
    """

    title = "PCM, programming only (CrossSim)"
    formula = "g = g_T + σ(g_T) ξ"

    # fmt: off
    g_max = Quantity(25.0, bounds=(0, 25), inclusive_bounds=(False, True), softbounds=(5, 25), unit="uS",
                     group="Conductance", source=_SOURCE, doc="Conductance of a full weight; the fit ends at 25.")
    sigma_coeff = Table([0.28638599, 0.07585724, -0.00178767], group="Programming", source=_SOURCE,
                        doc="Coefficients of the standard deviation of programming in uS over the target in uS, "
                            "ascending.")
    # fmt: on
