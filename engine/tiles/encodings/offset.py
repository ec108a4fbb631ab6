# SPDX-License-Identifier: Apache-2.0
"""One device for each weight, and a reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag
from engine.tiles.encodings.base import Encoding


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
