# SPDX-License-Identifier: Apache-2.0
"""The converter that finds a digit in each of a row of stages."""

from __future__ import annotations

import numpy as np

from engine.quantity import Quantity
from engine.tiles.converters.base import ASSUMED, ON, CircuitConverter


class PipelineConverter(CircuitConverter):
    r"""Stages in a row: each finds a digit -1, 0 or 1 and passes on twice the rest.

    .. math:: V \leftarrow \frac{(1 + \gamma) V - d\,\gamma\,V_{ref}}{1 + 1 / (A \beta)}, \quad
        d = \pm 1 \text{ beyond } \pm V_{ref} / 4, \quad \gamma = C_2 / C_1

    with an amplifier of gain A, fed back by :math:`\beta = C_1 / (C_1 + C_2)`, and capacitors of :math:`1 + \sigma \xi`
    units. The code is the sum of the digits times powers of two. A threshold that is off by less than
    :math:`V_{ref} / 4` costs nothing but in the last stage, for the next digits make up for it.

    Examples
    --------
    >>> PipelineConverter(bits=4).codes([[0.5, -0.4]])
    array([[ 4, -3]])
    """

    title = "Pipeline"

    # fmt: off
    capacitor_std = Quantity(0.0, bounds=ON, softbounds=(0, 0.1), group="Stages", source=ASSUMED,
                             doc="Relative spread of the two capacitors of a stage, drawn once.")
    threshold_std = Quantity(0.0, bounds=ON, softbounds=(0, 0.25), group="Stages", source=ASSUMED,
                             doc="Spread of the two comparators' thresholds of a stage over V_ref, drawn once.")
    gain_db = Quantity(100.0, bounds=(0, 300), softbounds=(40, 120), unit="dB", group="Stages",
                       source="CrossSim 3.2, default of its pipeline ADC", doc="Gain of a stage's amplifier.")
    # fmt: on

    @property
    def stages(self) -> int:
        """Number of digits: their sum reaches the top code."""
        return int(self.bits) - int(self.signed)

    def decide(self, steps: np.ndarray, seed: int, first: int) -> np.ndarray:
        """Return the codes after one digit for each stage."""
        own = self.of_columns(steps.shape[1])
        ratios, betas, thresholds = (values[own] for values in self.errors(seed, steps.shape[1]))
        loss = 1 + 10 ** (-self.gain_db / 20) / betas
        v, code = self.received(steps, seed, first) / 2**self.stages, np.zeros(steps.shape)
        for k in range(self.stages):
            high, low = 0.25 + thresholds[:, k, 0], -0.25 + thresholds[:, k, 1]
            digit = (v > high).astype(float) - (v <= low)
            v = ((1 + ratios[:, k]) * v - digit * ratios[:, k]) / loss[:, k]
            code = 2 * code + digit
        return code

    def errors(self, seed: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return ratios of capacitors and feedback, ``(converters, stages)``, and what thresholds are off by."""
        units = 1 + self.capacitor_std * self._drawn(seed, "capacitors", columns, self._made, 2)
        off = self.threshold_std * self._drawn(seed, "thresholds", columns, self._made, 2)
        ratios, betas = units[..., 1] / units[..., 0], units[..., 0] / units.sum(-1)
        times = self.stages // self._made
        return np.repeat(ratios, times, axis=1), np.repeat(betas, times, axis=1), np.repeat(off, times, axis=1)

    @property
    def _made(self) -> int:
        """Stages that are built."""
        return self.stages
