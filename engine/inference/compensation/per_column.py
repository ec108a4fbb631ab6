# SPDX-License-Identifier: Apache-2.0
"""One factor for each output, against its own first reading."""

from typing import ClassVar

from engine.inference.compensation.base import Compensation


class PerColumnCompensation(Compensation):
    """One factor for each output of a tile (a column of the crossbar): less averaging, so a noisier reading.

    See docs/physics/inference.md, section 5.
    """

    title = "Per column"
    formula = "αᵢ = ⟨|Yᵢ(0)|⟩/⟨|Yᵢ(t)|⟩"
    per_output: ClassVar[bool] = True

    @classmethod
    def stem(cls) -> str:
        """Return ``per_column``."""
        return "per_column"
