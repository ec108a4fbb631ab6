# SPDX-License-Identifier: Apache-2.0
"""The 64-core chip with one device for each polarity of a weight."""

from engine.inference.noise.hermes import SOURCE, Hermes
from engine.quantity import Quantity, Table

_LIMIT = {"bounds": (0, 10.35), "inclusive_bounds": (False, True), "softbounds": (1, 10.35), "unit": "uS"}


class HermesOne(Hermes):
    """PCM of a 64-core chip, one device for each polarity; coefficients hold up to 10.35 uS.

    See docs/physics/inference.md, section 3.
    """

    title = "PCM, 64-core chip, 1 device"
    formula = "as PCM, in two pieces over g/g_max"

    # fmt: off
    g_max = Quantity(10.35, **_LIMIT, group="Conductance", source=SOURCE, doc="Conductance of a full weight.")
    t_0 = Quantity(200.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 1000), log=True, unit="s",
                   group="Time", source=SOURCE, doc="Time from the last write pulse to the reference read.")
    prog_coeff = Table([0.15781817, 2.32443916, -2.16310839, 0.68841818], unit="uS", group="Programming",
                       source=SOURCE,
                       doc="Coefficients of the standard deviation of programming over g_T / g_max, ascending.")
    prog_coeff_g_max_reference = Quantity(10.35, **_LIMIT, group="Programming", source=SOURCE,
                                          doc="g_max that the coefficients were measured with.")
    # fmt: on
