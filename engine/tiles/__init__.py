# SPDX-License-Identifier: Apache-2.0
"""Analog tiles."""

from engine.tiles.config import TileConfig
from engine.tiles.input_range import InputRangeParameters
from engine.tiles.mapping import MappingParameters
from engine.tiles.periphery import IOParameters
from engine.tiles.tile import PulseTrace, Tile
from engine.tiles.update import UpdateParameters

__all__ = [
    "IOParameters",
    "InputRangeParameters",
    "MappingParameters",
    "PulseTrace",
    "Tile",
    "TileConfig",
    "UpdateParameters",
]
