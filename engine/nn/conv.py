# SPDX-License-Identifier: Apache-2.0
"""Convolutions on analog tiles: every position of the kernel is one vector."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from torch.nn import functional

from engine.chip_ops import PatchAxis, Patches
from engine.errors import ParameterError, ShapeError, near_miss, say
from engine.nn.core import AnalogCore
from engine.nn.weight import Wiring
from engine.shapes import CPU
from engine.tiles import TileConfig

Size = int | tuple[int, ...]
_UNFOLDED_BYTES = 16 << 20
"""Largest unfolded input in evaluation without gradients; larger batches go in parts, which gives the same bits."""
_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class AnalogConv(AnalogCore):
    r"""What the convolutions share: :math:`y_{bp} = W u_{bp} + b` with the unfolded patch u at position p.

    Parameters
    ----------
    in_channels, out_channels : int
    kernel_size, stride, dilation : int or tuple of int
        One number for each axis, or one for all.
    padding : int, tuple of int, ``"same"`` or ``"valid"``
    groups : int
        Each group has tiles of its own, ``(out/groups, in/groups * kernel)``: a depthwise convolution has as many
        tiles as channels.
    bias : bool
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
    config : TileConfig
    seed : int
        Fixes every draw of the tiles and the initial weights.

    Notes
    -----
    Arguments, shapes and initial weights are those of torch's own layer. A weight matrix that is too large for one tile
    is split between channels where a kernel fits on a tile, otherwise anywhere. The vectors of a sample go to
    the tile, and to its update, position by position, the last axis fastest. Unfolded inputs are kept until the
    step: ``4 * positions * in / groups * kernel`` bytes per sample and group. In evaluation without gradients
    samples are unfolded in parts of at most 16 MiB (or one sample), with the same bits.
    """

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | Literal["same", "valid"] = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        config: TileConfig,
        seed: int = 0,
    ):
        self._check_groups(in_channels, out_channels, groups)
        sizes = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        kernel, steps, spread = (self._each_axis(name, size) for name, size in sizes.items())
        edges = self._edges(padding, kernel, steps, spread)
        self._check_mode(padding_mode)
        pixels = math.prod(kernel)
        super().__init__(
            in_channels * pixels, out_channels, bias, config=config, seed=seed, groups=groups, kernel=pixels
        )
        self.in_channels, self.out_channels, self.padding_mode = in_channels, out_channels, padding_mode
        self.kernel_size, self.stride, self.dilation, self.padding = kernel, steps, spread, padding
        self._edge_pairs = edges

    def _check_groups(self, in_channels: int, out_channels: int, groups: int) -> None:
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if groups < 1 or channels < 1 or channels % groups:
                field = f"{type(self).__name__}.{name}"
                allowed = f"a multiple of groups = {groups}"
                raise ParameterError(say(field, channels, "does not fit its groups", allowed, "Change either."))

    def _each_axis(self, name: str, size: Size, lowest: int = 1) -> tuple[int, ...]:
        sizes = (size,) * self.axes if isinstance(size, int) else tuple(size)
        if len(sizes) != self.axes or any(isinstance(s, bool) or not isinstance(s, int) or s < lowest for s in sizes):
            allowed = f"a whole number from {lowest}, or {self.axes} of them"
            field = f"{type(self).__name__}.{name}"
            raise ParameterError(say(field, size, "does not fit the axes", allowed, "Give one for each axis."))
        return sizes

    def _edges(self, padding, kernel, stride, dilation) -> list[tuple[int, int]]:
        """Return what is added before and behind each axis."""
        if padding == "valid":
            return [(0, 0)] * self.axes
        if padding == "same":
            if any(s != 1 for s in stride):
                field = f"{type(self).__name__}.padding"
                raise ParameterError(say(field, padding, "needs a stride of 1", "a number", "Give the padding."))
            totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
            return [(total // 2, total - total // 2) for total in totals]
        if isinstance(padding, str):
            hint = near_miss(padding, ("same", "valid")).strip() or "Choose one of these."
            allowed = "same, valid, or numbers"
            raise ParameterError(say(f"{type(self).__name__}.padding", padding, "is unknown", allowed, hint))
        return [(p, p) for p in self._each_axis("padding", padding, lowest=0)]

    def _check_mode(self, mode: str) -> None:
        if mode not in _PADDING_MODES:
            hint = near_miss(str(mode), _PADDING_MODES).strip() or "Choose one of these."
            allowed = ", ".join(_PADDING_MODES)
            raise ParameterError(say(f"{type(self).__name__}.padding_mode", mode, "is unknown", allowed, hint))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, out_channels, ...)`` for ``(batch, in_channels, ...)`` float32, or both without batch."""
        if x.dim() == self.axes + 1:
            return self.forward(x[None])[0]
        if self._folds_on_chips(x):
            return self._on_chips_folded(x)
        patches = self.unfolded(x)
        together = self._samples_together(patches)
        if together >= len(patches):
            return self._convolved(patches)
        return torch.cat([self._convolved(part) for part in patches.split(together)])

    def _folds_on_chips(self, x: torch.Tensor) -> bool:
        """Whether a programmed network's kernels unfold the images themselves: whole channels on each tile."""
        pixels = math.prod(self.kernel_size)
        whole = not any(b.bias_line or b.inputs.start % pixels or b.inputs.stop % pixels for b in self._blocks.values())
        return self.programmed is not None and self.watch is None and self.axes <= 2 and whole and x.device == CPU

    def _on_chips_folded(self, x: torch.Tensor) -> torch.Tensor:
        """Return the outputs on chips without unfolded inputs, with the same bits."""
        self._check_input(x)
        if self.padding_mode != "zeros":
            x = self._padded(x)
        size, image = x.shape[2:], x if self.axes == 2 else x[:, :, None]
        patches = self._patches(size)
        rows = [self._row_folded(blocks, image, patches) for blocks in self._rows]
        y = rows[0] if len(rows) == 1 else torch.cat(rows, 1)
        y = y if self.bias is None or self.ends_on_chips else y + self.bias[:, None, None]
        return y if self.axes == 2 else y[:, :, 0]

    def _row_folded(self, blocks: list, image: torch.Tensor, patches: Patches) -> torch.Tensor:
        """Return the outputs of one row of tiles, ``(batch, out, height, width)``."""
        total, pixels = None, math.prod(self.kernel_size)
        for _, block in blocks:
            r, scale = self._range_on_chips(block), self._scale(block)
            channels = image[:, block.inputs.start // pixels : block.inputs.stop // pixels]
            driven = Wiring().lines(channels, r)
            factors, bias = self._factors_on_chips(scale, r, block), self._bias_on_chips(block)
            part = self.programmed(block, driven, factors, patches=patches, bias=bias)
            total = part if total is None else total + part
        return total

    def _patches(self, size: torch.Size) -> Patches:
        """Return where patches lie in images of so many pixels, already padded unless with zeros."""
        zeros, axes = self.padding_mode == "zeros", []
        for k, pixels in enumerate(size):
            before, behind = self._edge_pairs[k] if zeros else (0, 0)
            places = (before + pixels + behind - self._reach()[k]) // self.stride[k] + 1
            axes.append(PatchAxis(pixels, self.kernel_size[k], self.stride[k], self.dilation[k], before, places))
        return Patches(*([PatchAxis(1, 1, 1, 1, 0, 1), *axes][-2:]))

    def _convolved(self, patches: torch.Tensor) -> torch.Tensor:
        batch, places = patches.shape[0], patches.shape[1 : 1 + self.axes]
        y = self.product(patches.reshape(-1, self.in_features))
        return y.reshape(batch, *places, self.out_channels).movedim(-1, 1).contiguous()

    def _samples_together(self, patches: torch.Tensor) -> int:
        """Return how many samples are unfolded at a time: all of them where they are kept or measured as one batch."""
        if self.training or torch.is_grad_enabled() or self.watch is not None or not len(patches):
            return max(len(patches), 1)
        return max(_UNFOLDED_BYTES // (patches[0].numel() * patches.element_size()), 1)

    def unfolded(self, x: torch.Tensor) -> torch.Tensor:
        """Return the patches of each position, ``(batch, positions ..., in_channels, kernel ...)``.

        Raises
        ------
        ShapeError
            Another number of axes or channels, or an input smaller than the kernel.
        """
        self._check_input(x)
        x = self._padded(x)
        for axis, reach in enumerate(self._reach()):
            x = x.unfold(2 + axis, reach, self.stride[axis])
            if self.dilation[axis] > 1:
                x = x[..., :: self.dilation[axis]]
        return x.movedim(1, 1 + self.axes)

    def _padded(self, x: torch.Tensor) -> torch.Tensor:
        if all(p == (0, 0) for p in self._edge_pairs):
            return x
        flat = [edge for pair in reversed(self._edge_pairs) for edge in pair]
        return functional.pad(x, flat, mode="constant" if self.padding_mode == "zeros" else self.padding_mode)

    def _reach(self) -> list[int]:
        """Return how many pixels a kernel spans along each axis."""
        return [d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True)]

    def _check_input(self, x: torch.Tensor) -> None:
        name = type(self).__name__
        if x.dim() != self.axes + 2 or x.shape[1] != self.in_channels:
            raise ShapeError(
                f"{name}, x: got shape {tuple(x.shape)}, expected (batch=any, channels={self.in_channels}, and "
                f"{self.axes} more axes). Check the axes' order."
            )
        widths = [n + sum(pair) for n, pair in zip(x.shape[2:], self._edge_pairs, strict=True)]
        if any(width < reach for width, reach in zip(widths, self._reach(), strict=True)):
            raise ShapeError(
                f"{name}, x: got {tuple(widths)} pixels with padding, the kernel spans {tuple(self._reach())} "
                "(allowed: at least as many). Pad more, or give a larger input."
            )

    def extra_repr(self) -> str:
        """Return the layer's size and device for ``print(model)``."""
        tiles = f", tiles={len(self._blocks)}" if len(self._blocks) > 1 else ""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, groups={self.groups}, bias={self.has_bias}, "
            f"device={self.tiles[0].device.stem()}{tiles}"
        )


class AnalogConv1d(AnalogConv):
    """Convolution of ``(batch, channels, length)`` on analog tiles; arguments as in `AnalogConv`.

    Examples
    --------
    >>> layer = AnalogConv1d(3, 8, 5, padding="same", config=TileConfig("idealized_symmetric"))
    >>> layer(torch.zeros(2, 3, 20)).shape
    torch.Size([2, 8, 20])
    """

    axes = 1


class AnalogConv2d(AnalogConv):
    """Convolution of ``(batch, channels, height, width)`` on analog tiles; arguments as in `AnalogConv`.

    Examples
    --------
    >>> layer = AnalogConv2d(3, 8, 3, stride=2, padding=1, config=TileConfig("idealized_symmetric"))
    >>> layer(torch.zeros(2, 3, 8, 8)).shape
    torch.Size([2, 8, 4, 4])
    """

    axes = 2


class AnalogConv3d(AnalogConv):
    """Convolution of ``(batch, channels, depth, height, width)`` on analog tiles; arguments as in `AnalogConv`.

    Examples
    --------
    >>> layer = AnalogConv3d(2, 4, 3, config=TileConfig("idealized_symmetric"))
    >>> layer(torch.zeros(2, 2, 5, 5, 5)).shape
    torch.Size([2, 4, 3, 3, 3])
    """

    axes = 3
