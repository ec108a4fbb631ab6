# SPDX-License-Identifier: Apache-2.0
"""What the tests of the engine share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine import ops


@pytest.fixture
def instruction_set() -> Iterator:
    """Choose the kernels' instruction set; the one in use before is back after the test."""
    before = ops.build_info()["isa"]
    yield ops.use_isa
    ops.use_isa(before)
