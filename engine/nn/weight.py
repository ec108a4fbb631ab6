# SPDX-License-Identifier: Apache-2.0
"""The weights of one tile as a torch parameter, and the product through that tile with its gradients."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch

from engine.errors import StateError
from engine.tiles import Tile


class AnalogWeight(torch.nn.Parameter):
    """The weights of a tile as a torch parameter: shares the tile's memory, is changed only by pulses.

    Its ``grad`` stays None. The samples of the backward pass wait in ``pending`` for `engine.optim.AnalogSGD`, which
    multiplies the learning rate by ``rate_scale`` (1 unless the mapping compensates for its scale).
    """

    tile: Tile
    pending: list[tuple[torch.Tensor, torch.Tensor]]
    rate_scale: float

    def __new__(cls, tile: Tile) -> AnalogWeight:
        weight = super().__new__(cls, tile.weights, requires_grad=True)
        weight.tile, weight.pending, weight.rate_scale = tile, [], 1.0
        return weight

    def __deepcopy__(self, memo) -> AnalogWeight:
        twin = AnalogWeight(copy.deepcopy(self.tile, memo))
        twin.requires_grad_(self.requires_grad)
        twin.rate_scale = self.rate_scale
        memo[id(self)] = twin
        return twin

    def __reduce_ex__(self, protocol):
        raise StateError("AnalogWeight: cannot be pickled. Save the module's state_dict() instead.")

    def move(self, torch_device: torch.device) -> None:
        """Move tile and waiting samples; the parameter stays the same one, so that optimizers still know it."""
        self.tile.to(torch_device)
        self.data = self.tile.weights
        self.pending = [(x.to(torch_device), d.to(torch_device)) for x, d in self.pending]


@dataclass(frozen=True)
class Wiring:
    """What stands around one tile of a layer.

    Parameters
    ----------
    scale : torch.Tensor, optional
        Mapping scale m, ``(out,)``; None is 1.
    rate_scale : float
        Factor on the tile's learning rate.
    bias_line : bool
        The last column of the tile is the bias, driven with 1.
    """

    scale: torch.Tensor | None = None
    rate_scale: float = 1.0
    bias_line: bool = False

    def lines(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the tile's columns are driven with, ``(batch, in)``."""
        if not self.bias_line:
            return x
        return torch.cat([x, x.new_ones(len(x), 1)], 1)

    def read_delta(self, d: torch.Tensor) -> torch.Tensor:
        """Return what drives the rows in the transposed product, from the error behind the scale."""
        return d if self.scale is None else d * self.scale

    def update_delta(self, d: torch.Tensor) -> torch.Tensor:
        """Return the error of the update: the logical weights move by ``-lr d x`` whatever the scale."""
        if self.scale is not None:
            d = d / self.scale
        return d if self.rate_scale == 1 else d / self.rate_scale


class TileProduct(torch.autograd.Function):
    """The product through one tile, forwards and backwards; remembers what the update needs."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: AnalogWeight, wiring: Wiring) -> torch.Tensor:
        ctx.weight, ctx.wiring = weight, wiring
        ctx.save_for_backward(x)
        y = weight.tile.forward(wiring.lines(x))
        return y if wiring.scale is None else y * wiring.scale

    @staticmethod
    def backward(ctx, d: torch.Tensor):
        (x,) = ctx.saved_tensors
        weight, wiring = ctx.weight, ctx.wiring
        d = d.contiguous()
        if ctx.needs_input_grad[1]:  # a frozen weight waits for no update
            weight.pending.append((wiring.lines(x).detach(), wiring.update_delta(d).detach()))
        if not ctx.needs_input_grad[0]:
            return None, None, None
        return weight.tile.backward(wiring.read_delta(d))[:, : x.shape[1]], None, None
