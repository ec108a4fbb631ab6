# SPDX-License-Identifier: Apache-2.0
"""Exponential step device."""

from engine.devices.base import NOT_NEGATIVE
from engine.devices.families import WrittenDevice
from engine.errors import ParameterError
from engine.quantity import Quantity

_SOURCE = "aihwkit 1.2.0, default of ExpStepDevice"


class ExpStep(WrittenDevice):
    r"""The step bends exponentially with the state.

    Up :math:`s \max(1 - A_{up} e^{\gamma_{up} z}, 0)`, down :math:`s \max(1 - A_{down} e^{-\gamma_{down} z}, 0)`,
    :math:`z = 2 a w / (b_{max} - b_{min}) + b` with the device's own bounds. A negative A enlarges the step.

    See docs/physics/devices.md, section 3.6.

    References
    ----------
    "Signal and noise extraction from analog memory elements for neuromorphic computing", Nature Communications, 2018.
    """

    title = "Exponential step"
    formula = "Δw = s·max(1 − A·exp(±γ·z), 0)"

    # fmt: off
    A_up = Quantity(0.00081, softbounds=(-30, 1), group="Shape", source=_SOURCE,
                    doc="Weight of the exponential in the up step; negative enlarges the step.")
    A_down = Quantity(0.36833, softbounds=(-30, 1), group="Shape", source=_SOURCE,
                      doc="Weight of the exponential in the down step; negative enlarges the step.")
    gamma_up = Quantity(12.44625, softbounds=(0, 20), group="Shape", source=_SOURCE,
                        doc="Curvature of the up step along the range.")
    gamma_down = Quantity(12.78785, softbounds=(0, 20), group="Shape", source=_SOURCE,
                          doc="Curvature of the down step along the range.")
    a = Quantity(0.244, softbounds=(-1, 1), group="Shape", source=_SOURCE,
                 doc="How far the exponent moves over half the range.")
    b = Quantity(0.2425, softbounds=(-1, 1), group="Shape", source=_SOURCE, doc="The exponent's offset at weight zero.")
    dw_min_std_add = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.2), unit="w", group="Cycle-to-cycle noise",
                              source=_SOURCE, doc="Extra step noise, also where the step itself is zero.")
    dw_min_std_slope = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.5), group="Cycle-to-cycle noise",
                                source=_SOURCE, doc="Extra step noise per absolute weight.")
    # fmt: on

    @property
    def granularity(self) -> float:
        """Noise-free step at weight zero (weight units): mean of both directions, or down alone with peer_compat."""
        down, up = float(self.step(0.0, -1)), float(self.step(0.0, 1))
        return (down if self.peer_compat else 0.5 * (up + down)) or self.dw_min

    def check(self) -> None:
        """Raise `ParameterError` if no pulse can move the device anywhere in its range."""
        super().check()
        low, high = self.range
        grid = [low + (high - low) * k / 32 for k in range(33)]
        if high > low and not (self.step(grid, 1).any() or self.step(grid, -1).any()):
            raise ParameterError(
                f"ExpStep.A_up, A_down = {self.A_up:g}, {self.A_down:g}: no step is positive anywhere in "
                f"[{low:g}, {high:g}] w (allowed: at least one). Lower A_up or A_down."
            )
