# SPDX-License-Identifier: Apache-2.0
"""Memory of tiles, and the memory there is."""

from __future__ import annotations

import os
from pathlib import Path

from engine import ops
from engine.devices.base import Device

_FLOAT = 4
_GROUP = Path("/sys/fs/cgroup")


def tile_bytes(device: Device, crosspoints: int) -> int:
    """Return the bytes of tiles with so many crosspoints of a device: states, per-device values, those in time.

    Parameters
    ----------
    device : Device
    crosspoints : int

    Returns
    -------
    int
        What the tiles hold once they have been trained with; drift, which is called for, needs more.

    Examples
    --------
    >>> from engine import presets
    >>> tile_bytes(presets.load("idealized_symmetric"), 1000)  # bytes
    24000
    """
    arrays = 2 + len(device.cell_names())
    if getattr(device, "diffusion", 0) > 0 or getattr(device, "lifetime", 0) > 0:
        arrays += len(ops.time_schema()["cells"])
    return _FLOAT * arrays * crosspoints


def available_memory() -> int | None:
    """Return the bytes that this process may still take, None where the system does not tell."""
    found = [n for n in (_of_machine(), _of_group()) if n is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    listing = Path("/proc/meminfo")
    if listing.is_file():
        for line in listing.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _of_group() -> int | None:
    """Return what a container's limit leaves; memory that only caches files counts as free."""
    try:
        limit, used = ((_GROUP / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
        stat = dict(line.split() for line in (_GROUP / "memory.stat").read_text(encoding="ascii").splitlines())
    except OSError:
        return None
    return None if limit == "max" else int(limit) - int(used) + int(stat.get("inactive_file", 0))


def shown(count: float) -> str:
    """Return bytes as people read them.

    Examples
    --------
    >>> shown(3 << 20)
    '3.0 MiB'
    """
    for unit in ("B", "KiB", "MiB"):
        if abs(count) < 1024:
            return f"{count:.3g} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
