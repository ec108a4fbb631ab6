# SPDX-License-Identifier: Apache-2.0
"""What the figures of a benchmark depend on, as far as the machine and the build go."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

import numpy
import torch

from engine import ops

ROOT = Path(__file__).resolve().parents[1]


def machine() -> dict:
    """Return CPU, memory, build, versions and commit; nothing that names the computer or its user."""
    info = ops.build_info()
    return {
        "cpu": _first_line(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine(),
        "logical_cores": os.cpu_count(),
        "caches": _caches(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "isa": info["isa"],
        "compiler": info["compiler"],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "ohmscape": info["version"],
        "commit": _commit(),
    }


def load() -> float:
    """Return the mean number of processes that wanted a core in the last minute."""
    return os.getloadavg()[0]


def file_stem() -> str:
    """Return the CPU's name as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", machine()["cpu"].lower().split("@")[0]).strip("-")


def _first_line(path: Path, name: str) -> str:
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _caches() -> dict[str, str]:
    found = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        found[f"L{level}{'' if kind == 'Unified' else kind[0].lower()}"] = size
    return found


def _commit() -> str:
    """Return the short hash, with ``+`` if the work tree differs; empty outside a repository."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()
