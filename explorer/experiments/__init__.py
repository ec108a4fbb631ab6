# SPDX-License-Identifier: Apache-2.0
"""Experiments: found by themselves, run anywhere, written as JSON.

Every module in this folder is searched for subclasses of `Experiment`; so is every module another
package names in the entry point group ``ohmscape.experiments``. Nothing else can be rebuilt from a
file or a link: a class name is looked up here and never imported from the text itself.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from importlib import metadata
from types import ModuleType

from engine.errors import ParameterError, near_miss
from explorer.experiments.base import Cancelled, Experiment, NoProgress, Progress

__all__ = ["Cancelled", "Experiment", "NoProgress", "Progress", "classes", "get", "names"]

ENTRY_POINTS = "ohmscape.experiments"


def _own_modules() -> Iterator[ModuleType]:
    for found in pkgutil.iter_modules(__path__):
        yield importlib.import_module(f"{__name__}.{found.name}")


def _plugin_modules() -> Iterator[ModuleType]:
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            yield importlib.import_module(point.module)
        except Exception as err:  # another package's mistake must not stop the app
            warnings.warn(
                f"entry point {point.name} = {point.value}: its experiments are left out, "
                f"{type(err).__name__}: {err}. Repair or uninstall that package.",
                stacklevel=2,
            )


def _defined_in(module: ModuleType) -> Iterator[type[Experiment]]:
    for _, cls in inspect.getmembers(module, inspect.isclass):
        own = cls.__module__ == module.__name__ and not cls.__name__.startswith("_")
        if own and issubclass(cls, Experiment) and cls is not Experiment:
            yield cls


@functools.cache
def classes() -> dict[str, type[Experiment]]:
    """Return ``class name -> class`` of every experiment there is, sorted by name.

    Raises
    ------
    ParameterError
        When two modules define an experiment of the same name.
    """
    found: dict[str, type[Experiment]] = {}
    for module in (*_own_modules(), *_plugin_modules()):
        for cls in _defined_in(module):
            other = found.setdefault(cls.__name__, cls)
            if other is not cls:
                raise ParameterError(
                    f"Experiment {cls.__name__}: defined in {other.__module__} and {cls.__module__} "
                    "(allowed: once). Rename one of them."
                )
    return dict(sorted(found.items()))


def names() -> list[str]:
    """Return the names of all experiments."""
    return list(classes())


def get(name: str) -> type[Experiment]:
    """Return the class of an experiment.

    Raises
    ------
    ParameterError
        When there is none of that name; near misses are named.
    """
    known = classes()
    if name not in known:
        hint = near_miss(name, known) or " Give the class name of an experiment."
        raise ParameterError(f"Experiment {name!r}: there is none (allowed: {', '.join(known) or 'none'}).{hint}")
    return known[name]
