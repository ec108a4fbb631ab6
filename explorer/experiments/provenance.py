# SPDX-License-Identifier: Apache-2.0
"""Where a dataset comes from: parameters, seed, versions, times, machine."""

from __future__ import annotations

import functools
import os
import platform
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.experiments.base import Experiment


@functools.cache
def package_version(name: str = "ohmscape") -> str:
    """Return the version of an installed distribution, or ``"not installed"`` (a bare source tree)."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


@functools.cache
def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine() -> str:
    """Return system, processor and number of logical cores; no host or user name."""
    return f"{platform.system()} {platform.machine()}, {_processor()}, {os.cpu_count()} logical cores"


def _stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


class Clock:
    """Started with the work, asked for the provenance at its end."""

    def __init__(self):
        self.started = _stamp()
        self._begin = time.perf_counter()

    def provenance(self, experiment: Experiment) -> dict[str, Any]:
        """Return the attributes of a finished dataset.

        Returns
        -------
        dict
            ``experiment`` (JSON of class and parameters), ``experiment_class``, ``content_id``,
            ``seed``, ``ohmscape_version``, ``python_version``, ``numpy_version``, ``torch_version``,
            ``started`` and ``finished`` (ISO 8601, UTC), ``wall_time_s``, ``machine``.
        """
        return {
            "experiment": experiment.to_json(),
            "experiment_class": type(experiment).__name__,
            "content_id": experiment.content_id,
            "seed": int(experiment.seed),
            "ohmscape_version": package_version(),
            "python_version": platform.python_version(),
            "numpy_version": package_version("numpy"),
            "torch_version": package_version("torch"),
            "started": self.started,
            "finished": _stamp(),
            "wall_time_s": time.perf_counter() - self._begin,
            "machine": machine(),
        }
