# SPDX-License-Identifier: Apache-2.0
"""Response models that can be fitted, one module each, found by themselves."""

from __future__ import annotations

import sys
from functools import cache

from engine.errors import near_miss

from ..discovery import discover
from ..errors import refusal
from .base import ResponseModel, Solution

__all__ = ["ResponseModel", "Solution", "get", "names"]


@cache
def _registry() -> dict[str, ResponseModel]:
    found = discover(sys.modules[__name__], ResponseModel)  # type: ignore[type-abstract]
    return {cls.stem: cls() for cls in found}


def names() -> list[str]:
    """Return the stems of all models, sorted."""
    return sorted(_registry())


def get(stem: str) -> ResponseModel:
    """Return a model by the stem of its device.

    Raises
    ------
    MeasuredDataError
        If there is none of that name.
    """
    if stem not in _registry():
        hint = near_miss(str(stem), names()).strip() or "Choose one of these."
        raise refusal("fit model", stem, "there is no such model", ", ".join(names()), hint)
    return _registry()[stem]
