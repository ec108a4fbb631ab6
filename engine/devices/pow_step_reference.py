# SPDX-License-Identifier: Apache-2.0
"""Power step device with a subtracted reference device."""

from engine.devices.powers import PowerDevice
from engine.devices.references import ReferencedDevice


class PowStepReference(ReferencedDevice, PowerDevice):
    r"""Power step on the physical state :math:`v = w + r`; the weight is the state less a reference device's.

    A state outside the bounds has a clamped distance to them, so a step is never a power of a negative number. The
    symmetry point is found to float precision; aihwkit's iteration can stop short of it.

    See docs/physics/devices.md, section 3.8.
    """

    title = "Power step with reference"
    formula = "Δv = s·u^γ,  w = v − r"
