# SPDX-License-Identifier: Apache-2.0
"""What devices with a subtracted reference device share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from engine.devices.base import NOT_NEGATIVE
from engine.devices.families import PulsedDevice
from engine.quantity import Flag, Quantity

_SOURCE = "aihwkit 1.2.0, default of SoftBoundsReferenceDevice"


class ReferencedDevice(PulsedDevice):
    """A weight that is a physical state less that of a reference device."""

    abstract: ClassVar[bool] = True

    # fmt: off
    reference_mean = Quantity(0.0, softbounds=(-0.5, 0.5), unit="w", group="Reference", source=_SOURCE,
                              doc="Mean state of the reference device.")
    reference_std = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.5), unit="w", group="Reference", source=_SOURCE,
                             doc="Spread of the reference over devices.")
    subtract_symmetry_point = Flag(False, group="Reference", source=_SOURCE,
                                   doc="Shift each reference by the device's symmetry point: weight zero is symmetric.")
    # fmt: on

    def cell_range(self, cells: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return lower and upper bound of the weight of each drawn device: those of the state less the reference."""
        low, high = super().cell_range(cells)
        reference = np.asarray(cells["reference"])
        return low - reference, high - reference
