# SPDX-License-Identifier: Apache-2.0
"""What every strategy against drift shares: factors on a tile's outputs from two readings of it."""

from __future__ import annotations

from typing import ClassVar, Protocol

import torch

from engine.parts import Part
from engine.quantity import Choice, Quantity

LEAST = 1e-4  # smallest reading, so that a tile of zeros has the factor 1
_SOURCE = "aihwkit 1.2.0, GlobalDriftCompensation"


class Readout(Protocol):
    """A tile that can be read: `engine.inference.tile.TileReadout`."""

    def absolute(self, *, per_output: bool, ideal: bool, repeats: int) -> torch.Tensor:
        """Return the mean magnitude of the outputs when every input is driven alone, float64.

        ``(chip,)``, or with ``per_output`` ``(chip, out)``. ``ideal`` reads the weights themselves, otherwise the
        tile's product with its converters and noise, ``repeats`` times.
        """

    def wanted(self, *, per_output: bool) -> torch.Tensor:
        """Return the same of the weights that were to be programmed, exact, ``(1,)`` or ``(1, out)``."""


class Compensation(Part):
    r"""A digital factor on the outputs, by which the mean decay of the weights is made up for.

    .. math:: \alpha(t) = c(W_P) / c(W_t), \quad c = \max(\langle |Y| \rangle, 10^{-4}), \quad Y = \mathrm{MVM}(W, E)

    with the identity E: each input line driven alone with 1, without input range and mapping scales. What it removes is
    the mean decay, not its spread over devices. docs/physics/inference.md, section 5.
    """

    abstract: ClassVar[bool] = True

    # fmt: off
    readout = Choice("tile", ("tile", "ideal"), group="Readout", source=_SOURCE,
                     doc="Read through the tile's own converters and noise, or take the weights as they are.")
    n_repeat = Quantity(1, bounds=(1, None), softbounds=(1, 64), integer=True, group="Readout", source=_SOURCE,
                        doc="Readings that are averaged; noise falls with the root of it.")
    # fmt: on

    per_output: ClassVar[bool] = False

    def reading(self, tile: Readout) -> torch.Tensor:
        """Return c of a tile as it is now, ``(chip,)`` or ``(chip, out)``."""
        ideal = self.readout == "ideal"
        return tile.absolute(per_output=self.per_output, ideal=ideal, repeats=int(self.n_repeat)).clamp(min=LEAST)

    def baseline(self, tile: Readout) -> torch.Tensor:
        """Return what readings are compared with; called with the tile as it was programmed."""
        return self.reading(tile)

    def factors(self, tile: Readout, baseline: torch.Tensor) -> torch.Tensor:
        """Return alpha of a tile as it is now, ``(chip,)`` or ``(chip, out)`` float32."""
        return (baseline / self.reading(tile)).float()
