# SPDX-License-Identifier: Apache-2.0
"""Networks of the gallery, found by looking: every module here may hold some."""

from __future__ import annotations

import importlib
import pkgutil

from engine.errors import ParameterError, near_miss
from explorer.networks import from_file
from explorer.networks.base import Exam, Network, ScoredNetwork, Split

__all__ = ["Exam", "Network", "ScoredNetwork", "Split", "find", "get", "get_scored", "names", "scored_names"]


def _discover() -> dict[str, ScoredNetwork]:
    found = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for value in vars(loaded).values():
            own = isinstance(value, type) and issubclass(value, ScoredNetwork) and value.__module__ == loaded.__name__
            if own and hasattr(value, "name"):  # the base classes have none
                found[value.name] = value()
    return found


_NETWORKS = _discover()


def names() -> list[str]:
    """Return the names of all networks that can be trained, sorted."""
    return sorted(name for name, network in _NETWORKS.items() if isinstance(network, Network))


def scored_names() -> list[str]:
    """Return the names of all networks that have trained weights and a score, sorted."""
    return sorted(_NETWORKS)


def get(name: str) -> Network:
    """Return a network that can be trained.

    Raises
    ------
    ParameterError
        If there is none of that name; near misses are named.
    """
    found = _find(name, names())
    assert isinstance(found, Network)
    return found


def get_scored(name: str) -> ScoredNetwork:
    """Return a network that has trained weights and a score.

    Raises
    ------
    ParameterError
        If there is none of that name; near misses are named.
    """
    return _find(name, scored_names())


def find(text: str) -> ScoredNetwork:
    """Return a network of the gallery by its name, or the user's own by ``file.py:name``.

    Raises
    ------
    ParameterError
        If there is none.
    """
    return from_file.network(text) if from_file.is_file(text) else get_scored(text)


def _find(name: str, known: list[str]) -> ScoredNetwork:
    if name not in known:
        raise ParameterError(f"network = {name!r}: unknown (allowed: {', '.join(known)}).{near_miss(name, known)}")
    return _NETWORKS[name]
