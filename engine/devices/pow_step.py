# SPDX-License-Identifier: Apache-2.0
"""Power step device."""

from engine.devices.families import WrittenDevice
from engine.devices.powers import PowerDevice


class PowStep(PowerDevice, WrittenDevice):
    r"""The step follows a power of the distance to the bound.

    Up :math:`s\,u^{\gamma_{up}}`, down :math:`s\,(1-u)^{\gamma_{down}}`, :math:`u = (b_{max} - w)/(b_{max} - b_{min})`;
    ``dw_min`` is the step at the far bound, not at zero.

    See docs/physics/devices.md, section 3.7.
    """

    title = "Power step"
    formula = "Δw = s·u^γ,  u = (b_max − w)/(b_max − b_min)"
