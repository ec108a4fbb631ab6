# SPDX-License-Identifier: Apache-2.0
"""From a program to machine code for one GPU architecture, by NVIDIA's run-time compiler (NVRTC).

Needs no GPU, no driver and no CUDA toolkit: the packages ``cuda-bindings`` and ``nvidia-cuda-nvrtc`` are enough.
"""

from __future__ import annotations

import functools
from typing import Any

from engine.cuda.program import SOURCES, Program
from engine.errors import CudaError

# No fused multiply-add, as on the CPU: the same seed gives the same bits. Division, square root and small numbers are
# exact by default. Functions without annotation (names of parameters) count as the GPU's.
OPTIONS = ("--std=c++17", "--fmad=false", "-default-device", "-DOHM_ISA=cuda")


@functools.cache
def nvrtc() -> Any:
    """Return the module ``cuda.bindings.nvrtc``, its library loaded.

    Raises
    ------
    CudaError
        The package or its library is missing.
    """
    try:
        from cuda.bindings import nvrtc as module
    except ImportError as problem:
        raise CudaError(
            f"cuda-bindings: not installed ({problem}). Install it: pip install 'ohmscape[cuda]'."
        ) from problem
    try:
        module.nvrtcVersion()
    except Exception as problem:  # the loader's own classes, which differ from version to version
        raise CudaError(
            f"NVRTC: the library was not found ({_one_line(problem)}). Install it: pip install 'ohmscape[cuda]'."
        ) from problem
    return module


def nvrtc_version() -> tuple[int, int]:
    """Return the compiler's CUDA version, such as ``(13, 0)``."""
    major, minor = _checked(nvrtc().nvrtcVersion())
    return int(major), int(minor)


def supported() -> list[int]:
    """Return the architectures that the compiler knows: 80 is sm_80."""
    (known,) = _checked(nvrtc().nvrtcGetSupportedArchs())
    return sorted(int(a) for a in known if a)


def options(arch: str) -> list[str]:
    """Return the compiler's options for ``arch``, such as ``sm_90``, without a program's constants."""
    return [f"--gpu-architecture={arch}", *OPTIONS]


def compiled(program: Program, arch: str) -> bytes:
    """Return the machine code (cubin) of ``program`` for ``arch``, such as ``sm_90``.

    Raises
    ------
    CudaError
        The compiler is missing, or refuses the source: the message holds what it says.
    """
    module = nvrtc()
    (handle,) = _checked(module.nvrtcCreateProgram(program.text.encode(), str(program.path).encode(), 0, [], []))
    try:
        given = [*options(arch), f"--include-path={SOURCES}", *program.definitions()]
        (status,) = module.nvrtcCompileProgram(handle, len(given), [o.encode() for o in given])
        if int(status) != 0:
            raise CudaError(f"{program} for {arch}: does not compile.\n{_log(handle)}")
        (size,) = _checked(module.nvrtcGetCUBINSize(handle))
        code = b" " * size
        _checked(module.nvrtcGetCUBIN(handle, code))
        return code
    finally:
        module.nvrtcDestroyProgram(handle)


def _log(handle: Any) -> str:
    module = nvrtc()
    (size,) = _checked(module.nvrtcGetProgramLogSize(handle))
    text = b" " * size
    _checked(module.nvrtcGetProgramLog(handle, text))
    return text.decode(errors="replace").strip(" \0\n")


def _checked(answer: tuple) -> tuple:
    """Return what a call of NVRTC gave besides its status; raise if that is an error."""
    status, *rest = answer
    if int(status) != 0:
        raise CudaError(f"NVRTC: {status.name}. Run `ohmscape doctor`.")
    return tuple(rest)


def _one_line(problem: BaseException) -> str:
    return " ".join(str(problem).split())[:200]
