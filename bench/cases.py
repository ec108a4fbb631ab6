# SPDX-License-Identifier: Apache-2.0
"""The rows of a benchmark, and how the command line narrows them down."""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Case:
    """One row: what is run, on which device and size, on how many threads.

    Parameters
    ----------
    op : str
        An operation, a module of `bench.operations`.
    device : str
        Stem of a device.
    shape : tuple of int
        Tile size ``(out, in)``.
    batch : int
        Samples of one call; for ``response`` the pulses.
    bl : int
        Longest pulse train, ``UpdateParameters.desired_bl``.
    threads : int
        Threads of either side.
    variant : str
        What the operation varies: density of an update, periphery and direction of a product.
    """

    op: str
    device: str
    shape: tuple[int, int]
    batch: int
    bl: int
    threads: int
    variant: str

    def record(self) -> dict[str, Any]:
        """Return the row as plain values for JSON."""
        return asdict(self) | {"shape": list(self.shape)}


@dataclass(frozen=True)
class Rows:
    """What an operation runs if nothing else is asked for: all combinations of its lists."""

    device: tuple[str, ...]
    shape: tuple[int, int]
    batch: int
    bl: int
    threads: tuple[int, ...]
    variant: tuple[str, ...]

    def narrowed(self, **asked: Any) -> Rows:
        """Return the rows with what was asked for in place of the defaults; None leaves a default."""
        return replace(self, **{name: value for name, value in asked.items() if value is not None})

    def cases(self, op: str) -> list[Case]:
        """Return every combination, threads changing fastest."""
        rows = itertools.product(self.device, self.variant, self.threads)
        return [Case(op, d, self.shape, self.batch, self.bl, t, v) for d, v, t in rows]
