# SPDX-License-Identifier: Apache-2.0
"""Loads machine code and launches kernels on torch's current stream, through NVIDIA's driver.

Nothing here runs where `engine.cuda.availability` finds anything missing: without a driver, a call of it can hang.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import torch

from engine.cuda import cache
from engine.cuda.availability import architecture, require
from engine.cuda.program import Program
from engine.errors import CudaError


class DriverLauncher:
    """Launches on one GPU; keeps what it has loaded.

    Parameters
    ----------
    device : torch.device
        A GPU of torch.
    """

    def __init__(self, device: torch.device):
        require(device.index)
        from cuda.bindings import driver

        torch.cuda.init()
        self._driver, self._device = driver, device
        self._arch = architecture(device.index)
        # torch's own context of the GPU. A thread that has not called CUDA yet has none, and would launch nowhere.
        self._context = self._call("cuDevicePrimaryCtxRetain", self._call("cuDeviceGet", device.index))
        self._libraries: dict[Program, Any] = {}
        self._functions: dict[tuple[Program, str], Any] = {}

    def launch(self, program: Program, kernel: str, grid: int, block: int, arguments: Sequence[bytes]) -> None:
        """Start ``kernel`` with ``grid`` blocks of ``block`` threads; each argument is the bytes of its value."""
        with torch.cuda.device(self._device):
            if int(self._call("cuCtxGetCurrent")) != int(self._context):
                self._call("cuCtxSetCurrent", self._context)
            function = self._function(program, kernel)
            values = [ctypes.create_string_buffer(a, len(a)) for a in arguments]
            addresses = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
            stream = torch.cuda.current_stream(self._device).cuda_stream
            self._call("cuLaunchKernel", function, grid, 1, 1, block, 1, 1, 0, stream, ctypes.addressof(addresses), 0)

    def _function(self, program: Program, kernel: str) -> Any:
        known = self._functions.get((program, kernel))
        if known is None:
            found = self._call("cuLibraryGetKernel", self._library(program), kernel.encode())
            known = self._functions[program, kernel] = self._call("cuKernelGetFunction", found)
        return known

    def _library(self, program: Program) -> Any:
        if program not in self._libraries:
            code = cache.machine_code(program, self._arch)
            self._libraries[program] = self._call("cuLibraryLoadData", code, [], [], 0, [], [], 0)
        return self._libraries[program]

    def _call(self, name: str, *arguments: Any) -> Any:
        status, *rest = getattr(self._driver, name)(*arguments)
        if int(status) != 0:
            raise CudaError(f"CUDA driver: {name} gave {status.name}. Run `ohmscape doctor`.")
        return rest[0] if rest else None


def launcher_of(device: torch.device) -> DriverLauncher:
    """Return the launcher of a GPU, the same for all tiles on it."""
    return _launcher_of(torch.cuda.current_device() if device.index is None else device.index)


@functools.cache
def _launcher_of(index: int) -> DriverLauncher:
    return DriverLauncher(torch.device("cuda", index))
