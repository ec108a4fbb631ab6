# SPDX-License-Identifier: Apache-2.0
"""Networks to train, found by looking: every module here holds one."""

from __future__ import annotations

import importlib
import pkgutil

from engine.errors import ParameterError, near_miss
from explorer.networks.base import Network, Split

__all__ = ["Network", "Split", "get", "names"]


def _discover() -> dict[str, Network]:
    found = {}
    for module in pkgutil.iter_modules(__path__):
        loaded = importlib.import_module(f"{__name__}.{module.name}")
        for value in vars(loaded).values():
            own = isinstance(value, type) and issubclass(value, Network) and value.__module__ == loaded.__name__
            if own and value is not Network:
                found[value.name] = value()
    return found


_NETWORKS = _discover()


def names() -> list[str]:
    """Return the names of all networks, sorted."""
    return sorted(_NETWORKS)


def get(name: str) -> Network:
    """Return a network.

    Raises
    ------
    ParameterError
        If there is none of that name; near misses are named.
    """
    if name not in _NETWORKS:
        raise ParameterError(f"network = {name!r}: unknown (allowed: {', '.join(names())}).{near_miss(name, names())}")
    return _NETWORKS[name]
