# SPDX-License-Identifier: Apache-2.0
"""Machine code on disk: compiled once, whoever asks; whatever happens to the folder, kernels still come."""

import os
import subprocess
import sys
import threading
import time
import warnings

import pytest

from engine.cuda import cache, compiler, program
from engine.cuda.cache import CacheWarning
from engine.errors import CudaError

COMMON = program.common_program()


class Compiler:
    """Stands in for NVRTC and counts its calls."""

    def __init__(self, pause_s: float = 0.0):
        self.calls, self._pause_s = 0, pause_s

    def __call__(self, one: program.Program, arch: str) -> bytes:
        self.calls += 1
        time.sleep(self._pause_s)
        return f"code of {one} for {arch}".encode() * 1000


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("OHMSCAPE_CUDA_CACHE", str(tmp_path / "kernels"))
    monkeypatch.setattr(compiler, "nvrtc_version", lambda: (13, 0))
    monkeypatch.setattr(cache, "_told", set())
    return tmp_path / "kernels"


def test_second_call_reads_what_the_first_compiled(folder):
    by = Compiler()
    first = cache.machine_code(COMMON, "sm_90", by)
    began = time.perf_counter()
    second = cache.machine_code(COMMON, "sm_90", by)
    assert time.perf_counter() - began < 0.5  # 0.2 ms measured; a busy machine is no failure
    assert first == second
    assert by.calls == 1
    assert [p.suffix for p in folder.iterdir()] == [".cubin"]


def test_key_depends_on_all_that_the_code_depends_on(monkeypatch):
    other = program.tile_program("soft_bounds", write_noise=True)
    keys = {
        cache.key(COMMON, "sm_90", (13, 0)),
        cache.key(COMMON, "sm_80", (13, 0)),
        cache.key(COMMON, "sm_90", (13, 1)),
        cache.key(other, "sm_90", (13, 0)),
        cache.key(program.tile_program("soft_bounds", write_noise=False), "sm_90", (13, 0)),
    }
    monkeypatch.setattr(compiler, "OPTIONS", (*compiler.OPTIONS, "--use_fast_math"))
    keys.add(cache.key(COMMON, "sm_90", (13, 0)))
    monkeypatch.setattr(cache, "sources_digest", lambda: "other sources")
    keys.add(cache.key(COMMON, "sm_90", (13, 0)))
    assert len(keys) == 7


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 100])
def test_damaged_entry_is_compiled_again_and_replaced(folder, damage):
    by = Compiler()
    code = cache.machine_code(COMMON, "sm_90", by)
    (entry,) = folder.iterdir()
    entry.write_bytes(damage)
    assert cache.machine_code(COMMON, "sm_90", by) == code
    assert by.calls == 2
    assert cache.machine_code(COMMON, "sm_90", by) == code
    assert by.calls == 2


def test_entry_with_one_flipped_bit_is_compiled_again(folder):
    by = Compiler()
    code = cache.machine_code(COMMON, "sm_90", by)
    (entry,) = folder.iterdir()
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 1
    entry.write_bytes(bytes(data))
    assert cache.machine_code(COMMON, "sm_90", by) == code
    assert by.calls == 2


def test_writers_at_once_leave_one_whole_entry(folder):
    by, found = Compiler(pause_s=0.05), []
    writers = [threading.Thread(target=lambda: found.append(cache.machine_code(COMMON, "sm_90", by))) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    (entry,) = folder.iterdir()  # no part of an unfinished one beside it
    assert cache._read(entry) == found[0]


def test_processes_at_once_leave_one_whole_entry(folder):
    """Two real processes with the real compiler, where it is there."""
    code = "from engine.cuda import cache, program;print(len(cache.machine_code(program.common_program(), 'sm_90')))"
    try:
        compiler.nvrtc()
    except CudaError as missing:
        pytest.skip(str(missing))
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=dict(os.environ)) for _ in range(2)
    ]
    sizes = {process.communicate()[0] for process in running}
    assert all(process.returncode == 0 for process in running)
    assert len(sizes) == 1
    (entry,) = folder.iterdir()
    assert len(cache._read(entry)) == int(sizes.pop())


@pytest.fixture
def blocked(tmp_path, monkeypatch):
    """A folder that cannot be made, whoever asks: its parent is a file."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("OHMSCAPE_CUDA_CACHE", str(tmp_path / "file" / "kernels"))


def test_folder_that_cannot_be_written_is_told_once_and_code_still_comes(blocked):
    by = Compiler()
    with pytest.warns(CacheWarning, match=r"cannot be kept in '.*kernels' \(.+\).*Set OHMSCAPE_CUDA_CACHE"):
        code = cache.machine_code(COMMON, "sm_90", by)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache.machine_code(COMMON, "sm_90", by) == code
    assert by.calls == 2


def test_full_disk_leaves_no_part_of_an_entry(folder, monkeypatch):
    def fails(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fails)
    with pytest.warns(CacheWarning, match="No space left"):
        cache.machine_code(COMMON, "sm_90", Compiler())
    assert list(folder.iterdir()) == []


def test_folder_is_the_users_cache_unless_chosen(monkeypatch, tmp_path):
    monkeypatch.delenv("OHMSCAPE_CUDA_CACHE")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "ohmscape" / "cuda"


def test_compiler_needs_neither_torch_nor_the_extension():
    """A machine that only compiles (to fill a cache, say) has the wheel, cuda-bindings and NVRTC."""
    code = (
        "import sys; sys.modules['torch'] = sys.modules['engine._core'] = None;"
        "from engine.cuda import cache, compiler, program; print(program.common_program().kernels())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "ohm_encode" in done.stdout
