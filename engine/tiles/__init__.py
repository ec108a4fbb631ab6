# SPDX-License-Identifier: Apache-2.0
"""Analog tiles."""

from engine.tiles.config import TileConfig
from engine.tiles.mapping import MappingParameters
from engine.tiles.periphery import IOParameters
from engine.tiles.tile import PulseTrace, Tile
from engine.tiles.update import UpdateParameters

__all__ = ["IOParameters", "MappingParameters", "PulseTrace", "Tile", "TileConfig", "UpdateParameters"]
