# SPDX-License-Identifier: Apache-2.0
"""Two devices for each weight."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.quantity import Choice
from engine.tiles.encodings.base import Encoding


class DifferentialPair(Encoding):
    r"""Two devices for each weight, in two arrays whose currents are subtracted.

    .. math:: w = (g^+ - g^-)\, w_{max} / (g_{max} - g_{min})

    One-sided: the device that the sign does not need rests at g_min. Two-sided: both move, around the middle. What both
    devices have in common cancels.

    Examples
    --------
    >>> pair = DifferentialPair(g_min=1e-6, g_max=21e-6)
    >>> plus, minus = pair.arrays([[0.5, -1.0]])
    >>> (plus * 1e6).round(6), (minus * 1e6).round(6)
    (array([[11.,  1.]]), array([[ 1., 21.]]))
    >>> pair.weights([plus, minus]).round(6)
    array([[ 0.5, -1. ]])
    """

    title = "Differential pair"

    style = Choice("one_sided", ("one_sided", "two_sided"), group="Devices", source="assumed: usual for PCM",
                   doc="One device at g_min, or both around the middle of the range.")  # fmt: skip

    def exact(self, weights: np.ndarray) -> list[np.ndarray]:
        """Return g+ and g-, ``(out, in)`` each."""
        if self.style == "one_sided":
            return [self.g_min + self.siemens_per_weight * np.maximum(s * weights, 0.0) for s in (1, -1)]
        middle = (self.g_min + self.g_max) / 2
        return [middle + s * self.siemens_per_weight / 2 * weights for s in (1, -1)]

    def difference(self, currents: Sequence[np.ndarray], sums: np.ndarray) -> np.ndarray:
        """Return the currents of the positive array less those of the negative one."""
        return currents[0] - currents[1]
