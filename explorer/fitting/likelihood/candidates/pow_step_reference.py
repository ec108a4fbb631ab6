# SPDX-License-Identifier: Apache-2.0
"""Power step with a reference device: for one device the curves of the power step."""

from __future__ import annotations

from .pow_step import PowStep


class PowStepReference(PowStep):
    """A reference only moves the origin of one device; how it differs from device to device a population tells."""

    stem = "pow_step_reference"
    title = "Power step with reference"
    twin_of = "pow_step"
