# SPDX-License-Identifier: Apache-2.0
"""The random numbers of the chips of one tile: functions of seed, purpose, time and device."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine import chip_ops
from engine.rng import derive_seeds


def time_bits(t: float) -> int:
    """Return a time as a whole number, its binary form: equal for equal times only."""
    return struct.unpack("<q", struct.pack("<d", t + 0.0))[0]


@dataclass(frozen=True)
class Draws:
    """Draws of all devices of a tile on several chips.

    Parameters
    ----------
    seeds : tuple of int
        One for each chip, of this tile alone.
    shape : tuple of int
        ``(slices, out, in)``.
    device : torch.device
    """

    seeds: tuple[int, ...]
    shape: tuple[int, int, int]
    device: torch.device

    def keys(self, *path: int | str) -> list[int]:
        """Return the seed of each chip for one purpose."""
        return derive_seeds(self.seeds, *path)

    def normals(self, *path: int | str) -> torch.Tensor:
        """Return standard normals ``(chip, slices, out, in)`` of one purpose, such as ``("program", 0)``."""
        return self._drawn("normal", path, self.shape[0])

    def errors(self, mean: torch.Tensor, spread: torch.Tensor, form: str, *path: int | str) -> torch.Tensor:
        """Return mean + spread times the normals of one purpose, ``(chip, slices, out, in)``.

        ``form`` is ``"plain"``, ``"floored"`` (not below zero) or ``"folded"`` (the magnitude); mean and spread are
        ``(slices, out, in)`` or ``(chip, slices, out, in)``.
        """
        shape = torch.broadcast_shapes(mean.shape, spread.shape)
        return self._drawn(form, path, self.shape[0], mean=mean.expand(shape), spread=spread.expand(shape))

    def uniforms(self, *path: int | str, rows: int = 1) -> torch.Tensor:
        """Return draws in (0, 1], ``(chip, rows, slices, out, in)``."""
        drawn = self._drawn("uniform", path, rows * self.shape[0])
        return drawn.reshape(len(self.seeds), rows, *self.shape)

    def _drawn(self, form: str, path: Sequence[int | str], rows: int, **of: torch.Tensor) -> torch.Tensor:
        _, out, in_ = self.shape
        drawn = chip_ops.device_draws(self.keys(*path), rows, out * in_, form, self.device, **of)
        return drawn.reshape(len(self.seeds), rows, out, in_)
