# SPDX-License-Identifier: Apache-2.0
"""What takes the place of a model's layers while it runs on programmed chips."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from engine import chip_ops
from engine.chip_ops import Patches
from engine.inference.chain import Together
from engine.inference.tile import ProgrammedTile
from engine.nn.grid import Block

if TYPE_CHECKING:
    from engine.inference.network import ProgrammedNetwork


class LayerOnChips:
    """What an analog layer asks for the products of its tiles while a programmed network runs.

    Attributes
    ----------
    then : {"", "tanh"}
        What is done to the outputs of vectors on all chips, in the same pass.
    """

    def __init__(self, network: ProgrammedNetwork, name: str):
        self._network, self._name = network, name
        self.then = ""

    def __call__(
        self, block: Block, x: torch.Tensor, scale: torch.Tensor | None, *,
        patches: Patches | None = None, bias: torch.Tensor | None = None,
    ) -> torch.Tensor:  # fmt: skip
        network, tile = self._network, self._network.tiles[self._name, block.row, block.column]
        vectors = len(x) if patches is None else len(x) * math.prod(patches.places)
        at = network._chip
        if not isinstance(at, Together):
            network.note(x.numel() + vectors * len(tile.wanted))
            return _ChipProduct.apply(x, at, tile, scale, patches, bias)
        network.note(x.numel() + vectors * len(tile.wanted) * (len(at.chips) if at.shared else 1))
        x = x if at.shared else x.reshape(len(at.chips), -1, x.shape[1])
        return tile.product(x.contiguous(), at.chips, scale, None, bias, self.then).flatten(0, 1)


class _ChipProduct(torch.autograd.Function):
    """The product of one tile on the chip, or on all chips at once under vmap."""

    @staticmethod
    def forward(x: torch.Tensor, chip: torch.Tensor, tile: ProgrammedTile, scale, patches, bias) -> torch.Tensor:
        return tile.product(x.contiguous(), [int(chip)], scale, patches, bias)[0]

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        """Keep nothing: there is no way back."""

    @staticmethod
    def vmap(info, in_dims, x: torch.Tensor, chip: torch.Tensor, tile: ProgrammedTile, scale, patches, bias):
        if in_dims[0] is not None:
            x = x.movedim(in_dims[0], 0)
        return tile.product(x.contiguous(), chip.tolist(), scale, patches, bias), 0


class _Tanh(torch.autograd.Function):
    """The kernels' own hyperbolic tangent, of one chip or of all chips under vmap."""

    @staticmethod
    def forward(x: torch.Tensor) -> torch.Tensor:
        return chip_ops.tanh(x)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        """Keep nothing: there is no way back."""

    @staticmethod
    def vmap(info, in_dims, x: torch.Tensor):
        return chip_ops.tanh(x), in_dims[0]


def own_forward(layer: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return what a digital layer computes on chips in place of torch's own, which is slow there; None of most."""
    if type(layer) is torch.nn.Tanh:
        return _Tanh.apply
    if isinstance(layer, _BatchNorm) and layer.running_mean is not None:
        return affine(layer)
    return None


def affine(norm: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return a batch normalisation by its running statistics as one factor and one offset of each channel."""
    factor = torch.rsqrt(norm.running_var + norm.eps)
    factor = factor if norm.weight is None else factor * norm.weight
    offset = -norm.running_mean * factor
    offset = offset if norm.bias is None else offset + norm.bias

    def forward(x: torch.Tensor) -> torch.Tensor:
        shape = (-1, *(1,) * (x.dim() - 2))
        return (x * factor.view(shape)).add_(offset.view(shape))

    return forward
