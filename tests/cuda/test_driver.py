# SPDX-License-Identifier: Apache-2.0
"""What the launcher asks of NVIDIA's driver, in which order: with a driver that only writes down what it is told."""

import ctypes
import sys
import types
from contextlib import nullcontext

import pytest
import torch

from engine.cuda import cache, driver, program
from engine.cuda.driver import DriverLauncher
from engine.errors import CudaError

COMMON = program.common_program()
CONTEXT = 77


class Status(int):
    name = "CUDA_ERROR_OUT_OF_PAPER"


class Paper(types.ModuleType):
    """A driver of one GPU; ``calls`` holds what was asked, ``launched`` the bytes of each launch's arguments."""

    def __init__(self):
        super().__init__("cuda.bindings.driver")
        self.calls, self.launched, self.current, self.fails, self.sizes = [], [], 0, "", []

    def answer(self, name, *values):
        self.calls.append(name)
        return (Status(name == self.fails), *values)

    def cuDeviceGet(self, index):
        return self.answer("cuDeviceGet", index)

    def cuDevicePrimaryCtxRetain(self, device):
        return self.answer("cuDevicePrimaryCtxRetain", CONTEXT)

    def cuCtxGetCurrent(self):
        return self.answer("cuCtxGetCurrent", self.current)

    def cuCtxSetCurrent(self, context):
        self.current = context
        return self.answer("cuCtxSetCurrent")

    def cuLibraryLoadData(self, code, *options):
        assert options == ([], [], 0, [], [], 0)
        return self.answer("cuLibraryLoadData", code)

    def cuLibraryGetKernel(self, library, name):
        return self.answer("cuLibraryGetKernel", name)

    def cuKernelGetFunction(self, kernel):
        return self.answer("cuKernelGetFunction", kernel)

    def cuLaunchKernel(self, function, gx, gy, gz, bx, by, bz, shared, stream, parameters, extra):
        table = (ctypes.c_void_p * len(self.sizes)).from_address(parameters)
        arguments = [ctypes.string_at(a, size) for a, size in zip(table, self.sizes, strict=True)]
        self.launched.append((function, (gx, gy, gz), (bx, by, bz), shared, stream, arguments, extra))
        return self.answer("cuLaunchKernel")


@pytest.fixture
def paper(monkeypatch) -> Paper:
    made = Paper()
    package = types.ModuleType("cuda.bindings")
    package.driver = made
    monkeypatch.setitem(sys.modules, "cuda.bindings", package)
    monkeypatch.setitem(sys.modules, "cuda.bindings.driver", made)
    monkeypatch.setattr(driver, "require", lambda index: None)
    monkeypatch.setattr(driver, "architecture", lambda index: "sm_90")
    monkeypatch.setattr(cache, "machine_code", lambda one, arch: f"{one} {arch}".encode())
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device", lambda device: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: types.SimpleNamespace(cuda_stream=4321))
    return made


def test_launch_hands_over_every_argument_on_torchs_stream(paper):
    arguments = [b"12345678", b"abcd", bytes(range(80))]
    paper.sizes = [len(a) for a in arguments]
    DriverLauncher(torch.device("cuda", 0)).launch(COMMON, "ohm_draws", 7, 256, arguments)
    assert paper.launched == [(b"ohm_draws", (7, 1, 1), (256, 1, 1), 0, 4321, arguments, 0)]


def test_library_and_kernel_are_loaded_once(paper):
    launcher = DriverLauncher(torch.device("cuda", 0))
    for kernel in ("ohm_draws", "ohm_draws", "ohm_encode"):
        launcher.launch(COMMON, kernel, 1, 32, [])
    assert paper.calls.count("cuLibraryLoadData") == 1
    assert paper.calls.count("cuKernelGetFunction") == 2
    assert paper.calls.count("cuLaunchKernel") == 3


def test_thread_without_a_context_gets_torchs_before_the_launch(paper):
    launcher = DriverLauncher(torch.device("cuda", 0))
    launcher.launch(COMMON, "ohm_draws", 1, 32, [])
    assert paper.current == CONTEXT
    assert paper.calls.index("cuCtxSetCurrent") < paper.calls.index("cuLibraryLoadData")
    launcher.launch(COMMON, "ohm_draws", 1, 32, [])
    assert paper.calls.count("cuCtxSetCurrent") == 1


@pytest.mark.parametrize("call", ["cuDevicePrimaryCtxRetain", "cuLibraryLoadData", "cuLaunchKernel"])
def test_failure_of_the_driver_is_told_with_its_name(paper, call):
    paper.fails = call
    with pytest.raises(CudaError, match=f"CUDA driver: {call} gave CUDA_ERROR_OUT_OF_PAPER"):
        DriverLauncher(torch.device("cuda", 0)).launch(COMMON, "ohm_draws", 1, 32, [])


def test_gpu_without_a_number_is_torchs_current_one(paper, monkeypatch):
    driver._launcher_of.cache_clear()
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert driver.launcher_of(torch.device("cuda")) is driver.launcher_of(torch.device("cuda", 1))
    assert driver.launcher_of(torch.device("cuda", 0)) is not driver.launcher_of(torch.device("cuda", 1))
    driver._launcher_of.cache_clear()
