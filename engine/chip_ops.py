# SPDX-License-Identifier: Apache-2.0
"""Kernels over the devices of many chips at once: draws, reads after drift, products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine import ops
from engine.product_call import Product
from engine.shapes import CPU

# Parts that each thread gets of the product of one tile on many chips, and the vectors that make one worth while.
_PARTS_EACH = 16
_LEAST_ROWS = 32
_PATCHES_AT_ONCE = 64  # unfolded by a thread, so that they stay in its cache

_KEPT_BYTES = 256 << 20  # that the allocator may keep of what is freed

DRAWS = {"uniform": 0, "normal": 1, "plain": 2, "floored": 3, "folded": 4}  # DrawForm of core/chip_ops.h
ACTIVATIONS = {"": 0, "tanh": 1}  # Activation of core/chip_ops.h


def keep_freed_memory() -> None:
    """Let the process keep what it frees, up to 256 MB: arrays of many chips come and go with every layer."""
    ops.run("keep_freed", _KEPT_BYTES)


def device_draws(
    keys: Sequence[int], rows: int, count: int, form: str, device: torch.device = CPU,
    mean: torch.Tensor | None = None, spread: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    """Return draws ``0 .. rows-1`` of elements ``0 .. count-1`` for each seed, ``(seeds, rows, count)``.

    Parameters
    ----------
    keys : sequence of int
        Seeds.
    rows, count : int
    form : {"uniform", "normal", "plain", "floored", "folded"}
        In (0, 1]; standard normal; mean + spread times a normal, as it is, not below zero, or its magnitude.
    device : torch.device
    mean, spread : torch.Tensor, optional
        ``rows * count`` numbers for all seeds, or as many for each.
    """
    out, stream = torch.empty(len(keys), rows, count, device=device), ops.STREAMS["construction"]
    arrays = [None if a is None else a.contiguous() for a in (mean, spread)]
    if ops.on_gpu(device):
        ops.gpu().device_draws(out, keys, stream, form, *arrays)
        return out
    each = mean is not None and mean.numel() == out.numel() and len(keys) > 1
    places = [0 if a is None else a.data_ptr() for a in arrays]
    threads = ops.threads_for(out.numel())
    ops.run("device_draws", list(keys), stream, rows, count, DRAWS[form], *places, each, threads, out.data_ptr())
    return out


def drifted_read(
    programmed: torch.Tensor, nu: torch.Tensor, share: torch.Tensor, drift_log: float, growth: float,
    keys: Sequence[int] | None, combine: Sequence[float] | None = None,
) -> torch.Tensor:  # fmt: skip
    """Return conductances after drift as a read finds them: ``max(0, g exp(-nu L) (1 + q S xi))``.

    Parameters
    ----------
    programmed, nu, share : torch.Tensor
        ``(chip, slices, out, in)``: g, the exponents, q.
    drift_log, growth : float
        L and S.
    keys : sequence of int or None
        The chips' seeds of this read; None for a read without noise.
    combine : sequence of float, optional
        A factor for each slice: return the sum of the slices times it, ``(chip, out, in)``.
    """
    chips, slices, *shape = programmed.shape
    arrays, stream = [a.contiguous() for a in (programmed, nu, share)], ops.STREAMS["construction"]
    if ops.on_gpu(programmed.device):
        g = ops.gpu().device_read(arrays, drift_log, growth, keys, stream)
        return g if combine is None else torch.einsum("ck...,k->c...", g, g.new_tensor(combine))
    out = programmed.new_empty(programmed.shape if combine is None else (chips, *shape))
    places, count = [a.data_ptr() for a in arrays], programmed[0, 0].numel()
    ops.run(
        "device_read",
        places, drift_log, growth, list(keys or ()), stream, [chips, slices, count], list(combine or ()),
        ops.threads_for(programmed.numel()), out.data_ptr(),
    )  # fmt: skip
    return out


def combined(g: torch.Tensor, factors: Sequence[float]) -> torch.Tensor:
    """Return the sum of the slices of ``(chip, slices, out, in)`` times a factor each: a noiseless read at once."""
    return drifted_read(g, g, g, 0.0, 0.0, None, factors)


def read_shares(
    g: torch.Tensor, *, g_max: float, factor: float, exponent: float, least: float, most: float
) -> torch.Tensor:
    """Return ``factor / max(|g / g_max|^exponent, least)``, at most ``most``: 1/f noise of devices as a share of g."""
    if ops.on_gpu(g.device) or g.dtype != torch.float32:
        return (factor / (g / g_max).abs_().pow_(exponent).clamp_(min=least)).clamp_(max=most)
    g = g.contiguous()
    out, numbers = torch.empty_like(g), [g_max, factor, exponent, least, most]
    ops.run("device_share", g.data_ptr(), g.numel(), numbers, ops.threads_for(g.numel()), out.data_ptr())
    return out


def size_sums(y: torch.Tensor) -> torch.Tensor:
    """Return the sums of magnitudes of ``(chip, rows, out)`` over the rows: ``(chip, out)`` float64."""
    if ops.on_gpu(y.device):
        return torch.linalg.vector_norm(y, 1, dim=1, dtype=torch.float64)
    y = y.contiguous()
    sums = torch.empty(y.shape[0], y.shape[2], dtype=torch.float64)
    ops.run("size_sums", y.data_ptr(), list(y.shape), ops.threads_for(y.numel()), sums.data_ptr())
    return sums


def tanh(x: torch.Tensor) -> torch.Tensor:
    """Return the hyperbolic tangent; on the CPU within two units in the last place of torch's, and faster."""
    if ops.on_gpu(x.device) or x.dtype != torch.float32:
        return torch.tanh(x)
    x = x.contiguous()
    y = torch.empty_like(x)
    ops.run("tanh", x.data_ptr(), x.numel(), ops.threads_for(x.numel()), y.data_ptr())
    return y


@dataclass(frozen=True)
class PatchAxis:
    """One axis of a convolution's images; `PatchAxis` of core/patches.h.

    Parameters
    ----------
    pixels, kernel, stride, dilation : int
    before : int
        Zeros in front of the image.
    places : int
        That the kernel visits.
    """

    pixels: int
    kernel: int
    stride: int
    dilation: int
    before: int
    places: int

    def packed(self) -> list[int]:
        """Return the numbers in compiled order."""
        return [self.pixels, self.kernel, self.stride, self.dilation, self.before, self.places]


@dataclass(frozen=True)
class Patches:
    """Where the vectors of a convolution lie in its images ``(..., channels, height, width)``.

    Parameters
    ----------
    down, across : PatchAxis
    """

    down: PatchAxis
    across: PatchAxis

    def packed(self, channels: int) -> list[int]:
        """Return the numbers in compiled order, for images of so many channels."""
        image = channels * self.down.pixels * self.across.pixels
        return [channels, image, *self.down.packed(), *self.across.packed()]

    @property
    def places(self) -> tuple[int, int]:
        """Height and width of the outputs."""
        return self.down.places, self.across.places


@dataclass
class ChipProducts:
    """The analog products of one tile on several chips.

    Parameters
    ----------
    params : sequence of float
        The periphery in compiled order.
    seeds, construction_seeds, first_steps : sequence of int
        Each chip's own: of fresh draws, of those made once, number of the first vector.
    average : float
        Running mean of the largest inputs, for the input scaling that uses it.
    factors, offsets : torch.Tensor, optional
        ``(chip, out)`` and ``(out,)``: what outputs are multiplied by, and what is added then.
    one_hot : bool
        The vectors are the identity's rows, each driving one line with 1.
    patches : Patches, optional
        x are images whose patches are multiplied; on the CPU only.
    then : {"", "tanh"}
        Done to the outputs in the end, not to images.
    """

    params: Sequence[float]
    seeds: Sequence[int]
    construction_seeds: Sequence[int]
    first_steps: Sequence[int]
    average: float = 0.0
    factors: torch.Tensor | None = None
    offsets: torch.Tensor | None = None
    one_hot: bool = False
    patches: Patches | None = None
    then: str = ""

    def __call__(self, weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Return ``(chip, rows, out)`` for weights ``(chip, out, in)``, x ``(rows, in)`` or ``(chip, rows, in)``.

        With patches x is ``(images, channels, height, width)``, with or without chips in front, and the outputs are
        ``(chip, images, out, height, width)``. The bits are those of one product after another.
        """
        if self.patches is not None:
            return self._convolved(weights, x)
        y = torch.empty(len(weights), x.shape[-2], weights.shape[1], device=x.device)
        if ops.on_gpu(x.device):
            for k in range(len(weights)):
                y[k] = self._of(k)(weights[k], x if x.dim() == 2 else x[k])[0]
            y = y if self.factors is None else y.mul_(self.factors[:, None])
            y = y if self.offsets is None else y.add_(self.offsets)
            return y.tanh_() if self.then else y
        if y.numel():
            self._on_cpu(weights, x, y)
        return y

    def _of(self, k: int) -> Product:
        return Product(
            self.params, False, self.seeds[k], self.construction_seeds[k], self.first_steps[k], self.average
        )

    def _convolved(self, weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        y = torch.empty(len(weights), x.shape[-4], weights.shape[1], *self.patches.places)
        if y.numel():
            rows = y[0].numel() // y.shape[2]
            part = min(_rows_at_once(len(weights), rows), _PATCHES_AT_ONCE)
            self._run(weights, x, y, rows, x.dim() == 4, part, self.patches.packed(x.shape[-3]))
        return y

    def _on_cpu(self, weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> None:
        rows = x.shape[-2]
        self._run(weights, x, y, rows, x.dim() == 2, _rows_at_once(len(weights), rows), [])

    def _run(self, weights: torch.Tensor, x: torch.Tensor, y: torch.Tensor, rows: int, shared: bool, part: int,
             patches: list[int]) -> None:  # fmt: skip
        chips, out, in_ = weights.shape
        native = ops.run(
            "Product",
            weights.data_ptr(), x.data_ptr(), y.data_ptr(), 0, 0, out, in_, rows, False, list(self.params),
            self.average, 0, 0, 0, ops.threads_for(chips * out * in_ * rows),
        )  # fmt: skip
        seeds = [list(s) for s in (self.seeds, self.construction_seeds, self.first_steps)]
        after = [0 if a is None else a.data_ptr() for a in (self.factors, self.offsets)]
        of_chips = ops.run("Chips", shared, self.one_hot, *seeds, *after, ACTIVATIONS[self.then], part, patches)
        ops.run("mvm_chips", native, of_chips)


def _rows_at_once(chips: int, rows: int) -> int:
    """Return how many vectors of a chip a thread takes at a time: enough parts for threads to end together."""
    parts = -(-_PARTS_EACH * torch.get_num_threads() // chips)
    return max(_LEAST_ROWS, -(-rows // parts))
