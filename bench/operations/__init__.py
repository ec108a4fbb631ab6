# SPDX-License-Identifier: Apache-2.0
"""Operations, found by looking: every module here holds one; there is no list to edit."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from bench.operation import Operation


def names() -> list[str]:
    """Return the names of all operations, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get(name: str) -> type[Operation]:
    """Return the class of an operation.

    Raises
    ------
    ValueError
        There is none of that name.
    """
    if name not in names():
        raise ValueError(f"op = {name!r}: unknown (allowed: {', '.join(names())}). Choose one of these.")
    module = importlib.import_module(f"{__name__}.{name}")
    (cls,) = (c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__)
    return cls
