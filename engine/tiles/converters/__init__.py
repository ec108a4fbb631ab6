# SPDX-License-Identifier: Apache-2.0
"""Analog-to-digital converters by circuit, found by looking: every module here holds one."""

import sys

from engine.parts import Registry
from engine.tiles.converters.base import CircuitConverter, Converter
from engine.tiles.converters.cyclic import CyclicConverter
from engine.tiles.converters.ideal import IdealConverter
from engine.tiles.converters.pipeline import PipelineConverter
from engine.tiles.converters.ramp import RampConverter
from engine.tiles.converters.sar import SarConverter

_REGISTRY = Registry(sys.modules[__name__], Converter, "converter")
names, get, register, made = _REGISTRY.names, _REGISTRY.get, _REGISTRY.register, _REGISTRY.made

__all__ = [
    "CircuitConverter", "Converter", "CyclicConverter", "IdealConverter", "PipelineConverter", "RampConverter",
    "SarConverter", "get", "made", "names", "register",
]  # fmt: skip
