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


def __getattr__(name: str) -> Any:
    """Return a lab: the class of an app, called as the app in camel case; it loads the whole GUI."""
    if name[:1].isupper():
        for app in importlib.import_module("explorer.serving").apps():
            if name == app.title().replace("_", ""):
                return getattr(importlib.import_module(f"explorer.labs.{app}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
