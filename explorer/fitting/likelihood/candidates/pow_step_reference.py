# SPDX-License-Identifier: Apache-2.0
"""Power step with a reference device: for one device the curves of the power step."""

from __future__ import annotations

from ..effects import Reference, ScalePair
from .base import STEP_SCALES
from .pow_step import PowStep


class PowStepReference(PowStep):
    """A reference only moves the origin of one device; how it differs from device to device a population tells."""

    stem = "pow_step_reference"
    title = "Power step with reference"
    twin_of = "pow_step"
    effects = (STEP_SCALES, Reference(), ScalePair("g_up", "g_down", "pow_gamma", "pow_up_down"))
