# SPDX-License-Identifier: Apache-2.0
"""Commands, found by themselves: every module in this folder is one.

A command module has ``SUMMARY`` (one line for the list), a docstring (for its help), ``add_arguments(parser)``
and ``run(options) -> int`` (the exit status). It must be quick to import: heavy imports go into the functions.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from types import ModuleType


@functools.cache
def found() -> dict[str, ModuleType]:
    """Return ``name -> module`` of every command, sorted by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}
