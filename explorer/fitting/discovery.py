# SPDX-License-Identifier: Apache-2.0
"""Find the classes of a folder, so that a new file is offered without a list to edit."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def discover(package: ModuleType, base: type[T]) -> list[type[T]]:
    """Import every module of ``package``; return the subclasses of ``base`` defined there, by module name."""
    found = []
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda item: item.name):
        module = importlib.import_module(f"{package.__name__}.{info.name}")
        for item in vars(module).values():
            local = isinstance(item, type) and item.__module__ == module.__name__
            if local and issubclass(item, base) and item is not base:
                found.append(item)
    return found
