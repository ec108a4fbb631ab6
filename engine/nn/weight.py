# SPDX-License-Identifier: Apache-2.0
"""The weights of one tile as a torch parameter, and the product through that tile with its gradients."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from engine.errors import ParameterError, StateError, say
from engine.tiles import InputRangeParameters, Tile


class AnalogWeight(torch.nn.Parameter):
    """The weights of a tile as a torch parameter: shares the tile's memory.

    Pulses change it: its ``grad`` stays None, and the samples of the backward pass wait in ``pending`` for
    `engine.optim.AnalogSGD`, which multiplies the learning rate by ``rate_scale`` (1 unless the mapping compensates for
    its scale). With ``config.update.pulse_type`` ``"none_but_gradient"`` it has a gradient like any other parameter,
    in such units that a step of plain SGD moves the logical weights as in a digital layer.

    Parameters
    ----------
    tile : Tile
    packed : int
        Blocks along the diagonal that alone hold weights (`engine.nn.grid.Block`). They are updated one after the
        other, only their own lines driven: crosspoints between them see no pulse.
    bias_line : bool
        The last column is the bias of all of them.

    Attributes
    ----------
    perturbed : callable, optional
        From the number of vectors to what they are multiplied by in place of the weights, ``(out, in)`` or
        ``(vectors, out, in)``, or None: hardware-aware training sets it (`engine.nn.HardwareAware`).
    """

    tile: Tile
    pending: list[tuple[torch.Tensor, torch.Tensor]]
    rate_scale: float
    perturbed: Callable[[int], torch.Tensor | None] | None

    packed: int
    bias_line: bool

    def __new__(cls, tile: Tile, packed: int = 1, bias_line: bool = False) -> AnalogWeight:
        if tile.follows_gradient and tile.device.pulsed:
            raise ParameterError(
                say("TileConfig.update.pulse_type", "none_but_gradient", f"does not fit {tile.device.stem()}",
                    "devices without pulses: ideal, floating_point", "Use engine.devices.ideal.Ideal().")
            )  # fmt: skip
        weight = super().__new__(cls, tile.weights, requires_grad=True)
        weight.tile, weight.pending, weight.rate_scale, weight.perturbed = tile, [], 1.0, None
        weight.packed, weight.bias_line = packed, bias_line
        return weight

    def __deepcopy__(self, memo) -> AnalogWeight:
        twin = AnalogWeight(copy.deepcopy(self.tile, memo), self.packed, self.bias_line)
        twin.requires_grad_(self.requires_grad)
        twin.rate_scale = self.rate_scale
        memo[id(self)] = twin
        return twin

    def __reduce_ex__(self, protocol):
        raise StateError("AnalogWeight: cannot be pickled. Save the module's state_dict() instead.")

    def updates(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the samples that wait: what drives columns and rows in each update of the tile."""
        for x, d in self.pending:
            if self.packed == 1:
                yield x, d
                continue
            for columns, rows in zip(self._own(x.shape[1], self.bias_line), self._own(d.shape[1], False), strict=True):
                yield x * columns.to(x), d * rows.to(d)

    def gradient(self, x: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
        """Return the gradient of samples, ``(out, in)``; zero where there are no weights."""
        g = d.T @ x
        if self.packed == 1:
            return g
        columns, rows = self._own(x.shape[1], self.bias_line), self._own(d.shape[1], False)
        return g * (torch.stack(rows).T.to(g) @ torch.stack(columns).to(g))

    def _own(self, lines: int, shared: bool) -> list[torch.Tensor]:
        """Return for each packed group which lines are its own, bool ``(lines,)``; a shared last one is everyone's."""
        of = torch.arange(lines) // ((lines - shared) // self.packed)
        return [(of == k) | ((torch.arange(lines) == lines - 1) & shared) for k in range(self.packed)]

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
    ranges : InputRangeParameters, optional
        How the gradient of the input range is formed; None while it is not trained.
    masks_clipped : bool
        Outputs that the ADC clipped pass no gradient.
    """

    scale: torch.Tensor | None = None
    rate_scale: float = 1.0
    bias_line: bool = False
    ranges: InputRangeParameters | None = None
    masks_clipped: bool = True

    def flags(self, tile: Tile, x: torch.Tensor) -> torch.Tensor | None:
        """Return a buffer ``(batch, out)`` for what the ADC clips, where the backward pass will ask for it."""
        asked = self.masks_clipped or (self.ranges is not None and self.ranges.manage_output_clipping)
        if not asked or not tile.clips:
            return None
        return torch.empty(len(x), tile.out_features, dtype=torch.uint8, device=x.device)

    def lines(self, x: torch.Tensor, r: torch.Tensor | None) -> torch.Tensor:
        """Return what the tile's columns are driven with, ``(batch, in)``, for inputs and their range."""
        if r is not None:
            x = torch.clamp(x, -r, r) / r
        if not self.bias_line:
            return x
        line = x.new_ones(len(x), 1)
        return torch.cat([x, line if r is None else line / r], 1)  # what comes out is multiplied by r

    def output(self, y: torch.Tensor, r: torch.Tensor | None) -> torch.Tensor:
        """Return what the tile's outputs stand for."""
        y = y if self.scale is None else y * self.scale
        return y if r is None else y * r

    def read_delta(self, d: torch.Tensor) -> torch.Tensor:
        """Return what drives the rows in the transposed product: r on the way in and out cancels."""
        return d if self.scale is None else d * self.scale

    def update_delta(self, d: torch.Tensor, r: torch.Tensor | None) -> torch.Tensor:
        """Return the error of the update: the logical weights move by ``-lr d x`` whatever scale and range."""
        d = d if self.scale is None else d / self.scale
        d = d if r is None else d * r
        return d if self.rate_scale == 1 else d / self.rate_scale


class TileProduct(torch.autograd.Function):
    """The product through one tile, forwards and backwards; remembers what the update needs."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: AnalogWeight, r: torch.Tensor | None, wiring: Wiring) -> torch.Tensor:
        ctx.weight, ctx.wiring = weight, wiring
        ctx.used = None if weight.perturbed is None else weight.perturbed(len(x))
        clipped = wiring.flags(weight.tile, x) if any(ctx.needs_input_grad) else None
        y = _forward(weight.tile, wiring.lines(x, r), ctx.used, clipped)
        ctx.save_for_backward(x, r, clipped if clipped is not None and clipped.any() else None)
        return wiring.output(y, r)

    @staticmethod
    def backward(ctx, d: torch.Tensor):
        x, r, clipped = ctx.saved_tensors
        weight, wiring = ctx.weight, ctx.wiring
        d = d.contiguous() if clipped is None or not wiring.masks_clipped else d.masked_fill(clipped > 0, 0.0)
        g_weight = None
        if ctx.needs_input_grad[1]:  # a frozen weight waits for no update
            lines, delta = wiring.lines(x, r).detach(), wiring.update_delta(d, r).detach()
            if weight.tile.follows_gradient:
                g_weight = weight.gradient(lines, delta) * weight.rate_scale
            else:
                weight.pending.append((lines, delta))
        trains_range = ctx.needs_input_grad[2] and wiring.ranges is not None
        if not ctx.needs_input_grad[0] and not trains_range:
            return None, g_weight, torch.zeros_like(r) if ctx.needs_input_grad[2] else None, None
        g = _backward(weight.tile, wiring.read_delta(d), ctx.used)
        g = g[:, :-1] if wiring.bias_line else g
        if r is None:
            return g, g_weight, None, None
        inside = 1.0 if clipped is None else 1 - (clipped > 0).double().mean().item()
        codes = weight.tile.input_codes
        g_range = wiring.ranges.gradient(x, g, r, codes, inside) if trains_range else torch.zeros_like(r)
        return g.masked_fill(x.abs() > r, 0.0), g_weight, g_range, None


def _forward(tile: Tile, v: torch.Tensor, weights: torch.Tensor | None, clipped: torch.Tensor | None) -> torch.Tensor:
    """Return a tile's products with its weights, with others, or with others for each vector; fill the flags."""
    if weights is None or weights.dim() == 2:
        return tile.forward(v, weights, clipped=clipped)
    flags = [None] * len(v) if clipped is None else clipped.split(1)
    return torch.cat(
        [tile.forward(row[None], own, clipped=flag) for row, own, flag in zip(v, weights, flags, strict=True)]
    )


def _backward(tile: Tile, d: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """Return the transposed products with the weights that the forward pass used."""
    if weights is None or weights.dim() == 2:
        return tile.backward(d, weights)
    return torch.cat([tile.backward(row[None], own) for row, own in zip(d, weights, strict=True)])
