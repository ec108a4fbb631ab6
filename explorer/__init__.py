# SPDX-License-Identifier: Apache-2.0
"""Experiments, results, jobs and views on top of ``engine``; ``DeviceLab`` is the lab for a notebook cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from explorer.labs.device_lab import DeviceLab

__all__ = ["DeviceLab"]


def __getattr__(name: str) -> Any:
    if name != "DeviceLab":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from explorer.labs.device_lab import DeviceLab  # loads the whole GUI, which scripts do without

    return DeviceLab
