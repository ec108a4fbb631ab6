# SPDX-License-Identifier: Apache-2.0
"""Torch layers on analog tiles."""

from engine.nn.convert import analog_layers, convert, load_state
from engine.nn.linear import AnalogLinear

__all__ = ["AnalogLinear", "analog_layers", "convert", "load_state"]
