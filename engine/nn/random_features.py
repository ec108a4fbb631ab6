# SPDX-License-Identifier: Apache-2.0
"""Kernels approximated by random features: one analog product for each input."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from engine import ops
from engine.errors import ParameterError, ShapeError, say
from engine.nn.linear import AnalogLinear
from engine.rng import derive_seed
from engine.tiles import TileConfig

KERNELS = ("rbf", "arc_cosine", "softmax")
SAMPLINGS = ("rff", "orf", "sorf")


class RandomFeatures(nn.Module):
    r"""Features :math:`z(x) = \frac{h(x)}{\sqrt m} [f_1(\Omega x), f_2(\Omega x)]` whose products approximate a kernel.

    Parameters
    ----------
    inputs : int
        Length of x.
    features : int
        Rows m of Omega, random directions.
    kernel : {"rbf", "arc_cosine", "softmax"}
        :math:`e^{-\gamma |x - y|^2}` by cos and sin; :math:`1 - \theta/\pi`, the angle between x and y, by steps;
        :math:`e^{x \cdot y}` by positive features.
    sampling : {"rff", "orf", "sorf"}
        Independent normal rows; blocks of orthogonal rows with the lengths of normal ones; Hadamard matrices with
        random signs (the inputs then fill up to a power of two).
    gamma : float
        Of ``rbf``, one over squared input units.
    config : TileConfig, optional
        Omega on tiles of this kind; a digital product if not given.
    seed : int
        Fixes Omega and the tiles' draws.

    Notes
    -----
    Omega is never trained: programming noise only perturbs which directions were drawn. Source: Kernel approximation
    using analog in-memory computing, Nature Machine Intelligence 2024. Normal entries are truncated at 3 standard
    deviations for ``rbf`` with ``rff``, as in its code.

    Examples
    --------
    >>> x = torch.tensor([[0.5, -0.2], [0.1, 0.3]])
    >>> z = RandomFeatures(2, 4096, gamma=0.5)(x)
    >>> exact = torch.exp(-0.5 * (x[0] - x[1]).square().sum())
    >>> abs((z[0] @ z[1] - exact).item()) < 0.05
    True
    """

    def __init__(
        self,
        inputs: int,
        features: int,
        kernel: str = "rbf",
        sampling: str = "orf",
        *,
        gamma: float = 1.0,
        config: TileConfig | None = None,
        seed: int = 0,
    ):
        super().__init__()
        _check(inputs, features, kernel, sampling, gamma)
        self.kernel, self.sampling, self.gamma = kernel, sampling, gamma
        scale = math.sqrt(2 * gamma) if kernel == "rbf" else 1.0
        omega = scale * directions(
            inputs, features, sampling, seed=seed, truncate=kernel == "rbf" and sampling == "rff"
        )
        if config is None:
            self.projection = nn.Linear(inputs, features, bias=False)
            with torch.no_grad():
                self.projection.weight.copy_(omega)
        else:
            self.projection = AnalogLinear(inputs, features, False, config=config, seed=derive_seed(seed, "features"))
            self.projection.set_weights(omega)
        self.requires_grad_(False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return features ``(..., 2 m)``, for ``arc_cosine`` ``(..., m)``, for inputs ``(..., inputs)``."""
        u = self.projection(x)
        if self.kernel == "rbf":
            found = [torch.cos(u), torch.sin(u)]
        elif self.kernel == "arc_cosine":
            return math.sqrt(2 / u.shape[-1]) * (u > 0).to(u.dtype)
        else:
            half = x.square().sum(-1, keepdim=True) / 2
            found = [torch.exp(u - half) / math.sqrt(2), torch.exp(-u - half) / math.sqrt(2)]
        return torch.cat(found, -1) / math.sqrt(u.shape[-1])


def exact_kernel(x: torch.Tensor, y: torch.Tensor, kernel: str = "rbf", *, gamma: float = 1.0) -> torch.Tensor:
    """Return the kernel of all pairs, ``(n, k)`` for inputs ``(n, inputs)`` and ``(k, inputs)``."""
    if kernel == "rbf":
        return torch.exp(-gamma * torch.cdist(x, y).square())
    if kernel == "softmax":
        return torch.exp(x @ y.T)
    cosine = nn.functional.normalize(x, dim=-1) @ nn.functional.normalize(y, dim=-1).T
    return 1 - torch.arccos(cosine.clamp(-1, 1)) / math.pi


def directions(inputs: int, features: int, sampling: str, *, seed: int = 0, truncate: bool = False) -> torch.Tensor:
    """Return random rows ``(features, inputs)`` whose entries have mean 0 and variance 1."""
    key = derive_seed(seed, "directions", sampling)
    if sampling == "rff":
        return _normal(key, 0, (features, inputs), truncate)
    size = inputs if sampling == "orf" else 1 << max(inputs - 1, 0).bit_length()
    blocks = [_block(key, k, size, sampling) for k in range(-(-features // size))]
    return torch.cat(blocks)[:features, :inputs].contiguous()


def _block(key: int, number: int, size: int, sampling: str) -> torch.Tensor:
    """Return a square block of orthogonal rows."""
    if sampling == "orf":
        orthogonal, r = torch.linalg.qr(_normal(key, 2 * number, (size, size)).double())
        orthogonal = orthogonal * torch.sign(torch.diagonal(r))  # every orthogonal matrix alike
        lengths = _normal(key, 2 * number + 1, (size, size)).double().norm(dim=1)
        return (lengths[:, None] * orthogonal).float()
    h = _hadamard(size)
    product = torch.eye(size)
    for k in range(3):
        product = product @ h * torch.sign(_normal(key, 3 * number + k, (size,)))
    return math.sqrt(size) * product


def _hadamard(size: int) -> torch.Tensor:
    """Return Sylvester's matrix over the root of its size, a power of two: orthogonal, entries of one magnitude."""
    h = torch.ones(1, 1)
    while len(h) < size:
        h = torch.cat([torch.cat([h, h], 1), torch.cat([h, -h], 1)])
    return h / math.sqrt(size)


def _normal(key: int, number: int, shape: tuple[int, ...], truncate: bool = False) -> torch.Tensor:
    """Return standard normal numbers; truncated ones are drawn again until they lie within 3."""
    found = torch.from_numpy(ops.normals(key, "derive", number << 8, int(np.prod(shape))).copy()).reshape(shape)
    for again in range(1, 256 if truncate else 1):
        beyond = found.abs() > 3
        if not bool(beyond.any()):
            break
        drawn = torch.from_numpy(ops.normals(key, "derive", number << 8 | again, found.numel()).copy()).reshape(shape)
        found = torch.where(beyond, drawn, found)
    return found


def _check(inputs: int, features: int, kernel: str, sampling: str, gamma: float) -> None:
    for name, value in (("inputs", inputs), ("features", features)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ShapeError(
                f"RandomFeatures.{name} = {value!r}: must be a whole number (allowed: 1, 2, ...). Give at least 1."
            )
    for name, value, known in (("kernel", kernel, KERNELS), ("sampling", sampling, SAMPLINGS)):
        if value not in known:
            raise ParameterError(
                say(f"RandomFeatures.{name}", value, "is unknown", ", ".join(known), "Choose one of these.")
            )
    if not gamma > 0 or not math.isfinite(gamma):
        raise ParameterError(say("RandomFeatures.gamma", gamma, "must be positive", "above 0", "Give 1 / (2 sigma^2)."))
