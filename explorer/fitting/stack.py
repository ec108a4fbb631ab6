# SPDX-License-Identifier: Apache-2.0
"""All ramps of one direction side by side, in mirrored coordinates.

A down ramp of ``w`` is an up ramp of ``y = -w``. Everything that fits ramps works on ``y``, so there is
one code for both directions; signs are put back where device parameters are formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .ramps import Ramp


@dataclass(frozen=True, eq=False)
class Stack:
    """Readings of the ramps of one direction, one after the other.

    Attributes
    ----------
    direction : int
        +1 or -1; ``y = direction * w``.
    ramps : tuple of Ramp
    """

    direction: int
    ramps: tuple[Ramp, ...]

    @cached_property
    def y(self) -> np.ndarray:
        """Mirrored readings in weight units, (reading,)."""
        return self.direction * np.concatenate([ramp.value for ramp in self.ramps])

    @cached_property
    def n(self) -> np.ndarray:
        """Pulses since the start of the ramp, (reading,)."""
        return np.concatenate([ramp.pulses for ramp in self.ramps]).astype(float)

    @cached_property
    def starts(self) -> np.ndarray:
        """First reading of each ramp, (ramp,)."""
        return np.cumsum([0, *(len(ramp) for ramp in self.ramps[:-1])])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Readings of each ramp, (ramp,)."""
        return np.array([len(ramp) for ramp in self.ramps])

    @cached_property
    def dn(self) -> np.ndarray:
        """Pulses since the reading before (for the first reading: since the start), (reading,)."""
        dn = np.diff(self.n, prepend=0.0)
        dn[self.starts] = self.n[self.starts]
        return dn

    @property
    def n_averaged(self) -> int:
        """Measured ramps behind each ramp here."""
        return self.ramps[0].n_averaged

    def sum(self, x: np.ndarray) -> np.ndarray:
        """Sum over the readings of each ramp, (reading, ...) -> (ramp, ...)."""
        return np.add.reduceat(x, self.starts, axis=0)

    def spread(self, x: np.ndarray) -> np.ndarray:
        """Repeat a number per ramp for all its readings, (ramp, ...) -> (reading, ...)."""
        return np.repeat(x, self.lengths, axis=0)

    def split(self, x: np.ndarray) -> list[np.ndarray]:
        """Cut an array over the readings into one per ramp."""
        return np.split(x, self.starts[1:])

    def steps_through(self):
        """Yield for position 1, 2 ... the readings there and those before, over all long enough ramps."""
        for t in range(1, int(self.lengths.max())):
            now = self.starts[self.lengths > t] + t
            yield now, now - 1
