# SPDX-License-Identifier: Apache-2.0
"""From weights to conductances and back: differential pairs, and single devices with a reference.

docs/physics/circuit.md, 5. An encoding turns a weight matrix into arrays of conductances, and the currents of those
arrays into the product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity
from engine.tiles.arrays import real
from engine.tiles.slicing import within


class Encoding(Model):
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

    title = "Encoding"

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


class OffsetEncoding(Encoding):
    r"""One device for each weight, and a reference that stands for zero.

    .. math:: w = (g - g_{ref})\, w_{max} / (g_{max} - g_{ref})

    Signed weights have their zero in the middle; with an even number of states the lowest one is not used, so that zero
    is a state. Weights without sign have it at g_min: the reference is then a dummy column, which removes what a finite
    on/off ratio adds.

    Examples
    --------
    >>> offset = OffsetEncoding(g_min=1e-6, g_max=21e-6)
    >>> (g,) = offset.arrays([[0.5, -1.0]])
    >>> (g * 1e6).round(6)
    array([[16.,  1.],
           [11., 11.]])
    """

    title = "Offset"

    # fmt: off
    reference = Choice("column", ("column", "digital"), group="Reference", source="assumed",
                       doc="Another column of devices, or the sum of the inputs times a number.")
    signed = Flag(True, group="Weights", source="assumed", doc="Weights of both signs; otherwise from zero up.")
    # fmt: on

    @property
    def fewest_states(self) -> int:  # type: ignore[override]
        """Three for weights of both signs."""
        return 3 if self.signed else 2

    @property
    def g_ref(self) -> float:
        """The conductance of weight zero, siemens."""
        if not self.signed:
            return self.g_min
        if not self.states:
            return (self.g_min + self.g_max) / 2
        return self.g_max - self.spacing * ((int(self.states) - 1) // 2)

    @property
    def siemens_per_weight(self) -> float:
        """How much the conductance grows with the weight, S/w."""
        return (self.g_max - self.g_ref) / self.w_max

    def allowed(self, weights: ArrayLike) -> np.ndarray:
        """Return the weights in double precision if all lie in the range, and have no sign where it is off."""
        w = super().allowed(weights)
        if not self.signed and (w < 0).any():
            remedy = "Set signed, or use a differential pair."
            raise ParameterError(say("weights", float(w.min()), "must not be negative", f"[0, {self.w_max:g}]", remedy))
        return w

    def exact(self, weights: np.ndarray) -> list[np.ndarray]:
        """Return one array ``(out, in)``, with a line more for a reference column, the last."""
        g = self.g_ref + self.siemens_per_weight * weights
        return [np.vstack([g, np.full((1, g.shape[1]), self.g_ref)]) if self.reference == "column" else g]

    def difference(self, currents: Sequence[np.ndarray], sums: np.ndarray) -> np.ndarray:
        """Return the currents less that of the reference."""
        (u,) = currents
        return u[:, :-1] - u[:, -1:] if self.reference == "column" else u - self.g_ref * sums


ENCODINGS: dict[str, type[Encoding]] = {"pair": DifferentialPair, "offset": OffsetEncoding}
