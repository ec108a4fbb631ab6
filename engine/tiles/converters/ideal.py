# SPDX-License-Identifier: Apache-2.0
"""The converter without errors."""

from __future__ import annotations

import numpy as np

from engine.tiles.converters.base import Converter


class IdealConverter(Converter):
    """Rounds to the nearest code, half way to the even one.

    Examples
    --------
    >>> IdealConverter(bits=4).codes([[0.5, -2.0, 0.07]])
    array([[ 4, -7,  0]])
    """

    title = "Ideal"

    def decide(self, steps: np.ndarray, seed: int, first: int) -> np.ndarray:
        """Return the nearest whole numbers."""
        return np.rint(steps)
