# SPDX-License-Identifier: Apache-2.0
"""How many threads torch and the kernels take while something runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch and the kernels have so many threads in this thread; results are the same bits for any number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
