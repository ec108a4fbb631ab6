# SPDX-License-Identifier: Apache-2.0
"""The converter that counts until a ramp has passed the input."""

from __future__ import annotations

import numpy as np

from engine.quantity import Quantity
from engine.tiles.arrays import fixed_normals
from engine.tiles.converters.base import ASSUMED, ON, CircuitConverter


class RampConverter(CircuitConverter):
    r"""Counts the steps of a rising ramp until it passes the input; every column has a comparator of its own.

    The k-th step of a ramp is :math:`1 + \sigma \xi_k` of the nominal one, and the sum runs from mid-range. Columns
    that share a ramp share its slope and its steps.

    Examples
    --------
    >>> RampConverter(bits=4, bow=0.1).codes([[0.5, -0.5]])
    array([[ 3, -4]])
    """

    title = "Ramp"

    # fmt: off
    step_std = Quantity(0.0, bounds=ON, softbounds=(0, 0.2), group="Ramp", source=ASSUMED,
                        doc="Relative spread of single steps of a ramp, drawn once: their sum bends it at random.")
    bow = Quantity(0.0, bounds=(-0.25, 0.25), softbounds=(-0.05, 0.05), group="Ramp", source=ASSUMED,
                   doc="How far mid-range lies above the line through the ends, over half the range; a parabola.")
    # fmt: on

    def decide(self, steps: np.ndarray, seed: int, first: int) -> np.ndarray:
        """Return the code at which each value is reached."""
        seen = self.received(steps, seed, first)
        ramps, own = self.thresholds(seed, steps.shape[1]), self.of_columns(steps.shape[1])
        found = np.empty(steps.shape)
        for column, k in enumerate(own):
            found[:, column] = np.searchsorted(ramps[k], seen[:, column], side="left")
        return found + self.bottom

    def thresholds(self, seed: int, columns: int) -> np.ndarray:
        """Return the ramps' levels between the codes, in steps, ``(converters, codes - 1)``."""
        nominal = np.arange(self.bottom, self.top) + 0.5
        middle, half = (self.top + self.bottom) / 2, (self.top - self.bottom) / 2
        bent = nominal + self.bow * half * (1 - ((nominal - middle) / half) ** 2)
        walk = self.step_std * self._drawn(seed, "steps", columns, len(nominal)).cumsum(1)
        # Where a ramp falls back, its highest point so far has stopped the counter already.
        return np.maximum.accumulate(bent + walk - walk[:, [len(nominal) // 2]], axis=1)

    def _offsets(self, seed: int, columns: int) -> np.ndarray:
        return fixed_normals(seed, "converter comparators", columns)
