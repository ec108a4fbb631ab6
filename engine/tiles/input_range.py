# SPDX-License-Identifier: Apache-2.0
"""The range of inputs that a layer's converters cover: estimated from data, then learned."""

from __future__ import annotations

import torch

from engine.quantity import Choice, Flag, Model, Quantity

_SOURCE = "aihwkit 1.2.0, default of InputRangeParameter"
SMALLEST = 1e-6
"""A range is kept at or above this, input units."""


class InputRangeParameters(Model):
    r"""Clip inputs to :math:`\pm r` and scale them to :math:`\pm 1` before the tile, and back behind it.

    .. math:: y = r\, A(\mathrm{clip}(x, -r, r) / r)

    The first batches of the training set r to a multiple of their standard deviation, later ones train it.
    """

    # fmt: off
    enable = Flag(False, group="Input range", source=_SOURCE,
                  doc="Clip and scale the inputs of each tile by a range of its own.")
    learn_input_range = Flag(True, group="Input range", source=_SOURCE, doc="The range is trained.")
    init_value = Quantity(3.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 10), unit="x",
                          group="Input range", source=_SOURCE, doc="Range before the first batch.")
    init_from_data = Quantity(100, bounds=(0, None), softbounds=(0, 1000), integer=True, unit="batches",
                              group="Input range", source=_SOURCE,
                              doc="So many training batches estimate the range; until then it is not trained.")
    init_std_alpha = Quantity(3.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 5),
                              group="Input range", source=_SOURCE,
                              doc="The estimate is the mean over batches of so many standard deviations.")
    decay = Quantity(1e-3, bounds=(0, None), softbounds=(0, 0.1), group="Input range", source=_SOURCE,
                     doc="Relative shrinkage, part of the gradient, where nearly nothing is clipped.")
    input_min_percentage = Quantity(0.95, bounds=(0, 1), inclusive_bounds=(False, True), softbounds=(0.5, 1),
                                    group="Input range", source=_SOURCE,
                                    doc="Share of inputs inside the range above which it shrinks.")
    manage_output_clipping = Flag(False, group="Input range", source=_SOURCE,
                                  doc="The range grows where the ADC clips too many outputs.")
    output_min_percentage = Quantity(0.95, bounds=(0, 1), inclusive_bounds=(False, True), softbounds=(0.5, 1),
                                     group="Input range", source=_SOURCE,
                                     doc="Share of outputs inside the ADC's bounds below which it grows.")
    gradient_scale = Quantity(1.0, bounds=(0, None), softbounds=(0.1, 10), group="Input range", source=_SOURCE,
                              doc="Factor on the gradient from clipped inputs.")
    gradient_relative = Flag(True, group="Input range", source=_SOURCE,
                             doc="Multiply that gradient by the range itself.")
    range_gradient = Choice("one_sided", ("one_sided", "true", "lsq"), group="Input range",
                            source="assumed (one_sided: aihwkit 1.2.0)",
                            doc="Only what enlarges the range, the whole derivative, or that with the rounding of the "
                                "converter, as in learned step sizes.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for numbers beyond single precision."""
        super().check()
        self.check_single_precision()

    def estimate(self, value: float, batches: int, x: torch.Tensor) -> tuple[float, int]:
        """Return range and number of batches after one more batch of inputs ``x``; constant inputs tell nothing."""
        spread = x.std().item() if x.numel() > 1 else 0.0
        if spread == 0:
            return value, batches
        return (batches * value + self.init_std_alpha * spread) / (batches + 1), batches + 1

    def gradient(
        self, x: torch.Tensor, g: torch.Tensor, r: torch.Tensor, per_bound: float, inside: float = 1.0
    ) -> torch.Tensor:
        """Return the gradient of the loss with respect to the range, a scalar.

        Parameters
        ----------
        x, g : torch.Tensor
            ``(batch, in)``: inputs, and the gradient with respect to the clipped ones.
        r : torch.Tensor
            The range, a scalar.
        per_bound : float
            Codes of the converter from zero to its bound, for ``lsq``; infinity for none.
        inside : float
            Share of the tile's outputs that the ADC did not clip, for ``manage_output_clipping``.
        """
        above, below = g[x >= r], g[x <= -r]
        if self.range_gradient == "one_sided":
            above, below = above.clamp(max=0), below.clamp(min=0)
        total = above.sum() - below.sum()
        if self.range_gradient == "lsq" and per_bound != float("inf"):
            within = x.abs() < r
            v = x[within] / r
            total = total + (g[within] * (torch.round(v * per_bound) / per_bound - v)).sum()
        total = total * self.gradient_scale * (r if self.gradient_relative else 1.0)
        shrinks = (x.abs() < r).float().mean() > self.input_min_percentage
        grows = (1 - inside) * r if self.manage_output_clipping and inside < self.output_min_percentage else 0.0
        return total + self.decay * r * shrinks - grows
