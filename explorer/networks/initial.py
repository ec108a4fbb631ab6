# SPDX-License-Identifier: Apache-2.0
"""Initial weights that are fixed by a seed."""

from __future__ import annotations

from collections.abc import Callable

import torch


def seeded(make: Callable[[], torch.nn.Module], seed: int) -> torch.nn.Module:
    """Return what ``make`` builds, torch's own initial weights drawn with ``seed``; the global stream is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()
