# SPDX-License-Identifier: Apache-2.0
"""The 64-core chip with two devices for each polarity of a weight."""

from engine.inference.noise.hermes import SOURCE, SPLIT, Hermes
from engine.quantity import Quantity, Table

_LIMIT = {"bounds": (0, 20.7), "inclusive_bounds": (False, True), "softbounds": (1, 20.7), "unit": "uS"}


class HermesTwo(Hermes):
    """PCM of a 64-core chip, two devices for each polarity, counted as one of up to 20.7 uS.

    See docs/physics/inference.md, section 3.
    """

    title = "PCM, 64-core chip, 2 devices"
    formula = "as PCM, in two pieces over g/g_max"

    # fmt: off
    g_max = Quantity(20.7, **_LIMIT, group="Conductance", source=SOURCE, doc="Conductance of a full weight.")
    t_0 = Quantity(300.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 1000), log=True, unit="s",
                   group="Time", source=SOURCE, doc="Time from the last write pulse to the reference read.")
    prog_coeff = Table([0.16603222, 4.71806468, -8.48101252, 4.68961419], unit="uS", group="Programming",
                       source=SOURCE,
                       doc="Coefficients of the standard deviation of programming over g_T / g_max, ascending.")
    prog_coeff_g_max_reference = Quantity(20.7, **_LIMIT, group="Programming", source=SOURCE,
                                          doc="g_max that the coefficients were measured with.")
    nu_std_split = Quantity(0.3055, **SPLIT, group="Drift", doc="Where the pieces of the exponent's spread meet.")
    nu_std_low = Table([-0.0117, -0.0057, 0.0091, 0.04], group="Drift", source=SOURCE,
                       doc="Spread of the exponent below: slope and offset over ln r, smallest, largest.")
    nu_std_high = Table([0.0073, 0.0093, -0.0118], group="Drift", source=SOURCE,
                        doc="Spread of the exponent above: ascending polynomial of r.")
    q_split = Quantity(0.16, **SPLIT, group="Read noise", doc="Where the pieces of the read noise meet.")
    q_low = Table([-0.0117, -0.0069, 0.015, 0.04], group="Read noise", source=SOURCE,
                  doc="Relative 1/f noise below: slope and offset over ln r, smallest, largest.")
    q_high = Table([0.0123, 0.0211, -0.0280, 0.0069], group="Read noise", source=SOURCE,
                   doc="Relative 1/f noise above: ascending polynomial of r.")
    # fmt: on
