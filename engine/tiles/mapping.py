# SPDX-License-Identifier: Apache-2.0
"""How the weights of a layer are laid out on tiles: scales, bias, sizes, splitting."""

from __future__ import annotations

from itertools import pairwise

import torch

from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity

_SOURCE = "aihwkit 1.2.0, default of MappingParameter"
_UNSPLIT = "assumed: a layer is one tile unless asked for (aihwkit 1.2.0: 512)"


class MappingParameters(Model):
    r"""Mapping of a logical weight matrix onto the devices of one or several tiles.

    .. math:: W_{ij} = o_i\, m_i\, W^{analog}_{ij}

    with the mapping scale m, set when weights are written, and the learned output scale o. See
    docs/physics/layers.md, 1.1.
    """

    # fmt: off
    weight_scaling_omega = Quantity(0.0, bounds=(0, None), softbounds=(0, 1), unit="w", group="Scales", source=_SOURCE,
                                    doc="Largest absolute analog weight that written weights are scaled to; 0 writes "
                                        "them as they are.")
    weight_scaling_columnwise = Flag(False, group="Scales", source=_SOURCE,
                                     doc="One mapping scale for each output instead of one for each tile.")
    weight_scaling_lr_compensation = Flag(False, group="Scales", source=_SOURCE,
                                          doc="Divide the tile's learning rate by the mean mapping scale, and multiply "
                                              "the error by it: the same mean update in other pulses.")
    learn_out_scaling = Flag(False, group="Scales", source=_SOURCE,
                             doc="A digital factor on the output of each tile is trained; it starts at 1.")
    out_scaling_columnwise = Flag(False, group="Scales", source=_SOURCE,
                                  doc="One learned factor for each output instead of one for each tile.")
    digital_bias = Flag(True, group="Bias", source=_SOURCE,
                        doc="Off: the bias is a column of the tile, whose input is driven with 1.")
    mask_clipped_output_gradient = Flag(True, group="Gradient", source=_SOURCE + ", where it cannot be turned off",
                                        doc="Outputs that the ADC clipped pass no gradient, to inputs or weights.")
    max_input_size = Quantity(0, bounds=(0, None), softbounds=(0, 1024), integer=True, unit="lines", group="Size",
                              source=_UNSPLIT, doc="Most inputs of one tile; larger layers are split; 0 sets no limit.")
    max_output_size = Quantity(0, bounds=(0, None), softbounds=(0, 1024), integer=True, unit="lines", group="Size",
                               source=_UNSPLIT,
                               doc="Most outputs of one tile; larger layers are split; 0 sets no limit.")
    splitting = Choice("balanced", ("balanced", "fill"), group="Size", source="aihwkit 1.2.0 (balanced); CrossSim 3.2",
                       doc="Slices of a larger layer as equal as possible, or full tiles and a rest.")
    pack_groups = Flag(False, group="Size", source="assumed: tiles of their own, whose inputs are scaled on their own",
                       doc="Several groups of a grouped convolution on one tile, along its diagonal, where two fit.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` where a flag would be without effect."""
        super().check()
        self.check_single_precision()
        for flag in ("weight_scaling_columnwise", "weight_scaling_lr_compensation"):
            if getattr(self, flag) and self.weight_scaling_omega == 0:
                self._without_effect(flag, "weight_scaling_omega above 0")
        if self.out_scaling_columnwise and not self.learn_out_scaling:
            self._without_effect("out_scaling_columnwise", "learn_out_scaling")
        if self.splitting == "fill" and not self.max_input_size and not self.max_output_size:
            self._without_effect("splitting", "max_input_size or max_output_size above 0")

    def _without_effect(self, name: str, needed: str) -> None:
        rule, default = f"has no effect without {needed}", str(self.param[name].default)
        given = getattr(self, name)
        raise ParameterError(
            say(f"MappingParameters.{name}", given, rule, default, f"Set {needed}, or leave it {_word(default)}.")
        )

    def scale(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the mapping scale ``(out,)`` of one tile's logical weights ``(out, in)``, in their unit over w.

        All zero weights, or rows of them, have the scale 1.
        """
        largest = weights.abs().amax(1) if self.weight_scaling_columnwise else weights.abs().max().expand(len(weights))
        return torch.where(largest > 0, largest / self.weight_scaling_omega, 1.0)


def _word(default: str) -> str:
    return "off" if default == "False" else f"at {default!r}"


def split(size: int, largest: int, splitting: str = "balanced") -> list[slice]:
    """Return contiguous slices of ``range(size)``, as few as possible.

    Parameters
    ----------
    size : int
        Lines of the layer, at least 1.
    largest : int
        Most lines of one tile; 0 sets no limit.
    splitting : {"balanced", "fill"}
        As equal as possible, or full ones first and the rest last.

    Examples
    --------
    >>> [part.stop - part.start for part in split(1025, 512)]
    [342, 342, 341]
    >>> [part.stop - part.start for part in split(1025, 512, "fill")]
    [512, 512, 1]
    """
    count = -(-size // largest) if largest else 1
    if splitting == "fill" and count > 1:
        return [slice(start, min(start + largest, size)) for start in range(0, size, largest)]
    base, extra = divmod(size, count)
    ends = [k * base + min(k, extra) for k in range(count + 1)]
    return [slice(a, b) for a, b in pairwise(ends)]
