# SPDX-License-Identifier: Apache-2.0
"""One device for a weight."""

import torch

from engine.inference.converters.base import SMALLEST, Converter, Scale
from engine.quantity import Flag, Quantity

_CMO = "aihwkit 1.2.0, default of SingleDeviceConductanceConverter: range of a CMO/HfOx cell"


class SingleDevice(Converter):
    r"""Conductances over the whole range of the weights; the offset is taken off digitally or by a reference column.

    .. math:: g = g_{min} + (W - W_{min}) \frac{g_{max} - g_{min}}{W_{max} - W_{min}}

    Equal weights have the middle conductance. See docs/physics/inference.md, section 2.

    Examples
    --------
    >>> g, scale = SingleDevice(g_max=90.0, g_min=10.0).to_conductances(torch.tensor([[-1.0, 0.6, 1.0]]))
    >>> [round(v, 4) for v in g.flatten().tolist()]
    [10.0, 74.0, 90.0]
    """

    title = "One device"
    formula = "g = g_min + (W − W_min)(g_max − g_min)/(W_max − W_min)"

    # fmt: off
    g_max = Quantity(88.19999694824219, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(10, 250),
                     unit="uS", group="Conductance", source=_CMO,
                     doc="Largest conductance that a device is programmed to.")
    g_min = Quantity(9.0, bounds=(0, None), softbounds=(0, 50), unit="uS", group="Conductance", source=_CMO,
                     doc="Smallest conductance that a device is programmed to.")
    symmetric = Flag(False, group="Conductance", source="assumed (off)",
                     doc="The range of the weights is plus and minus their largest: weight zero has the middle "
                         "conductance.")
    # fmt: on

    @property
    def slices(self) -> int:
        """One."""
        return 1

    @property
    def paired(self) -> bool:
        """No."""
        return False

    def scale_of(self, weights: torch.Tensor) -> Scale:
        """Return ``scale`` in uS per weight unit, and ``offset``, the weight at g_min; one for equal weights too."""
        low, high = weights.min().item(), weights.max().item()
        if self.symmetric:
            high = max(abs(low), abs(high))
            low = -high
        if high - low < SMALLEST:  # equal weights: the middle conductance, and a range that the weight gives
            half = max(abs(high), SMALLEST)
            low, high = (low + high) / 2 - half, (low + high) / 2 + half
        return {"scale": self.span / (high - low), "offset": low}

    def conductances_at(self, weights: torch.Tensor, scale: Scale) -> tuple[torch.Tensor, Scale]:
        """Return ``(1, out, in)`` and the scale."""
        g = (weights - scale["offset"]) * scale["scale"] + self.g_min
        return g.clamp(self.g_min, self.g_max)[None], scale

    def to_weights(self, conductances: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Return weights ``(..., out, in)`` of ``(..., 1, out, in)``."""
        return (conductances[..., 0, :, :] - self.g_min) / scale["scale"] + scale["offset"]

    def net(self, conductances: torch.Tensor) -> torch.Tensor:
        """Return the device's conductance above the middle of its range, ``(..., out, in)`` uS."""
        return conductances[..., 0, :, :] - (self.g_min + self.g_max) / 2
