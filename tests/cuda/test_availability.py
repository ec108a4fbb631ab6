# SPDX-License-Identifier: Apache-2.0
"""What is missing for a GPU is said exactly; no driver is called where there is none."""

import sys
import types

import pytest
import torch

from engine.cuda import availability as found
from engine.cuda import compiler
from engine.errors import CudaError, ParameterError
from engine.tiles import Tile


@pytest.fixture
def machine(monkeypatch) -> pytest.MonkeyPatch:
    """A machine with all that is needed; a test takes something away."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(found, "_driver_is_there", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index=None: "test GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index=None: (9, 0))
    monkeypatch.setattr(compiler, "nvrtc_version", lambda: (13, 0))
    monkeypatch.setattr(compiler, "supported", lambda: [75, 80, 86, 90, 100])
    monkeypatch.setattr(found, "_driver_version", lambda: (13, 0))
    compiler.nvrtc.cache_clear()
    yield monkeypatch
    compiler.nvrtc.cache_clear()


def never(*_):
    raise AssertionError("the driver was called")


def test_all_there_is_available(machine):
    assert found.availability() == found.Availability("available", "test GPU, sm_90")
    assert found.architecture() == "sm_90"
    found.require(0)


def test_cpu_build_of_torch_is_not_built(machine):
    machine.setattr(torch.version, "cuda", None)
    machine.setattr(torch.cuda, "is_available", never)
    answer = found.availability()
    assert answer.state == "not built"
    assert "torch is a CPU build" in answer.text


def test_missing_driver_is_told_and_not_called(machine):
    machine.setattr(found, "_driver_is_there", lambda: False)
    machine.setattr(torch.cuda, "is_available", never)
    assert found.availability().state == "no driver"


def test_missing_gpu_is_told(machine):
    machine.setattr(torch.cuda, "is_available", lambda: False)
    assert found.availability().state == "no GPU"


def test_index_beyond_the_last_gpu_is_told(machine):
    assert found.availability(1) == found.Availability(
        "no GPU", "there is no GPU 1, torch sees 1", "Choose another index."
    )


def test_old_gpu_is_told_with_its_capability(machine):
    machine.setattr(torch.cuda, "get_device_capability", lambda index=None: (7, 5))
    answer = found.availability()
    assert answer.state == "GPU too old"
    assert "compute capability 7.5" in answer.text
    assert "8.0 or newer" in answer.remedy


def test_missing_bindings_are_told(machine):
    machine.undo()
    machine.setattr(torch.version, "cuda", "13.0")
    machine.setattr(found, "_driver_is_there", lambda: True)
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setattr(torch.cuda, "get_device_capability", lambda index=None: (9, 0))
    machine.setitem(sys.modules, "cuda.bindings", None)
    compiler.nvrtc.cache_clear()
    answer = found.availability()
    assert answer.state == "no cuda-bindings"
    assert answer.remedy == "Install it: pip install 'ohmscape[cuda]'."


def test_missing_compiler_is_told(machine):
    class Loader(types.ModuleType):
        def nvrtcVersion(self):
            raise RuntimeError("libnvrtc.so.13 could not be found")

    machine.undo()
    machine.setattr(torch.version, "cuda", "13.0")
    machine.setattr(found, "_driver_is_there", lambda: True)
    machine.setattr(torch.cuda, "is_available", lambda: True)
    machine.setattr(torch.cuda, "get_device_capability", lambda index=None: (9, 0))
    package = types.ModuleType("cuda.bindings")
    package.nvrtc = Loader("cuda.bindings.nvrtc")
    machine.setitem(sys.modules, "cuda.bindings", package)
    machine.setitem(sys.modules, "cuda.bindings.nvrtc", package.nvrtc)
    compiler.nvrtc.cache_clear()
    answer = found.availability()
    assert answer.state == "no NVRTC"
    assert "libnvrtc.so.13" in answer.text


def test_compiler_newer_than_the_driver_is_told(machine):
    machine.setattr(found, "_driver_version", lambda: (12, 8))
    answer = found.availability()
    assert answer.state == "NVRTC does not fit"
    assert answer.text == "NVRTC is of CUDA 13.0, the driver is for CUDA 12.8"


def test_compiler_older_than_the_gpu_is_told(machine):
    machine.setattr(torch.cuda, "get_device_capability", lambda index=None: (12, 0))
    answer = found.availability()
    assert answer.state == "NVRTC does not fit"
    assert "does not know test GPU" in answer.text


def test_gpu_newer_than_the_compiler_within_its_generation_gets_the_code_of_an_older_one(machine):
    machine.setattr(torch.cuda, "get_device_capability", lambda index=None: (8, 9))
    assert found.architecture() == "sm_86"


def test_tile_on_a_missing_gpu_is_refused_with_what_is_missing(machine):
    machine.setattr(torch.version, "cuda", None)
    with pytest.raises(CudaError, match="torch_device = cuda: not built: torch is a CPU build"):
        Tile(2, 3, torch_device="cuda")


@pytest.mark.parametrize("place", ["mps", "meta", "nowhere", "cuda:x"])
def test_tile_on_an_unknown_device_is_refused(place):
    with pytest.raises(ParameterError, match=rf"torch_device = '{place}': is no place for a tile"):
        Tile(2, 3, torch_device=place)


def test_work_goes_to_the_gpu_that_is_there_and_says_so(machine):
    machine.delenv("OHMSCAPE_DEVICE", raising=False)
    assert found.preferred() == "cuda"
    assert found.told() == "on the GPU (test GPU, sm_90)"


@pytest.mark.parametrize("why", ["not built", "GPU too old"])
def test_work_goes_to_the_cpu_where_no_package_would_bring_a_gpu_and_says_why(machine, why):
    machine.delenv("OHMSCAPE_DEVICE", raising=False)
    if why == "not built":
        machine.setattr(torch.version, "cuda", None)
    else:
        machine.setattr(torch.cuda, "get_device_capability", lambda index=None: (7, 5))
    assert found.preferred() == "cpu"
    assert found.told() == f"on the CPU ({why})"


def test_gpu_that_lies_idle_for_want_of_a_package_is_not_replaced_by_the_cpu_unless_told_to(machine):
    machine.delenv("OHMSCAPE_DEVICE", raising=False)
    machine.setattr(found, "_driver_version", lambda: (12, 8))
    with pytest.raises(CudaError, match=r"NVRTC does not fit.* Or set OHMSCAPE_DEVICE=cpu"):
        found.preferred()
    assert "NVRTC does not fit" in found.told()
    machine.setenv("OHMSCAPE_DEVICE", "cpu")
    assert found.preferred() == "cpu"
    assert found.told() == "on the CPU (OHMSCAPE_DEVICE=cpu)"


def test_gpu_that_was_asked_for_and_is_not_there_is_refused(machine):
    machine.setattr(torch.version, "cuda", None)
    machine.setenv("OHMSCAPE_DEVICE", "cuda")
    with pytest.raises(CudaError, match="OHMSCAPE_DEVICE = cuda: not built"):
        found.preferred()
    machine.setenv("OHMSCAPE_DEVICE", "gpu")
    with pytest.raises(ParameterError, match="OHMSCAPE_DEVICE = 'gpu': is not an option"):
        found.preferred()
