# SPDX-License-Identifier: Apache-2.0
"""Soft-bounds device given by a measured curve."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.devices.base import NOT_NEGATIVE, POSITIVE
from engine.devices.families import SpreadDevice
from engine.devices.soft_bounds import SoftBounds
from engine.errors import ParameterError, say
from engine.quantity import Flag, Quantity

_SOURCE = "aihwkit 1.2.0, default of SoftBoundsPmaxDevice"
_LARGEST = float(np.finfo(np.float32).max)
_CONVERTED = ("dw_min", "up_down", "w_max", "w_min")


class SoftBoundsPmax(SpreadDevice):
    r"""Soft bounds that follow :math:`w(p) = r_{min} + B (1 - e^{-\alpha p})`, at ``range_max`` after ``p_max`` pulses.

    The conversion is exact for the discrete recursion; aihwkit's own misses its curve and is kept as
    ``peer_compat``. DNN_NeuroSim's nonlinearity uses the same curve with range -1..1, :math:`\alpha = 1/A` and
    ``p_max`` levels.

    See docs/physics/devices.md, section 3.4.
    """

    title = "Soft bounds by measured curve"
    formula = "w(p) = r_min + B·(1 − exp(−α·p))"

    # fmt: off
    p_max = Quantity(1000, bounds=(1, None), softbounds=(10, 5000), unit="pulses", integer=True, group="Step",
                     source=_SOURCE, doc="Pulses from range_min to range_max.")
    alpha = Quantity(0.0005, **POSITIVE, softbounds=(1e-5, 0.05), log=True, group="Step", source=_SOURCE,
                     doc="Curvature of the measured response per pulse.")
    range_min = Quantity(-1.0, softbounds=(-2, 0), unit="w", group="Bounds", source=_SOURCE,
                         doc="Weight at which the measured up curve starts.")
    range_max = Quantity(1.0, softbounds=(0, 2), unit="w", group="Bounds", source=_SOURCE,
                         doc="Weight that the measured up curve reaches after p_max pulses.")
    mult_noise = Flag(True, group="Cycle-to-cycle noise", source=_SOURCE,
                      doc="Noise follows the step; off, the step size at zero, so it does not vanish at the bound.")
    reverse_up = Flag(False, group="Shape", source=_SOURCE, doc="Up steps grow towards the upper bound.")
    reverse_down = Flag(False, group="Shape", source=_SOURCE, doc="Down steps grow towards the lower bound.")
    reverse_offset = Quantity(0.01, **NOT_NEGATIVE, softbounds=(0, 0.5), unit="w", group="Shape", source=_SOURCE,
                              doc="Distance beyond the opposite bound at which a reversed step vanishes.")
    write_noise_std = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 100), group="Write noise", source=_SOURCE,
                               doc="Error of a written weight, in units of the step, redrawn at each write.")
    apply_write_noise_on_set = Flag(True, group="Write noise", source=_SOURCE,
                                    doc="Also when a weight is set from outside.")
    # fmt: on

    @classmethod
    def header(cls) -> str:
        """Return ``soft_bounds``: the curve is converted into that device's parameters."""
        return SoftBounds.stem()

    @classmethod
    def packed(cls) -> list[str]:
        """Return the names of the soft-bounds header."""
        return SoftBounds.packed()

    def physical_values(self) -> dict[str, Any]:
        """Return the parameters of the soft-bounds device that follows the curve."""
        own = {n: getattr(self, n) for n in self.packed() if n not in _CONVERTED}
        return own | self.soft_bounds()

    def soft_bounds(self) -> dict[str, float]:
        """Return ``dw_min``, ``up_down``, ``w_max``, ``w_min`` of the soft-bounds device that follows the curve."""
        low, high = self.range_min, self.range_max
        span = (high - low) / -math.expm1(-self.alpha * self.p_max)
        if self.peer_compat:
            step, asymmetry = self.alpha * span, 1 + 2 * low / span
            return {"dw_min": step, "up_down": asymmetry, "w_max": low + span, "w_min": low}
        share = -math.expm1(-self.alpha)
        top, bottom = low + span, high - span
        up, down = share * top, -share * bottom
        asymmetry = 1 - down / up if up >= down else -(1 - up / down)
        return {"dw_min": max(up, down), "up_down": asymmetry, "w_max": top, "w_min": bottom}

    def check(self) -> None:
        """Raise `ParameterError` if the curve needs bounds that do not enclose weight zero."""
        super().check()
        if self.range_max <= self.range_min:
            raise ParameterError(
                say("SoftBoundsPmax.range_max", float(self.range_max), "must lie above range_min",
                    f"above {self.range_min:g}", "Swap the two.", unit="w")
            )  # fmt: skip
        found = self.soft_bounds()
        for name, value in found.items():
            if not abs(value) <= _LARGEST:
                raise ParameterError(
                    say(f"SoftBoundsPmax: {name} of this curve", value, "does not fit single precision",
                        f"up to {_LARGEST:.3g}", "Raise alpha or p_max, or narrow the range.", unit="w")
                )  # fmt: skip
        if not found["w_min"] < 0 < found["w_max"] or not -1 < found["up_down"] < 1:
            raise ParameterError(
                f"SoftBoundsPmax: this curve needs bounds [{found['w_min']:g}, {found['w_max']:g}] w, which must "
                "enclose 0 (allowed: lower < 0 < upper). Shift range_min and range_max."
            )

    @property
    def range(self) -> tuple[float, float]:
        """Nominal lower and upper bound of the weight (weight units)."""
        found = self.soft_bounds()
        return found["w_min"], found["w_max"]

    @property
    def granularity(self) -> float:
        """The step (weight units) that the update logic assumes: the converted ``dw_min``."""
        return self.soft_bounds()["dw_min"]
