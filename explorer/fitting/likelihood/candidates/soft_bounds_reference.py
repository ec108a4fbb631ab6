# SPDX-License-Identifier: Apache-2.0
"""Soft bounds with a reference device: for one device the curves of soft bounds."""

from __future__ import annotations

from ..effects import Reference
from .base import STEP_SCALES
from .soft_bounds import SoftBounds


class SoftBoundsReference(SoftBounds):
    """A reference only moves the origin of one device; how it differs from device to device a population tells."""

    stem = "soft_bounds_reference"
    title = "Soft bounds with reference"
    twin_of = "soft_bounds"
    effects = (STEP_SCALES, Reference())
