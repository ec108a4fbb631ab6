# SPDX-License-Identifier: Apache-2.0
"""Conductance converters, found by looking: every module here holds one."""

import sys

from engine.inference.converters.base import Converter
from engine.parts import Registry

_REGISTRY = Registry(sys.modules[__name__], Converter, "conductance converter")
names, get, register, made = _REGISTRY.names, _REGISTRY.get, _REGISTRY.register, _REGISTRY.made

__all__ = ["Converter", "get", "made", "names", "register"]
