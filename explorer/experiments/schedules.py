# SPDX-License-Identifier: Apache-2.0
"""Orders of pulses: the directions that a response measurement sends."""

from __future__ import annotations

import numpy as np

from engine import ops
from engine.errors import ParameterError, say


def ramps(n_pulses: int, length: int) -> np.ndarray:
    """Return ``(n_pulses,)`` directions: ``length`` up, ``length`` down, and so on (whole numbers, no sine)."""
    return np.where((np.arange(n_pulses) // length) % 2 == 0, 1, -1).astype(np.int8)


def alternating(n_pulses: int) -> np.ndarray:
    """Return ``(n_pulses,)`` directions: up, down, up, ..."""
    return ramps(n_pulses, 1)


def random(n_pulses: int, seed: int) -> np.ndarray:
    """Return ``(n_pulses,)`` directions, up or down with probability 1/2 each."""
    return np.where(ops.normals(seed, "derive", 1, n_pulses) > 0, 1, -1).astype(np.int8)


def custom(directions: list[int]) -> np.ndarray:
    """Return a user's list of +1, -1, 0 as ``(pulses,)`` directions.

    Raises
    ------
    ParameterError
        If the list is empty or holds something else.
    """
    values = np.asarray(directions)
    odd = [v for v in directions if v not in (-1, 0, 1)]
    if values.ndim != 1 or values.size == 0 or odd:
        raise ParameterError(
            say(
                "PulseResponse.directions",
                odd[0] if odd else directions,
                "must be a list of directions",
                "+1, -1, 0",
                "Give at least one.",
            )
        )
    return values.astype(np.int8)
