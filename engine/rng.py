# SPDX-License-Identifier: Apache-2.0
"""Seeds and stream numbers of the counter-based generator (Philox4x32).

Every random number is ``f(seed, stream, step, element, draw)``; nothing is advanced, so results do not depend on
threads or on how a batch is split. Source: "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from engine import ops
from engine.errors import ParameterError, say

SEED_LIMIT = 2**63


def checked_seed(seed: int, subject: str = "seed") -> int:
    """Return ``seed`` if it is a whole number in ``[0, 2**63)``.

    Raises
    ------
    ParameterError
        Otherwise.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < SEED_LIMIT:
        raise ParameterError(say(subject, seed, "must be a whole number", "0 .. 2^63-1", "Give such a seed.", unit="1"))
    return seed


def derive_seed(seed: int, *path: int | str) -> int:
    """Return a seed made from ``seed`` and a path of names and numbers, e.g. ``derive_seed(0, "layer", 3)``.

    Parameters
    ----------
    seed : int
        Parent seed, ``0 .. 2**63 - 1``.
    *path : int or str
        Where in the structure the child stands. Other paths give independent streams.

    Returns
    -------
    int
        Child seed, ``0 .. 2**63 - 1``.

    Examples
    --------
    >>> derive_seed(0, "tile", 1) != derive_seed(0, "tile", 2)
    True
    """
    return derive_seeds([checked_seed(seed)], *path)[0]


def derive_seeds(seeds: Sequence[int], *path: int | str) -> list[int]:
    """Return the children of several seeds by one path, as `derive_seed` makes each."""
    parts = [(1, zlib.crc32(p.encode())) if isinstance(p, str) else (2, checked_seed(p)) for p in path]
    return ops.derive_seeds(seeds, parts)
