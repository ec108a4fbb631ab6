# SPDX-License-Identifier: Apache-2.0
"""One call of the analog product's kernels, on the CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from engine import ops

Outputs = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Product:
    """One call of the analog product.

    Parameters
    ----------
    params : sequence of float
        The periphery in compiled order.
    transposed : bool
        ``W^T`` in place of ``W``.
    seed, construction_seed, first_step : int
        Seeds of the fresh draws and of those made once; number of the first vector in the tile's life.
    average : float
        Running mean of the largest inputs, for the input scaling that uses it.
    """

    params: Sequence[float]
    transposed: bool
    seed: int
    construction_seed: int
    first_step: int
    average: float = 0.0

    def __call__(self, weights: torch.Tensor, x: torch.Tensor, clipped: torch.Tensor | None = None) -> Outputs:
        """Return ``x W^T`` (or ``x W``) for x (samples, in or out), and rounds (samples,); fill ``clipped``, uint8."""
        if ops.on_gpu(x.device):
            from engine.cuda.product import GpuProduct

            return GpuProduct(self, weights, x, clipped).run()
        return self.on_cpu(weights, x, clipped)

    def on_cpu(self, weights: torch.Tensor, x: torch.Tensor, clipped: torch.Tensor | None = None) -> Outputs:
        """Return what a call does, by the CPU's kernels; everything lies on the CPU."""
        out, in_ = weights.shape
        y = torch.empty(x.shape[0], in_ if self.transposed else out)
        rounds = torch.ones(x.shape[0], dtype=torch.int32)
        ops.run("mvm", self.native(weights, x, y, rounds, clipped))
        return y, rounds

    def native(self, weights: torch.Tensor, x: torch.Tensor, *others: torch.Tensor | None) -> Any:
        """Return the call and its arrays, wherever they lie; ``others`` are y, rounds, and clipped or None."""
        out, in_ = weights.shape
        threads = ops.threads_for(out * in_ * x.shape[0])
        places = (0 if array is None else array.data_ptr() for array in (weights, x, *others))
        draws = self.average, self.seed, self.construction_seed, self.first_step
        return ops.run("Product", *places, out, in_, x.shape[0], self.transposed, list(self.params), *draws, threads)
