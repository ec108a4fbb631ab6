# SPDX-License-Identifier: Apache-2.0
"""Memory, told before it is taken."""

import pytest

from engine.errors import CapacityError
from engine.inference import forecast, program
from engine.inference.converters.dual_pair import DualPair
from engine.nn import AnalogLinear
from engine.tiles import TileConfig


def layer(size: int = 32) -> AnalogLinear:
    return AnalogLinear(size, size, config=TileConfig("idealized_symmetric"))


def test_forecast_is_what_the_tiles_hold():
    told = forecast(layer(), "pcm", chips=3)
    tile = next(iter(program(layer(), "pcm", chips=3).tiles.values()))
    kept = sum(a.numel() * a.element_size() for a in tile.state.values()) + 4 * tile.weights.numel()
    assert 3 * told.chip_bytes == kept
    assert forecast(layer(), "pcm", DualPair(), chips=3).chip_bytes == told.chip_bytes + 2 * 3 * 4 * 1024
    assert told.chips_within(told.total_bytes) == 3


def test_too_many_chips_are_refused_with_how_many_fit(monkeypatch):
    told = forecast(layer(), "pcm", chips=2)
    monkeypatch.setattr("engine.inference.memory.available_memory", lambda: told.total_bytes)
    program(layer(), "pcm", chips=2)
    with pytest.raises(CapacityError, match=r"program\.chips = 50: need .* Take 2 chips at a time"):
        program(layer(), "pcm", chips=50)
