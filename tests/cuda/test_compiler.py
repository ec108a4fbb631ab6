# SPDX-License-Identifier: Apache-2.0
"""Every kernel of every device class compiles for three generations of GPUs, without having any of them."""

import fnmatch
import os
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine import devices, ops
from engine.cuda import compiler, program
from engine.cuda.program import SOURCES, Program, block_shape
from engine.errors import CudaError

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
HEADERS = sorted(p.stem for p in (SOURCES / "devices").glob("*.h"))
# Nothing in the sources asks for the architecture, so one is enough for a class, each in turn; the first has all.
FORMS = [(stem, ARCHITECTURES[i % 3]) for i, stem in enumerate(HEADERS)]
FORMS += [(HEADERS[0], arch) for arch in ARCHITECTURES if (HEADERS[0], arch) not in FORMS]
WITHOUT_A_DEVICE = (program.common_program(), program.product_program(), program.vectors_program())
ELF = b"\x7fELF"
Code = dict[tuple[Program, str], bytes | CudaError]


@pytest.fixture(scope="module", autouse=True)
def run_time_compiler() -> None:
    try:
        compiler.nvrtc()
    except CudaError as missing:
        pytest.skip(str(missing))


def programs(stem: str) -> list[Program]:
    """Return the most general form of each of a device's programs."""
    update, _ = program.update_program(stem, write_noise=True, counts=True, kind=0, words=1, columns=1024)
    return [program.tile_program(stem, write_noise=True), update]


@pytest.fixture(scope="module")
def compiled() -> Code:
    """Machine code of all devices, made on all cores."""

    def one(what: tuple[Program, str]) -> bytes | CudaError:
        try:
            return compiler.compiled(*what)
        except CudaError as problem:
            return problem

    wanted = [(p, arch) for stem, arch in FORMS for p in programs(stem)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(wanted, pool.map(one, wanted), strict=True))


def test_every_device_class_has_a_program():
    assert {devices.get(s).header() for s in devices.names()} == set(HEADERS)


def test_sources_do_not_ask_for_the_architecture():
    sources = [p for p in SOURCES.rglob("*") if p.suffix in {".cu", ".cuh", ".h"}]
    assert len(sources) > len(HEADERS)
    assert [p for p in sources if "__CUDA_ARCH__" in p.read_text(encoding="utf-8")] == []


@pytest.mark.parametrize(("stem", "arch"), FORMS)
def test_kernels_of_every_device_compile(stem, arch, compiled):
    for one in programs(stem):
        code = compiled[one, arch]
        assert isinstance(code, bytes), code
        assert code.startswith(ELF)
        for kernel in one.kernels():
            assert b".text." + kernel.encode() in code


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("one", WITHOUT_A_DEVICE, ids=str)
def test_kernels_without_a_device_compile(one, arch):
    code = compiler.compiled(one, arch)
    assert len(one.kernels()) >= 2
    assert all(b".text." + kernel.encode() in code for kernel in one.kernels())


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("columns", [1, 100, 500])
def test_every_form_of_the_update_compiles(kind, columns):
    one, _ = program.update_program(
        "soft_bounds", write_noise=False, counts=False, kind=kind, words=4 if kind == 0 else 1, columns=columns
    )
    assert compiler.compiled(one, "sm_90").startswith(ELF)


def test_kernel_compiles_in_seconds():
    """50 ms to a second on the machines this was written on; the limit leaves room for a busy one."""
    update, _ = program.update_program("constant_step", write_noise=False, counts=False, kind=0, words=1, columns=512)
    began = time.process_time()
    compiler.compiled(update, "sm_90")
    assert time.process_time() - began < 5


def test_source_that_does_not_compile_is_refused_with_the_compilers_words():
    with pytest.raises(CudaError, match=r"(?s)tile.cu .*for sm_90: does not compile.*devices/nothing.h"):
        compiler.compiled(program.tile_program("nothing", write_noise=False), "sm_90")


def test_header_of_other_sources_than_the_extension_is_refused():
    """Arrays of a tile are addressed by position, so their number must be the header's."""
    with pytest.raises(CudaError, match="built from other sources"):
        compiler.compiled(program.tile_program("soft_bounds", write_noise=False, cells=3), "sm_90")
    cells = len(ops.schema("soft_bounds")["cells"])
    assert compiler.compiled(program.tile_program("soft_bounds", write_noise=False, cells=cells), "sm_90")


def test_compiler_knows_its_version_and_architectures():
    assert compiler.nvrtc_version() >= (12, 8)  # the first with sm_100
    assert {80, 90, 100} <= set(compiler.supported())


@pytest.mark.parametrize(
    ("columns", "shape"), [(1, (32, 1)), (33, (64, 1)), (70, (128, 1)), (256, (256, 1)), (257, (256, 2)),
                           (513, (256, 4)), (1024, (256, 4)), (5000, (256, 4))]
)  # fmt: skip
def test_block_has_a_thread_for_every_column_of_a_span(columns, shape):
    assert block_shape(columns) == shape
    assert shape[0] * shape[1] >= min(columns, ops.SPAN)
    assert ops.SPAN == program.SPAN


def test_wheel_keeps_every_source_that_is_compiled():
    """The build leaves out what only the extension needs; nothing that a program includes may match."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    left_out = project["tool"]["scikit-build"]["wheel"]["exclude"]
    sources = [p for p in SOURCES.rglob("*") if p.suffix in (".h", ".cu")]
    names = [p.relative_to(SOURCES.parent.parent).as_posix() for p in sources]
    assert "engine/csrc/cuda/update.cu" in names
    assert [n for n in names for pattern in left_out if fnmatch.fnmatch(n, pattern.replace("**", "*"))] == []
