# SPDX-License-Identifier: Apache-2.0
"""Device classes as candidates of a fit; found by looking at the modules of this folder."""

from __future__ import annotations

import functools
import sys

from engine.errors import near_miss

from ...discovery import discover
from ...errors import refusal
from .base import Candidate, Coordinate, Values

__all__ = ["Candidate", "Coordinate", "Values", "get", "names"]


@functools.cache
def _registry() -> dict[str, type[Candidate]]:
    found = discover(sys.modules[__name__], Candidate)  # type: ignore[type-abstract]
    return {cls.stem: cls for cls in found}


def names() -> list[str]:
    """Return the stems of all candidates, sorted."""
    return sorted(_registry())


def get(stem: str) -> type[Candidate]:
    """Return a candidate by the stem of its device.

    Raises
    ------
    MeasuredDataError
        If there is none of that name.
    """
    if stem not in _registry():
        hint = near_miss(str(stem), names()).strip() or "Choose one of these."
        raise refusal("fit model", stem, "there is no such model", ", ".join(names()), hint)
    return _registry()[stem]
