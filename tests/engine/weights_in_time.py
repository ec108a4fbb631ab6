# SPDX-License-Identifier: Apache-2.0
"""Tiles at one weight everywhere, for the tests of the processes in time."""

import any_device
import numpy as np
import torch

from engine.tiles import Tile

WIDE = {"low": -2.0, "high": 2.0, **any_device.EQUAL}
EXACT = 1e-6  # single precision


def tile_at(weight: float, device, shape=(3, 5), seed: int = 1) -> Tile:
    tile = Tile(*shape, device, seed=seed)
    tile.set_weights(torch.full(shape, weight))
    return tile


def everywhere(tile: Tile, expected: float, rel: float = EXACT, abs_: float = 0.0) -> None:
    """Fail unless every hidden weight is ``expected``."""
    np.testing.assert_allclose(tile.hidden.numpy(), expected, rtol=rel, atol=abs_)
