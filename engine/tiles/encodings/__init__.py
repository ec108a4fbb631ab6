# SPDX-License-Identifier: Apache-2.0
"""From weights to conductances and back, found by looking: every module here holds one encoding."""

import sys

from engine.parts import Registry
from engine.tiles.encodings.base import Encoding
from engine.tiles.encodings.differential_pair import DifferentialPair
from engine.tiles.encodings.offset import OffsetEncoding

_REGISTRY = Registry(sys.modules[__name__], Encoding, "encoding")
names, get, register, made = _REGISTRY.names, _REGISTRY.get, _REGISTRY.register, _REGISTRY.made

__all__ = ["DifferentialPair", "Encoding", "OffsetEncoding", "get", "made", "names", "register"]
