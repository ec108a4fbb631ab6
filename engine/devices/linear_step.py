# SPDX-License-Identifier: Apache-2.0
"""Linear step device."""

from engine.devices.base import NOT_NEGATIVE
from engine.devices.families import WrittenDevice
from engine.errors import ParameterError, say
from engine.quantity import Flag, Quantity

_SOURCE = "aihwkit 1.2.0, default of LinearStepDevice"


class LinearStep(WrittenDevice):
    r"""The step falls linearly with the state: up :math:`s\,(1 - \gamma\, w / w_{max})`, down mirrored.

    At the bound a step is :math:`1 - \gamma` of the step at zero. The spread of gamma is not zero by default, so
    ``gamma_up = 0`` still gives a population with small slopes.

    See docs/physics/devices.md, section 3.2.
    """

    title = "Linear step"
    formula = "Δw = s·(1 − γ·w/w_bound)"

    # fmt: off
    gamma_up = Quantity(0.0, softbounds=(0, 1), group="Shape", source=_SOURCE,
                        doc="Relative loss of the up step at the upper bound.")
    gamma_down = Quantity(0.0, softbounds=(0, 1), group="Shape", source=_SOURCE,
                          doc="Relative loss of the down step at the lower bound.")
    gamma_up_dtod = Quantity(0.05, **NOT_NEGATIVE, softbounds=(0, 0.5), group="Device-to-device spread",
                             source=_SOURCE, doc="Absolute spread of gamma_up over devices.")
    gamma_down_dtod = Quantity(0.05, **NOT_NEGATIVE, softbounds=(0, 0.5), group="Device-to-device spread",
                               source=_SOURCE, doc="Absolute spread of gamma_down over devices.")
    allow_increasing = Flag(False, group="Shape", source=_SOURCE,
                            doc="Keep negative drawn slopes instead of folding them.")
    mean_bound_reference = Flag(True, group="Shape", source=_SOURCE,
                                doc="The slope refers to the mean bound; off, to the device's own.")
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
