# SPDX-License-Identifier: Apache-2.0
"""What all analog-to-digital converters share, and what all circuits do. docs/physics/circuit.md, 3.

A converter of b bits has the codes ``-(2^(b-1) - 1) .. 2^(b-1) - 1`` at equal steps, the top one at full scale, as the
tile's converters have; unsigned it has ``0 .. 2^b - 1``. What differs from converter to converter is a function of the
seed, so a chip keeps its errors; columns that share a converter share them. How good one is: `engine.tiles.linearity`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.parts import Part
from engine.quantity import Flag, Quantity
from engine.tiles.arrays import fixed_normals, fresh_normals, real

ASSUMED = "assumed (off)"
ON = (0, None)


class Converter(Part):
    """What all converters have: resolution, range, and which columns share one.

    Subclasses say how values in steps become whole numbers of steps (`decide`).
    """

    # fmt: off
    bits = Quantity(8, bounds=(1, 16), softbounds=(3, 12), integer=True, unit="bit", group="Codes",
                    source="assumed: usual for the readout of arrays", doc="Resolution.")
    full_scale = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 10), unit="out",
                          group="Codes", source="assumed", doc="Input that the top code stands for.")
    signed = Flag(True, group="Codes", source="assumed: as the tile's converters",
                  doc="Codes on both sides of an exact zero; otherwise from zero up.")
    sharing = Quantity(1, bounds=ON, softbounds=(0, 16), integer=True, unit="columns", group="Codes",
                       source="assumed: one for each column",
                       doc="Neighbouring columns that take turns with one converter; 0 is one for all.")
    # fmt: on

    abstract = True
    title = "Converter"

    @classmethod
    def stem(cls) -> str:
        """Return the converter's name: its class in small letters, ``SarConverter`` is ``sar``."""
        return super().stem().removesuffix("_converter")

    def check(self) -> None:
        """Raise `ParameterError` for signed codes of one bit."""
        super().check()
        if self.signed and self.bits < 2:
            name = f"{type(self).__name__}.bits"
            raise ParameterError(say(name, self.bits, "has no signed codes", "2 .. 16", "Set signed to False."))

    @property
    def top(self) -> int:
        """The largest code."""
        return 2 ** (int(self.bits) - int(self.signed)) - 1

    @property
    def bottom(self) -> int:
        """The smallest code."""
        return -self.top if self.signed else 0

    @property
    def step(self) -> float:
        """Input between two codes, in the unit of `full_scale`."""
        return self.full_scale / self.top

    def codes(self, values: ArrayLike, *, seed: int = 0, first: int = 0) -> np.ndarray:
        """Return the codes of ``values``.

        Parameters
        ----------
        values : array_like
            ``(samples, columns)``, in the unit of `full_scale`.
        seed : int
            Of the converters' own errors and of their noise.
        first : int
            Number of the first sample in the life of the converters, for their noise.

        Returns
        -------
        numpy.ndarray
            int64 ``(samples, columns)``, from `bottom` to `top`: values beyond the range give the last code (see
            `clipped`).
        """
        v = real(values, "values", {"samples": None, "columns": None})
        return np.clip(self.decide(v / self.step, seed, first), self.bottom, self.top).astype(np.int64)

    def values_of(self, codes: ArrayLike) -> np.ndarray:
        """Return the inputs that codes stand for, in the unit of `full_scale`."""
        return np.asarray(codes) * self.step

    def clipped(self, values: ArrayLike) -> np.ndarray:
        """Return where an input is beyond the last code by more than half a step, bool like ``values``."""
        v = np.asarray(values, float) / self.step
        return (v > self.top + 0.5) | (v < self.bottom - 0.5)

    def decide(self, steps: np.ndarray, seed: int, first: int) -> np.ndarray:
        """Return the whole numbers of steps that the circuit finds for ``(samples, columns)`` in steps."""
        raise NotImplementedError(f"{type(self).__name__}.decide: a converter must define it.")

    def of_columns(self, columns: int) -> np.ndarray:
        """Return the number of the converter of each column, ``(columns,)``."""
        return np.arange(columns) // int(self.sharing) if self.sharing else np.zeros(columns, int)

    def count(self, columns: int) -> int:
        """Return how many converters serve ``columns`` columns."""
        return -(-columns // int(self.sharing)) if self.sharing else 1


class CircuitConverter(Converter):
    """What all circuits have: offset, gain, noise of the comparator. Half way between two codes the lower one wins."""

    abstract = True

    # fmt: off
    offset_std = Quantity(0.0, bounds=ON, softbounds=(0, 4), unit="LSB", group="Errors", source=ASSUMED,
                          doc="Spread of the comparators' offsets, drawn once.")
    gain_std = Quantity(0.0, bounds=ON, softbounds=(0, 0.1), group="Errors", source=ASSUMED,
                        doc="Relative spread of the gain (of a ramp: its slope) over converters, drawn once.")
    noise_std = Quantity(0.0, bounds=ON, softbounds=(0, 2), unit="LSB", group="Errors", source=ASSUMED,
                         doc="Noise of a conversion, fresh each time.")
    # fmt: on

    def received(self, steps: np.ndarray, seed: int, first: int) -> np.ndarray:
        """Return what the comparators see of ``(samples, columns)``: gain, offset and noise applied, in steps."""
        samples, columns = steps.shape
        gain = 1 + self.gain_std * self._drawn(seed, "gain", columns)[self.of_columns(columns)]
        seen = steps * gain + self.offset_std * self._offsets(seed, columns)
        if self.noise_std:
            seen = seen + self.noise_std * fresh_normals(seed, "conversion", first, samples, columns)
        return seen

    def _offsets(self, seed: int, columns: int) -> np.ndarray:
        """Return the draw of each column's comparator, ``(columns,)``: columns that share one have the same."""
        return self._drawn(seed, "offset", columns)[self.of_columns(columns)]

    def _drawn(self, seed: int, name: str, columns: int, *more: int) -> np.ndarray:
        return fixed_normals(seed, f"converter {name}", self.count(columns), *more)
