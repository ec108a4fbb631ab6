# SPDX-License-Identifier: Apache-2.0
"""Time and memory of this process, and the spread of several figures; the peer's process measures with it too."""

from __future__ import annotations

import ctypes
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Clocked(NamedTuple):
    """Seconds of one call: on the wall, and of all the process's threads together (which other load hardly moves)."""

    wall_s: float
    cpu_s: float


def clock(call: Callable[[], object], number: int = 1) -> Clocked:
    """Return the mean time of ``number`` successive calls."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(number):
        call()
    cpu = time.process_time() - cpu
    return Clocked((time.perf_counter() - wall) / number, cpu / number)


def calls_for(call: Callable[[], object], shortest_s: float) -> int:
    """Return how many calls make up at least about ``shortest_s``: a clock's tick must not be seen in the result."""
    return max(1, round(shortest_s / max(clock(call).wall_s, 1e-9)))


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Return smallest, median and largest of ``values``."""
    return min(values), statistics.median(values), max(values)


_MMAP_THRESHOLD = -3  # glibc's M_MMAP_THRESHOLD
_OWN_PAGES_FROM = 1 << 16


def growth(make: Callable[[], object]) -> int:
    """Return by how many bytes the process grows while what ``make`` returns is alive (Linux with glibc).

    Large blocks get pages of their own and free ones go back first: otherwise a block could take the place of one that
    was freed before and not be seen.
    """
    library = ctypes.CDLL(None)
    library.mallopt(_MMAP_THRESHOLD, _OWN_PAGES_FROM)
    library.malloc_trim(0)
    before = resident()
    made = make()
    grown = resident() - before
    del made
    return grown


def resident() -> int:
    """Return the process's resident memory, bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
