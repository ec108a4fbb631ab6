# SPDX-License-Identifier: Apache-2.0
"""Experiments, results, jobs and views on top of ``engine``; the labs are pages and, as objects, notebook cells."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.labs.device_lab import DeviceLab
    from explorer.labs.drift_lab import DriftLab
    from explorer.labs.fit_studio import FitStudio
    from explorer.labs.tile_lab import TileLab

__all__ = ["DeviceLab", "DriftLab", "FitStudio", "TileLab"]

_LABS = {
    "DeviceLab": "explorer.labs.device_lab",
    "DriftLab": "explorer.labs.drift_lab",
    "FitStudio": "explorer.labs.fit_studio",
    "TileLab": "explorer.labs.tile_lab",
}


def __getattr__(name: str) -> Any:
    if name not in _LABS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LABS[name]), name)  # loads the whole GUI, which scripts do without
