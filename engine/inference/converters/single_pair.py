# SPDX-License-Identifier: Apache-2.0
"""One pair of devices for a weight."""

import torch

from engine.inference.converters.base import Converter, Scale, signed_parts


class SinglePair(Converter):
    r"""A positive weight on one device of a pair, a negative one on the other; the partner stays at g_min.

    .. math:: g^\pm = \max(\pm s W, 0) + g_{min}, \quad s = (g_{max} - g_{min}) / \max|W|

    See docs/physics/inference.md, section 2.

    Examples
    --------
    >>> g, scale = SinglePair().to_conductances(torch.tensor([[1.0, -0.5]]))
    >>> g.tolist(), scale
    ([[[25.0, 0.0]], [[0.0, 12.5]]], {'scale': 25.0})
    """

    title = "One pair"
    formula = "W = (g⁺ − g⁻)/s"

    @property
    def slices(self) -> int:
        """Two."""
        return 2

    def conductances_at(self, weights: torch.Tensor, scale: Scale) -> tuple[torch.Tensor, Scale]:
        """Return ``(2, out, in)`` and the scale."""
        g = signed_parts(weights * scale["scale"]).clamp_(max=self.span)
        return g + self.g_min, scale
