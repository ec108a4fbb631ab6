# SPDX-License-Identifier: Apache-2.0
"""Strategies against drift, found by looking: every module here holds one."""

import sys

from engine.inference.compensation.base import Compensation, Readout
from engine.parts import Registry

_REGISTRY = Registry(sys.modules[__name__], Compensation, "drift compensation")
names, get, register, made = _REGISTRY.names, _REGISTRY.get, _REGISTRY.register, _REGISTRY.made

__all__ = ["Compensation", "Readout", "get", "made", "names", "register"]
