# SPDX-License-Identifier: Apache-2.0
"""Phase-change memory of a 64-core chip: what both ways to build its weights share."""

from typing import ClassVar

import torch

from engine.inference.noise.base import polynomial
from engine.inference.noise.power_law import PowerLawNoise, log_clipped
from engine.quantity import Quantity, Table

SOURCE = (
    "64-core PCM chip in 14 nm, Nature Electronics 6, 680 (2023), as coefficients of aihwkit 1.2.0, HermesNoiseModel"
)
SPLIT = {"bounds": (0, 1), "softbounds": (0, 1), "source": SOURCE}


class Hermes(PowerLawNoise):
    """Statistics in two pieces over r = g/g_max: a clipped logarithm below a split, a polynomial above.

    The pieces jump a little where they meet, as published. A ``low`` table is slope, offset, smallest, largest of the
    logarithm; a ``high`` table the ascending polynomial.
    """

    abstract: ClassVar[bool] = True

    # fmt: off
    t_read = Quantity(512e-9, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-9, 1e-5), log=True,
                      unit="s", group="Time", source=SOURCE,
                      doc="Duration of one read, which cuts off the 1/f noise at high frequencies.")
    nu_mean_split = Quantity(0.0945, **SPLIT, group="Drift", doc="Where the pieces of the mean exponent meet.")
    nu_mean_low = Table([-0.0387, -0.0182, 0.0720, 0.13], group="Drift", source=SOURCE,
                        doc="Mean drift exponent below: slope and offset over ln r, smallest, largest.")
    nu_mean_high = Table([0.0736, -0.0126, -0.0436], group="Drift", source=SOURCE,
                         doc="Mean drift exponent above: ascending polynomial of r.")
    nu_std_split = Quantity(0.3039, **SPLIT, group="Drift", doc="Where the pieces of the exponent's spread meet.")
    nu_std_low = Table([-0.0120, -0.0023, 0.0124, 0.04], group="Drift", source=SOURCE,
                       doc="Spread of the exponent below: slope and offset over ln r, smallest, largest.")
    nu_std_high = Table([0.0104, 0.0116, -0.0165], group="Drift", source=SOURCE,
                        doc="Spread of the exponent above: ascending polynomial of r.")
    q_split = Quantity(0.1591, **SPLIT, group="Read noise", doc="Where the pieces of the read noise meet.")
    q_low = Table([-0.0078, 0.0038, 0.0179, 0.04], group="Read noise", source=SOURCE,
                  doc="Relative 1/f noise below: slope and offset over ln r, smallest, largest.")
    q_high = Table([0.0088, 0.0768, -0.1352, 0.0664], group="Read noise", source=SOURCE,
                   doc="Relative 1/f noise above: ascending polynomial of r.")
    # fmt: on

    def _pieces(self, g: torch.Tensor, split: float, low: list[float], high: list[float]) -> torch.Tensor:
        r = self.relative(g)
        return torch.where(r < split, log_clipped(r, *low), polynomial(r, high))

    def nu_mean(self, g: torch.Tensor) -> torch.Tensor:
        """Return the mean drift exponent of targets g (uS)."""
        return self._pieces(g, self.nu_mean_split, self.nu_mean_low, self.nu_mean_high)

    def nu_std(self, g: torch.Tensor) -> torch.Tensor:
        """Return the spread of the drift exponent of targets g (uS)."""
        return self._pieces(g, self.nu_std_split, self.nu_std_low, self.nu_std_high)

    def read_share(self, g: torch.Tensor) -> torch.Tensor:
        """Return Q of devices programmed to g (uS)."""
        return self._pieces(g, self.q_split, self.q_low, self.q_high)
