# SPDX-License-Identifier: Apache-2.0
"""Weight modifiers, found by looking: every module here holds one; there is no list to edit."""

from __future__ import annotations

import importlib
import pkgutil

from engine.errors import ParameterError, near_miss
from engine.nn.modifiers.base import Draws, Modifier

__all__ = ["Draws", "Modifier", "get", "names"]


def _discover() -> dict[str, type[Modifier]]:
    found = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for value in vars(loaded).values():
            own = isinstance(value, type) and issubclass(value, Modifier) and value.__module__ == loaded.__name__
            if own and not vars(value).get("abstract", False):
                found[value.stem()] = value
    return dict(sorted(found.items()))


_CLASSES = _discover()


def names() -> list[str]:
    """Return the stems of all modifiers, sorted."""
    return list(_CLASSES)


def get(stem: str) -> type[Modifier]:
    """Return the class of a modifier.

    Raises
    ------
    ParameterError
        If there is none of that name; near misses are named.
    """
    if stem not in _CLASSES:
        raise ParameterError(f"modifier = {stem!r}: unknown (allowed: {', '.join(names())}).{near_miss(stem, names())}")
    return _CLASSES[stem]
