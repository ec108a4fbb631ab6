# SPDX-License-Identifier: Apache-2.0
"""Device models, found by looking: every module here holds one device; there is no list to edit."""

from __future__ import annotations

import importlib
import pkgutil

from engine.devices.base import Device
from engine.errors import ParameterError, near_miss

__all__ = ["Device", "get", "names"]


def _discover() -> dict[str, type[Device]]:
    found = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for value in vars(loaded).values():
            own = isinstance(value, type) and issubclass(value, Device) and value.__module__ == loaded.__name__
            if own and not vars(value).get("abstract", False):
                value.compare_with_header()
                found[module.name] = value
    return found


_CLASSES = _discover()


def names() -> list[str]:
    """Return the stems of all devices, sorted."""
    return sorted(_CLASSES)


def get(stem: str) -> type[Device]:
    """Return the class of a device.

    Raises
    ------
    ParameterError
        If there is none of that name; near misses are named.
    """
    if stem not in _CLASSES:
        raise ParameterError(f"device = {stem!r}: unknown (allowed: {', '.join(names())}).{near_miss(stem, names())}")
    return _CLASSES[stem]
