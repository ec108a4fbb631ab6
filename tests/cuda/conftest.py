# SPDX-License-Identifier: Apache-2.0
"""Where the tests of the GPU's kernels run: on the CPU, emulated, and on a GPU if there is one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
from emulated import Emulator

from engine.cuda.availability import availability

Place = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """Kernels on the CPU; each form is compiled once a session."""
    return Emulator(tmp_path_factory.mktemp("emulated"))


@pytest.fixture
def a_gpu() -> str:
    """The device of torch; skips with what is missing."""
    found = availability()
    if found.state != "available":
        pytest.skip(f"{found.state}: {found.text}")
    return "cuda"


@pytest.fixture(params=["emulated", "GPU"])
def place(request: pytest.FixtureRequest) -> Place:
    """Call it for a context in which tiles on the device that it gives are computed by the GPU's kernels."""
    if request.param == "GPU":
        device = request.getfixturevalue("a_gpu")
        return lambda: nullcontext(device)
    return request.getfixturevalue("emulator").instead_of_a_gpu
