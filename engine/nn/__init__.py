# SPDX-License-Identifier: Apache-2.0
"""Torch layers on analog tiles."""

from engine.nn.attention import AnalogMultiheadAttention
from engine.nn.calibrate import calibrate
from engine.nn.cells import AnalogGRUCell, AnalogLSTMCell, AnalogRNNCell
from engine.nn.checkpoint import analog_layers, load_state
from engine.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from engine.nn.convert import convert, to_digital
from engine.nn.core import AnalogCore
from engine.nn.distillation import distillation_loss
from engine.nn.hardware_aware import HardwareAware
from engine.nn.linear import AnalogLinear
from engine.nn.recurrent import AnalogGRU, AnalogLSTM, AnalogRNN
from engine.nn.remap import WeightClip, WeightRemap
from engine.nn.report import ConversionReport, conversion_report
from engine.nn.summary import LayerCost, Summary, summary

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
    "ConversionReport",
    "HardwareAware",
    "LayerCost",
    "Summary",
    "WeightClip",
    "WeightRemap",
    "analog_layers",
    "calibrate",
    "conversion_report",
    "convert",
    "distillation_loss",
    "load_state",
    "summary",
    "to_digital",
]
