# SPDX-License-Identifier: Apache-2.0
"""Results as plain data: JSON holds neither NaN nor infinity nor numpy's numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a value fit for JSON: numbers that are not finite are None, tuples are lists."""
    if isinstance(value, Mapping):
        return {name: plain(v) for name, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: float | None) -> float:
    """Return the number that `plain` was given, NaN where it wrote None."""
    return math.nan if value is None else value
