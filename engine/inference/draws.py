# SPDX-License-Identifier: Apache-2.0
"""The random numbers of the chips of one tile: functions of seed, purpose, time and device."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from engine import ops
from engine.rng import derive_seed


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
        return [derive_seed(seed, *path) for seed in self.seeds]

    def normals(self, *path: int | str) -> torch.Tensor:
        """Return standard normals ``(chip, slices, out, in)`` of one purpose, such as ``("program", 0)``."""
        return self._drawn(ops.device_normals, path, self.shape[0])

    def uniforms(self, *path: int | str, rows: int = 1) -> torch.Tensor:
        """Return draws in (0, 1], ``(chip, rows, slices, out, in)``."""
        drawn = self._drawn(ops.device_uniforms, path, rows * self.shape[0])
        return drawn.reshape(len(self.seeds), rows, *self.shape)

    def _drawn(self, make, path: Sequence[int | str], rows: int) -> torch.Tensor:
        _, out, in_ = self.shape
        return make(self.keys(*path), rows, out * in_, self.device).reshape(len(self.seeds), rows, out, in_)
