# SPDX-License-Identifier: Apache-2.0
"""Ideal device: the floating-point reference."""

from collections.abc import Mapping

import numpy as np

from engine.devices.base import NOT_NEGATIVE, POSITIVE
from engine.devices.families import AIHWKIT, FadingDevice
from engine.quantity import Quantity


class Ideal(FadingDevice):
    r"""No bounds, no spread, no noise: training adds :math:`-\eta\, d\, x^T` in floating point.

    Explicit pulses (response curves) move it by ``dw_min``; the update does not use it.

    See docs/physics/devices.md, section 3.0.
    """

    title = "Ideal (floating point)"
    formula = "Δw = −η·d·x"
    pulsed = False

    # fmt: off
    dw_min = Quantity(0.001, **POSITIVE, softbounds=(1e-5, 0.1), unit="w", log=True, group="Step", source="assumed",
                      doc="Step of one explicit pulse in a response curve; training does not use it.")
    reset_std = Quantity(0.01, **NOT_NEGATIVE, softbounds=(0, 0.2), unit="w", group="Reset", source=AIHWKIT,
                         doc="Noise of a single reset, which goes to weight zero.")
    # fmt: on

    @property
    def granularity(self) -> float:
        """The step of an explicit pulse (weight units)."""
        return self.dw_min

    def symmetry_points(self, cells: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return NaN for every device: up and down steps are equal everywhere."""
        return np.full(np.shape(cells["dwmin_up"]), np.nan)
