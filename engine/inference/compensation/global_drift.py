# SPDX-License-Identifier: Apache-2.0
"""One factor for a tile, against its own first reading."""

from engine.inference.compensation.base import Compensation


class GlobalCompensation(Compensation):
    """One factor for each tile: its mean output right after programming over that of now.

    See docs/physics/inference.md, section 5.
    """

    title = "Global"
    formula = "α = ⟨|Y(0)|⟩/⟨|Y(t)|⟩"

    @classmethod
    def stem(cls) -> str:
        """Return ``global``."""
        return "global"
