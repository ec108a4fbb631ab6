# SPDX-License-Identifier: Apache-2.0
"""The GPU's kernels give the bits of the CPU's: on a GPU, and everywhere through the emulator (T37)."""

import lives
import pytest
import torch

from engine import devices
from engine.tiles import Tile, UpdateParameters

PULSED = [s for s in devices.names() if devices.get(s).pulsed]
NARROW = (5, 70)  # no multiple of a warp
WIDE = (2, 1100)  # two spans, the second with idle threads


@pytest.mark.conformance("T37")
@pytest.mark.parametrize("stem", devices.names())
def test_life_of_a_tile_on_a_gpu_has_the_bits_of_the_cpu(stem, place):
    ours = lives.whole_life(stem, NARROW, "cpu")
    with place() as where:
        theirs = lives.whole_life(stem, NARROW, where)
    lives.assert_same_bits(ours, theirs)
    if devices.get(stem).pulsed:
        assert int(ours["up"].sum()) > 20
        assert (ours["hidden updated"] != ours["hidden pulsed"]).any()
