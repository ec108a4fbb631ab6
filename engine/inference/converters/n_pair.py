# SPDX-License-Identifier: Apache-2.0
"""Several pairs of devices for a weight."""

import torch

from engine.errors import ParameterError, say
from engine.inference.converters.base import Converter, Scale, signed_parts
from engine.quantity import Table


class NPair(Converter):
    r"""Pairs of different significance, filled one after another.

    .. math:: W = \frac{1}{s} \sum_k f_k (g^+_k - g^-_k), \quad s = \sum_k f_k (g_{max} - g_{min}) / \max|W|

    See docs/physics/inference.md, section 2.

    Examples
    --------
    >>> NPair(f_lst=[1.0, 2.0, 3.0]).slices
    6
    """

    title = "Several pairs"
    formula = "W = Σₖ fₖ (gₖ⁺ − gₖ⁻)/s"

    f_lst = Table([1.0, 1.0], group="Pairs", source="assumed: two equal pairs",
                  doc="Significance of each pair, the pair that is filled first in front.")  # fmt: skip

    def check(self) -> None:
        """Raise `ParameterError` unless every significance is positive."""
        super().check()
        check_significance(self)

    @property
    def slices(self) -> int:
        """Two for each pair: positive, negative, positive, ..."""
        return 2 * len(self.f_lst)

    @property
    def significance(self) -> list[float]:
        """``f_lst``."""
        return list(self.f_lst)

    def reach(self) -> float:
        """Return what all pairs together can hold, uS."""
        return sum(self.f_lst) * self.span

    def conductances_at(self, weights: torch.Tensor, scale: Scale) -> tuple[torch.Tensor, Scale]:
        """Return ``(2 pairs, out, in)`` and the scale."""
        rest, done, filled = signed_parts(weights * scale["scale"]), 0.0, []
        for f in self.f_lst:
            filled.append(((rest - done) / f).clamp(0.0, self.span) + self.g_min)
            done += f * self.span
        return torch.cat(filled), scale


def check_significance(converter: Converter) -> None:
    """Raise `ParameterError` unless every number of ``f_lst`` is positive."""
    for k, f in enumerate(converter.f_lst):
        if f <= 0:
            subject = f"{type(converter).__name__}.f_lst[{k}]"
            raise ParameterError(say(subject, f, "must be positive", "above 0", "Leave out the pair, or give it some."))
