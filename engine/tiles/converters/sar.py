# SPDX-License-Identifier: Apache-2.0
"""The converter by successive approximation."""

from __future__ import annotations

import numpy as np

from engine.quantity import Quantity
from engine.tiles.converters.base import ASSUMED, ON, CircuitConverter


class SarConverter(CircuitConverter):
    r"""Successive approximation with binary weighted capacitors.

    Capacitor k is :math:`2^k (1 + \sigma 2^{-k/2} \xi_k)` units, as the sum of :math:`2^k` unit capacitors would be.
    The level of a code is the sum of its capacitors over that of all, with a terminating unit. From the top bit down,
    a bit stays if the input is above the level. The step at mid-range has a spread of
    :math:`\sigma \sqrt{2^b - 1}` LSB.

    Examples
    --------
    >>> SarConverter(bits=4).codes([[0.5, -0.5]])
    array([[ 3, -4]])
    """

    title = "Successive approximation"

    # fmt: off
    capacitor_std = Quantity(0.0, bounds=ON, softbounds=(0, 0.1), group="Capacitors", source=ASSUMED,
                             doc="Relative spread of a unit capacitor, drawn once.")
    # fmt: on

    def decide(self, steps: np.ndarray, seed: int, first: int) -> np.ndarray:
        """Return the codes after one decision for each bit."""
        levels, own = self.capacitors(seed, steps.shape[1]), self.of_columns(steps.shape[1])
        zero = 2 ** (int(self.bits) - 1) if self.signed else 0
        seen = self.received(steps, seed, first) + 0.5 + zero  # decisions lie half way between codes
        code, level = np.zeros(steps.shape), np.zeros(steps.shape)
        for k in reversed(range(int(self.bits))):
            trial = level + levels[own, k]
            stays = seen > trial
            code, level = code + 2**k * stays, np.where(stays, trial, level)
        return code - zero

    def capacitors(self, seed: int, columns: int) -> np.ndarray:
        """Return what each bit adds to the level, in steps, ``(converters, bits)``, the lowest bit first."""
        units = np.append(2.0 ** np.arange(int(self.bits)), 1.0)
        drawn = self._drawn(seed, "capacitors", columns, len(units))
        own = units * (1 + self.capacitor_std / np.sqrt(units) * drawn)
        return own[:, :-1] * (units.sum() / own.sum(1, keepdims=True))
