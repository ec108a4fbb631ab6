# SPDX-License-Identifier: Apache-2.0
"""Exception classes, and the one shape every message has.

``<object.field> = <value> <unit>: <rule broken> (<allowed>). <what to do>.``
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OhmscapeError(Exception):
    """Base of every error a user can cause; its text is one line that says what to do."""


class ParameterError(OhmscapeError, ValueError):
    """A parameter has a value outside its rule, or does not exist."""


class ShapeError(OhmscapeError, ValueError):
    """Two arrays do not fit together."""


class StateError(OhmscapeError, RuntimeError):
    """A call does not fit the state of its object."""


class ConfigMismatch(OhmscapeError, ValueError):
    """A saved state belongs to another configuration than the object it is loaded into.

    Attributes
    ----------
    differences : dict
        ``field -> (saved, current)`` for every field that differs.
    """

    def __init__(self, message: str, differences: dict[str, tuple[object, object]]):
        super().__init__(message)
        self.differences = differences


class BuildError(OhmscapeError, ImportError):
    """The compiled part is missing or does not match the Python part."""


class CudaError(OhmscapeError, RuntimeError):
    """A GPU cannot be used; the message says what is missing."""


class CapacityError(OhmscapeError, MemoryError):
    """Something would need more memory than there is; raised before it is taken."""


def near_miss(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean ...?`` with up to three known names close to ``name``, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    if not found:
        return ""
    return f" Did you mean {' or '.join(repr(f) for f in found)}?"


def say(subject: str, value: object, rule: str, allowed: str, remedy: str, *, unit: str = "") -> str:
    """Word a message: subject, value with unit, broken rule, what is allowed, what to do."""
    shown = f"{value:.7g}" if isinstance(value, float) else repr(value)
    shown = f"{shown} {unit}" if unit and unit != "1" else shown
    return f"{subject} = {shown}: {rule} (allowed: {allowed}). {remedy}"
