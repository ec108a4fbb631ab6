# SPDX-License-Identifier: Apache-2.0
"""Piecewise step device."""

from engine.devices.families import WrittenDevice
from engine.errors import ParameterError
from engine.quantity import Table

_SOURCE = "aihwkit 1.2.0, default of PiecewiseStepDevice"


class PiecewiseStep(WrittenDevice):
    """Relative step sizes at equally spaced nodes over the device's own range, linear in between.

    Any number of nodes; values are relative to the device's step size and may be zero or negative.

    See docs/physics/devices.md, section 3.9.
    """

    title = "Piecewise step"
    formula = "Δw = s·f(w), f linear between nodes"

    # fmt: off
    piecewise_up = Table([1.0], group="Shape", source=_SOURCE,
                         doc="Relative up steps at nodes from the lower to the upper bound.")
    piecewise_down = Table([1.0], group="Shape", source=_SOURCE,
                           doc="Relative down steps at nodes from the lower to the upper bound.")
    # fmt: on

    @property
    def granularity(self) -> float:
        """The step (weight units) at the middle node: ``dw_min * piecewise_up[len // 2]``; ``dw_min`` if that is 0."""
        return abs(self.dw_min * self.piecewise_up[len(self.piecewise_up) // 2]) or self.dw_min

    def check(self) -> None:
        """Raise `ParameterError` if the lists differ in length, or for a step lost in single precision."""
        super().check()
        self.check_granularity()
        up, down = len(self.piecewise_up), len(self.piecewise_down)
        if up != down:
            raise ParameterError(
                f"PiecewiseStep.piecewise_up, piecewise_down have {up} and {down} nodes: must be equally long "
                "(allowed: one length). Give both the same number of nodes."
            )
