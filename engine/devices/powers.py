# SPDX-License-Identifier: Apache-2.0
"""What the two power-step devices share."""

from typing import ClassVar

from engine.devices.base import NOT_NEGATIVE, POSITIVE
from engine.devices.families import PulsedDevice
from engine.quantity import Quantity

_SOURCE = "aihwkit 1.2.0, default of PowStepDevice"


class PowerDevice(PulsedDevice):
    """Exponents of a power-step device and their spread."""

    abstract: ClassVar[bool] = True

    # fmt: off
    pow_gamma = Quantity(1.0, **POSITIVE, softbounds=(0.1, 5), group="Shape", source=_SOURCE,
                         doc="Mean exponent of the step along the range.")
    pow_up_down = Quantity(0.0, bounds=(-1, 1), softbounds=(-0.5, 0.5), group="Shape", source=_SOURCE,
                           doc="Asymmetry of the exponents: positive lowers the down, negative the up exponent.")
    pow_gamma_dtod = Quantity(0.1, **NOT_NEGATIVE, softbounds=(0, 0.5), group="Device-to-device spread",
                              source=_SOURCE, doc="Relative spread of the exponent, both directions alike.")
    pow_up_down_dtod = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.5), group="Device-to-device spread",
                                source=_SOURCE, doc="Spread of the exponents' asymmetry, in units of pow_gamma.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for an exponent so large that no step is left at the middle of the range."""
        super().check()
        self.check_granularity()

    @property
    def granularity(self) -> float:
        """The step (weight units) at the middle of the range: ``dw_min * 0.5 ** pow_gamma``."""
        return self.dw_min * 0.5**self.pow_gamma
