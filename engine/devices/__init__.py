# SPDX-License-Identifier: Apache-2.0
"""Device models, found by looking: every module here holds one device; there is no list to edit.

Devices from elsewhere join by the entry point group ``ohmscape.devices`` of an installed package, by the environment
variable ``OHMSCAPE_DEVICES`` (paths of Python files, separated as in ``PATH``; workers see it too), or by `register`
and `register_file` for the running process only.
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
from engine.errors import BuildError, OhmscapeError, ParameterError, near_miss

__all__ = ["Device", "get", "names", "register", "register_file"]

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
    known = _CLASSES.get(cls.stem(), cls)
    same = (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__)  # a cell or file run again
    if not same:
        raise ParameterError(
            f"device {cls.stem()!r}: there is one already, {known.__qualname__} (allowed: one class a name). Rename it."
        )
    cls.compare_with_header()
    _CLASSES[cls.stem()] = cls
    return cls


def _devices_in(module: ModuleType) -> list[type[Device]]:
    own = [v for v in vars(module).values() if isinstance(v, type) and issubclass(v, Device)]
    return [v for v in own if v.__module__ == module.__name__ and not vars(v).get("abstract", False)]


def register_file(path: str | Path) -> list[type[Device]]:
    """Add the device classes of a Python file for this process, and return them.

    Raises
    ------
    BuildError
        No Python file there, a name that is taken, an error while it runs, no device in it.
    ParameterError
        If another device has the name of one of its classes.
    """
    path = Path(path)
    module = _file_module(path)
    try:
        found = [register(cls) for cls in _devices_in(module)]
        if not found:
            raise BuildError(
                f"device file {path}: holds no device (allowed: classes derived from PythonDevice). "
                "Define one, or take the file off the list."
            )
    except OhmscapeError:
        del sys.modules[path.stem]
        raise
    return found


def _file_module(path: Path) -> ModuleType:
    """Return the module of a user's device file, imported under the file's stem."""
    if not path.is_file() or path.suffix != ".py":
        raise BuildError(f"device file {path}: is no Python file (allowed: paths of .py files). Correct the path.")
    if path.stem in sys.modules or path.stem in sys.stdlib_module_names:
        raise BuildError(
            f"device file {path}: has the name of another module (allowed: a name of its own). Rename the file."
        )
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's file may raise
        del sys.modules[path.stem]
        raise BuildError(
            f"device file {path}: cannot be imported ({type(error).__name__}: {error}). Correct the file."
        ) from error
    return module


def _modules() -> list[ModuleType]:
    own = [importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)]
    return own + [importlib.import_module(point.module) for point in entry_points(group="ohmscape.devices")]


for _module in _modules():
    for _cls in _devices_in(_module):
        register(_cls)
for _path in os.environ.get("OHMSCAPE_DEVICES", "").split(os.pathsep):
    if _path:
        register_file(_path)


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
