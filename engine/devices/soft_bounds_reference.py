# SPDX-License-Identifier: Apache-2.0
"""Soft-bounds device with a subtracted reference device."""

from engine.devices.base import NOT_NEGATIVE, POSITIVE
from engine.devices.families import WrittenDevice
from engine.devices.references import ReferencedDevice
from engine.quantity import Flag, Quantity

_SOURCE = "aihwkit 1.2.0, default of SoftBoundsReferenceDevice"


class SoftBoundsReference(ReferencedDevice, WrittenDevice):
    r"""Soft bounds on the physical state :math:`v = w + r`; the weight is the state less a reference device's.

    Weights reach :math:`[b_{min} - r, b_{max} - r]`. A weight set from outside is clipped to the bounds without the
    reference, as in aihwkit, and may lie outside that range until the first pulse.

    See docs/physics/devices.md, section 3.5.
    """

    title = "Soft bounds with reference"
    formula = "Δv = s·(1 − v/b),  w = v − r"

    # fmt: off
    w_max = Quantity(0.6, **POSITIVE, softbounds=(0.05, 2), unit="w", group="Bounds", source=_SOURCE,
                     doc="Mean upper bound of the physical state, where up steps vanish.")
    w_min = Quantity(-0.6, bounds=(None, 0), inclusive_bounds=(True, False), softbounds=(-2, -0.05), unit="w",
                     group="Bounds", source=_SOURCE,
                     doc="Mean lower bound of the physical state, where down steps vanish.")
    mult_noise = Flag(False, group="Cycle-to-cycle noise", source=_SOURCE,
                      doc="Noise follows the step; off, the step size at zero, so it does not vanish at the bound.")
    slope_up_dtod = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.5), group="Device-to-device spread",
                             source=_SOURCE, doc="Extra relative spread of the up slope, applied to the bound.")
    slope_down_dtod = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.5), group="Device-to-device spread",
                               source=_SOURCE, doc="Extra relative spread of the down slope, applied to the bound.")
    # fmt: on

    @property
    def range(self) -> tuple[float, float]:
        """Nominal lower and upper bound of the weight (weight units): those of the state less the reference."""
        reference = self.nominal_cell()["reference"]
        return self.w_min - reference, self.w_max - reference
