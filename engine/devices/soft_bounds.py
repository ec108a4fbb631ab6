# SPDX-License-Identifier: Apache-2.0
"""Soft-bounds device."""

from engine.devices.base import NOT_NEGATIVE, POSITIVE
from engine.devices.families import WrittenDevice
from engine.errors import ParameterError, say
from engine.quantity import Flag, Quantity

_SOURCE = "aihwkit 1.2.0, default of SoftBoundsDevice"


class SoftBounds(WrittenDevice):
    r"""The step vanishes at the device's own bound.

    Up :math:`s\,(1 - w / b_{max})`, down :math:`s\,(1 - w / b_{min})`.

    See docs/physics/devices.md, section 3.3.
    """

    title = "Soft bounds"
    formula = "Δw = s·(1 − w/b)"

    # fmt: off
    w_max = Quantity(0.6, **POSITIVE, softbounds=(0.05, 2), unit="w", group="Bounds", source=_SOURCE,
                     doc="Mean upper bound of the weight, where up steps vanish.")
    w_min = Quantity(-0.6, bounds=(None, 0), inclusive_bounds=(True, False), softbounds=(-2, -0.05), unit="w",
                     group="Bounds", source=_SOURCE, doc="Mean lower bound of the weight, where down steps vanish.")
    mult_noise = Flag(True, group="Cycle-to-cycle noise", source=_SOURCE,
                      doc="Noise follows the step; off, the step size at zero, so it does not vanish at the bound.")
    reverse_up = Flag(False, group="Shape", source=_SOURCE, doc="Up steps grow towards the upper bound.")
    reverse_down = Flag(False, group="Shape", source=_SOURCE, doc="Down steps grow towards the lower bound.")
    reverse_offset = Quantity(0.01, **NOT_NEGATIVE, softbounds=(0, 0.5), unit="w", group="Shape", source=_SOURCE,
                              doc="Distance beyond the opposite bound at which a reversed step vanishes.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a reversed step with additive noise."""
        super().check()
        if (self.reverse_up or self.reverse_down) and not self.mult_noise:
            raise ParameterError(
                say(
                    f"{type(self).__name__}.mult_noise",
                    False,
                    "a reversed step needs multiplicative noise",
                    "True",
                    "Set mult_noise=True, or reverse_up and reverse_down to False.",
                )
            )
