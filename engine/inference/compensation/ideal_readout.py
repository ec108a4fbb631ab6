# SPDX-License-Identifier: Apache-2.0
"""Global compensation with a perfect reading."""

from engine.inference.compensation.base import Compensation
from engine.quantity import Choice


class IdealReadoutCompensation(Compensation):
    """As global, read without converters and noise: the best that one factor can do.

    See docs/physics/inference.md, section 5.
    """

    title = "Global, ideal read-out"
    formula = "α = ⟨|W(0)|⟩/⟨|W(t)|⟩"

    # fmt: off
    readout = Choice("ideal", ("tile", "ideal"), group="Readout", source="assumed: what this strategy is",
                     doc="Read through the tile's own converters and noise, or take the weights as they are.")
    # fmt: on

    @classmethod
    def stem(cls) -> str:
        """Return ``ideal_readout``."""
        return "ideal_readout"
