# SPDX-License-Identifier: Apache-2.0
"""Constant step device."""

from engine.devices.families import PulsedDevice


class ConstantStep(PulsedDevice):
    r"""The same step from every state, up to the bounds: :math:`w \pm s (1 + \sigma \xi)`.

    See docs/physics/devices.md, section 3.1.

    References
    ----------
    "Acceleration of Deep Neural Network Training with Resistive Cross-Point Devices: Design Considerations",
    Frontiers in Neuroscience, 2016.
    """

    title = "Constant step"
    formula = "Δw = ± s"
