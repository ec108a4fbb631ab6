# SPDX-License-Identifier: Apache-2.0
"""Where the tests of the GPU's kernels run: on the CPU, emulated, and on a GPU if there is one."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
from emulated import Emulator

from engine.cuda.availability import availability

Place = Callable[[], AbstractContextManager[str]]


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Emulator:
    """Kernels on the CPU; each form is compiled once, also where several processes share the tests."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "emulated"
    folder.mkdir(exist_ok=True)
    return Emulator(folder)


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
