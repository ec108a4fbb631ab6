# SPDX-License-Identifier: Apache-2.0
"""What all ways from weights to conductances and back share.

docs/physics/circuit.md, 5. An encoding turns a weight matrix into arrays of conductances, and the currents of those
arrays into the product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.parts import Part
from engine.quantity import Quantity
from engine.tiles.arrays import real
from engine.tiles.slicing import within


class Encoding(Part):
    """What all encodings have: the range of the devices, and their number of states."""

    # fmt: off
    g_min = Quantity(0.0, bounds=(0, None), softbounds=(0, 20e-6), unit="S", group="Devices", source="assumed: off",
                     doc="Smallest conductance of a device.")
    g_max = Quantity(25e-6, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-6, 1e-3), log=True,
                     unit="S", group="Devices", source="aihwkit 1.2.0, largest conductance of its PCM model",
                     doc="Largest conductance of a device.")
    states = Quantity(0, bounds=(0, None), softbounds=(0, 64), integer=True, group="Devices",
                      source="assumed: continuous",
                      doc="Number of equally spaced conductances from g_min to g_max; 0 is any value.")
    w_max = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 2), unit="w",
                     group="Weights", source="assumed: normalised weights", doc="Weight that the range stands for.")
    # fmt: on

    abstract = True
    title = "Encoding"

    @classmethod
    def stem(cls) -> str:
        """Return the encoding's name: its class in small letters, ``OffsetEncoding`` is ``offset``."""
        return super().stem().removesuffix("_encoding")

    def check(self) -> None:
        """Raise `ParameterError` for an empty range, or a single state."""
        super().check()
        name = type(self).__name__
        if self.g_min >= self.g_max:
            allowed, remedy = f"below g_max = {self.g_max:g} S", "Lower g_min or raise g_max."
            raise ParameterError(say(f"{name}.g_min", self.g_min, "leaves no range", allowed, remedy, unit="S"))
        if 0 < self.states < self.fewest_states:
            allowed = f"0, or {self.fewest_states} and more"
            raise ParameterError(say(f"{name}.states", self.states, "is too few", allowed, "Use more, or 0."))

    fewest_states = 2

    @property
    def spacing(self) -> float:
        """Conductance between two states, siemens; 0 without states."""
        return (self.g_max - self.g_min) / (int(self.states) - 1) if self.states else 0.0

    @property
    def siemens_per_weight(self) -> float:
        """How much the difference of conductances grows with the weight, S/w."""
        return (self.g_max - self.g_min) / self.w_max

    def on_states(self, g: np.ndarray) -> np.ndarray:
        """Return conductances moved to the nearest state, half way to the even one."""
        return self.g_min + self.spacing * np.rint((g - self.g_min) / self.spacing) if self.states else g

    def arrays(self, weights: ArrayLike) -> list[np.ndarray]:
        """Return the conductances ``(lines, in)`` of each array, siemens, for weights ``(out, in)``.

        Raises
        ------
        ParameterError
            A weight beyond `w_max`.
        """
        return [self.on_states(g) for g in self.exact(self.allowed(weights))]

    def allowed(self, weights: ArrayLike) -> np.ndarray:
        """Return the weights in double precision if all lie in the range."""
        return within(real(weights, "weights", {"out": None, "in": None}), self.w_max, "weights")

    def exact(self, weights: np.ndarray) -> list[np.ndarray]:
        """Return the conductances before they are moved to states."""
        raise NotImplementedError(f"{type(self).__name__}.exact: an encoding must define it.")

    def difference(self, currents: Sequence[np.ndarray], sums: np.ndarray) -> np.ndarray:
        """Return the currents ``(batch, out)`` that carry the product, from those ``(batch, lines)`` of each array.

        ``sums`` ``(batch, 1)`` are the sums of each input vector, for references that are subtracted as numbers.
        """
        raise NotImplementedError(f"{type(self).__name__}.difference: an encoding must define it.")

    def weights(self, arrays: Sequence[ArrayLike]) -> np.ndarray:
        """Return the weights ``(out, in)`` that arrays of conductances stand for: what `arrays` does, undone."""
        parts = [np.asarray(g, float).T for g in arrays]  # each input alone, so a line's current is its conductance
        return self.difference(parts, np.ones((len(parts[0]), 1))).T / self.siemens_per_weight
