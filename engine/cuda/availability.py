# SPDX-License-Identifier: Apache-2.0
"""Whether a GPU can be used, and if not, exactly what is missing."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass

from engine.cuda import compiler
from engine.errors import CudaError, ParameterError, say

OLDEST = (8, 0)
"""Compute capability from which kernels are compiled and tested: Ampere, 2020."""
NO_USABLE_GPU = ("not built", "no driver", "no GPU", "GPU too old")
"""States in which no package that could be installed would bring a GPU."""
_INSTALL = "Install it: pip install 'ohmscape[cuda]'."


@dataclass(frozen=True)
class Availability:
    """What was found, from torch to the compiler; the first thing missing decides.

    Attributes
    ----------
    state : str
        ``available``, ``not built``, ``no driver``, ``no GPU``, ``GPU too old``, ``no cuda-bindings``, ``no NVRTC`` or
        ``NVRTC does not fit``.
    text : str
        One sentence.
    remedy : str
        What to do, empty if nothing.
    """

    state: str
    text: str
    remedy: str = ""


def availability(index: int | None = None) -> Availability:
    """Return whether GPU ``index`` (torch's current one if None) can be used; loads no driver where there is none."""
    missing = _of_torch() or _of_gpu(index) or _of_compiler(index)
    return missing or Availability("available", f"{gpu_name(index)}, {architecture(index)}")


def require(index: int | None = None) -> None:
    """Raise `CudaError` that says what is missing if a GPU cannot be used."""
    found = availability(index)
    if found.state != "available":
        raise CudaError(f"torch_device = cuda: {found.state}: {found.text}. {found.remedy}")


def preferred() -> str:
    """Return where work that does not say goes: ``cuda`` if there is a GPU, else ``cpu``; ``OHMSCAPE_DEVICE`` decides.

    Raises
    ------
    CudaError
        There is a GPU but a package is missing or does not fit, or ``OHMSCAPE_DEVICE=cuda`` and there is none: the CPU
        does not step in unasked.
    ParameterError
        ``OHMSCAPE_DEVICE`` is something else than ``auto``, ``cpu`` or ``cuda``.
    """
    asked = os.environ.get("OHMSCAPE_DEVICE", "auto")
    if asked not in ("auto", "cpu", "cuda"):
        raise ParameterError(
            say("OHMSCAPE_DEVICE", asked, "is not an option", "auto, cpu, cuda", "Choose one of these.")
        )
    if asked == "cpu":
        return "cpu"
    found = availability()
    if found.state == "available":
        return "cuda"
    if asked == "auto" and found.state in NO_USABLE_GPU:
        return "cpu"
    raise CudaError(
        f"OHMSCAPE_DEVICE = {asked}: {found.state}: {found.text}. {found.remedy} Or set OHMSCAPE_DEVICE=cpu."
    )


def told() -> str:
    """Return in one line where `preferred` sends work, and why, for a status line."""
    try:
        where = preferred()
    except (CudaError, ParameterError) as problem:
        return str(problem)
    if where == "cuda":
        return f"on the GPU ({availability().text})"
    asked = os.environ.get("OHMSCAPE_DEVICE") == "cpu"
    return f"on the CPU ({'OHMSCAPE_DEVICE=cpu' if asked else availability().state})"


def _of_torch() -> Availability | None:
    import torch

    if torch.version.cuda is None:
        return Availability("not built", "torch is a CPU build; Ohmscape computes on the CPU",
                            "For a GPU, install a CUDA build of torch (see pytorch.org).")  # fmt: skip
    built = f"torch is built for CUDA {torch.version.cuda}"
    if not _driver_is_there():
        return Availability("no driver", f"{built}, but there is no NVIDIA driver", "Install the driver.")
    if not torch.cuda.is_available():
        return Availability("no GPU", f"{built} and there is a driver, but no usable GPU",
                            "See what `nvidia-smi` says; CUDA_VISIBLE_DEVICES may hide it.")  # fmt: skip
    return None


def _driver_is_there() -> bool:
    """Only load the library: a driver call without a driver can hang."""
    try:
        ctypes.CDLL("libcuda.so.1" if sys.platform == "linux" else "nvcuda.dll")
    except OSError:
        return False
    return True


def _of_gpu(index: int | None) -> Availability | None:
    import torch

    if index is not None and index >= torch.cuda.device_count():
        return Availability("no GPU", f"there is no GPU {index}, torch sees {torch.cuda.device_count()}",
                            "Choose another index.")  # fmt: skip
    capability = torch.cuda.get_device_capability(index)
    if capability < OLDEST:
        shown = ".".join(map(str, capability))
        return Availability("GPU too old", f"{gpu_name(index)} has compute capability {shown}",
                            f"Use a GPU of compute capability {OLDEST[0]}.{OLDEST[1]} or newer.")  # fmt: skip
    return None


def _of_compiler(index: int | None) -> Availability | None:
    try:
        version = compiler.nvrtc_version()
    except CudaError as problem:
        state = "no NVRTC" if str(problem).startswith("NVRTC") else "no cuda-bindings"
        return Availability(state, str(problem).partition(". Install")[0], _INSTALL)
    driver = _driver_version()
    if version[0] > driver[0]:
        return _misfit(version, f"the driver is for CUDA {driver[0]}.{driver[1]}", "Update the driver, or install "
                       f"nvidia-cuda-nvrtc of CUDA {driver[0]}.")  # fmt: skip
    if _best_architecture(index) is None:
        return _misfit(version, f"it does not know {gpu_name(index)}", "Install a newer nvidia-cuda-nvrtc.")
    return None


def _misfit(version: tuple[int, int], why: str, remedy: str) -> Availability:
    return Availability("NVRTC does not fit", f"NVRTC is of CUDA {version[0]}.{version[1]}, {why}", remedy)


def _driver_version() -> tuple[int, int]:
    """Return the newest CUDA version the driver supports; asked only where torch found a usable GPU."""
    from cuda.bindings import driver

    status, number = driver.cuDriverGetVersion()
    if int(status) != 0:
        raise CudaError(f"CUDA driver: cuDriverGetVersion gave {status.name}. See what `nvidia-smi` says.")
    return number // 1000, number % 1000 // 10


def gpu_name(index: int | None = None) -> str:
    """Return the GPU's name."""
    import torch

    return torch.cuda.get_device_name(index)


def architecture(index: int | None = None) -> str:
    """Return the architecture to compile for, such as ``sm_90``."""
    best = _best_architecture(index)
    if best is None:
        raise CudaError(f"NVRTC: does not know {gpu_name(index)}. Install a newer nvidia-cuda-nvrtc.")
    return f"sm_{best}"


def _best_architecture(index: int | None) -> int | None:
    """The GPU's own, or an older one of its generation, whose machine code it runs as well."""
    import torch

    major, minor = torch.cuda.get_device_capability(index)
    fitting = [a for a in compiler.supported() if a // 10 == major and a % 10 <= minor]
    return max(fitting, default=None)
