# SPDX-License-Identifier: Apache-2.0
"""Device models, found by looking: every module here holds one device; there is no list to edit.

Devices from elsewhere join by the entry point group ``ohmscape.devices`` of an installed package, by the environment
variable ``OHMSCAPE_DEVICES`` (paths of Python files, separated as in ``PATH``; workers see it too), or by
`register` for the running process only.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import pkgutil
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from engine.devices.base import Device
from engine.errors import BuildError, ParameterError, near_miss

__all__ = ["Device", "get", "names", "register"]

_CLASSES: dict[str, type[Device]] = {}


def register(cls: type[Device]) -> type[Device]:
    """Add a device class for this process; usable as a decorator.

    Raises
    ------
    BuildError
        If its parameters do not fit its compiled header.
    ParameterError
        If another device has its name.
    """
    known = _CLASSES.setdefault(cls.stem(), cls)
    if known is not cls and known.__qualname__ != cls.__qualname__:
        raise ParameterError(
            f"device {cls.stem()!r}: there is one already, {known.__qualname__} (allowed: one class a name). Rename it."
        )
    cls.compare_with_header()
    _CLASSES[cls.stem()] = cls
    return cls


def _devices_in(module: ModuleType) -> list[type[Device]]:
    own = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Device)]
    return [v for v in own if v.__module__ == module.__name__ and not vars(v).get("abstract", False)]


def _file_module(path: Path) -> ModuleType:
    """Return the module of a user's device file, imported under the file's stem."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise BuildError(f"OHMSCAPE_DEVICES: no Python file {path} (allowed: paths of .py files). Correct the path.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _modules() -> list[ModuleType]:
    own = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    plugins = [importlib.import_module(point.module) for point in entry_points(group="ohmscape.devices")]
    paths = [Path(p) for p in os.environ.get("OHMSCAPE_DEVICES", "").split(os.pathsep) if p]
    return own + plugins + [_file_module(p) for p in paths]


for _module in _modules():
    for _cls in _devices_in(_module):
        register(_cls)


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
