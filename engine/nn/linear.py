# SPDX-License-Identifier: Apache-2.0
"""A linear layer whose weights are on analog tiles."""

from __future__ import annotations

from engine.nn.core import AnalogCore
from engine.nn.weight import AnalogWeight
from engine.tiles import TileConfig

__all__ = ["AnalogLinear", "AnalogWeight"]


class AnalogLinear(AnalogCore):
    """``y = W x + b`` with W on one or several analog tiles; b is digital unless the mapping says otherwise.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Add a bias, a torch parameter ``(out,)`` or a column of the tile (``config.mapping.digital_bias``).
    config : TileConfig
    seed : int
        Fixes every draw of the tiles and the initial weights.

    Notes
    -----
    Initial weights are uniform in ``+-1/sqrt(in_features)``, as torch's own layer, clipped to each device's bounds.
    The layer is float32. It moves with ``.to("cuda")`` and ``.cpu()`` (docs/cuda.md); casting raises `StateError`.

    Examples
    --------
    >>> import torch
    >>> layer = AnalogLinear(3, 2, config=TileConfig("idealized_symmetric"))
    >>> layer(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, config: TileConfig, seed: int = 0):
        super().__init__(in_features, out_features, bias, config=config, seed=seed)
