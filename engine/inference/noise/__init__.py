# SPDX-License-Identifier: Apache-2.0
"""Noise models of programmed devices, found by looking: every module here holds one (two hold what several share)."""

import sys

from engine.inference.noise.base import NoiseModel
from engine.parts import Registry

_REGISTRY = Registry(sys.modules[__name__], NoiseModel, "noise model")
names, get, register, made = _REGISTRY.names, _REGISTRY.get, _REGISTRY.register, _REGISTRY.made

__all__ = ["NoiseModel", "get", "made", "names", "register"]
