# SPDX-License-Identifier: Apache-2.0
"""Laws of retention, one module each, found by themselves."""

from __future__ import annotations

import sys
from functools import cache

from ...discovery import discover
from .base import RetentionLaw

__all__ = ["RetentionLaw", "all_laws"]


@cache
def all_laws() -> tuple[RetentionLaw, ...]:
    """Return one instance of every law, by the name of its module."""
    return tuple(cls() for cls in discover(sys.modules[__name__], RetentionLaw))  # type: ignore[type-abstract]
