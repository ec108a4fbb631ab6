# SPDX-License-Identifier: Apache-2.0
"""Torch layers on analog tiles."""

from engine.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from engine.nn.convert import analog_layers, convert, load_state
from engine.nn.core import AnalogCore
from engine.nn.linear import AnalogLinear
from engine.nn.remap import WeightClip, WeightRemap

__all__ = [
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogCore",
    "AnalogLinear",
    "WeightClip",
    "WeightRemap",
    "analog_layers",
    "convert",
    "load_state",
]
