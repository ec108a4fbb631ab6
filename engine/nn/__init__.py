# SPDX-License-Identifier: Apache-2.0
"""Torch layers on analog tiles."""

from engine.nn.attention import AnalogMultiheadAttention
from engine.nn.cells import AnalogGRUCell, AnalogLSTMCell, AnalogRNNCell
from engine.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from engine.nn.convert import analog_layers, convert, load_state
from engine.nn.core import AnalogCore
from engine.nn.linear import AnalogLinear
from engine.nn.recurrent import AnalogGRU, AnalogLSTM, AnalogRNN
from engine.nn.remap import WeightClip, WeightRemap

__all__ = [
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogCore",
    "AnalogGRU",
    "AnalogGRUCell",
    "AnalogLSTM",
    "AnalogLSTMCell",
    "AnalogLinear",
    "AnalogMultiheadAttention",
    "AnalogRNN",
    "AnalogRNNCell",
    "WeightClip",
    "WeightRemap",
    "analog_layers",
    "convert",
    "load_state",
]
