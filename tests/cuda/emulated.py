# SPDX-License-Identifier: Apache-2.0
"""The GPU's kernels on the CPU: the same sources, compiled by the host's compiler, block by block and thread by thread.

`Emulator` takes the place of `engine.cuda.driver.DriverLauncher`. All else (arguments, grids, scratch memory) is what
runs on a GPU too.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import ops
from engine.cuda import arrays
from engine.cuda.program import SOURCES, Program

GRID = Path(__file__).resolve().parent / "emulator" / "grid.h"
FLAGS = ("-O1", "-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror",
         "-Wno-unknown-pragmas", "-Wno-deprecated-declarations", "-DOHM_ISA=emulated")  # fmt: skip
ENTRY = """
extern "C" void ohm_emulate(const char* name, unsigned grid, unsigned block, void** arguments, bool backwards) {{
{cases}
  emulator::stop("there is no such kernel");
}}
"""
CASE = '  if (!std::strcmp(name, "{0}")) return emulator::start({0}, grid, block, arguments, {1}, backwards);'


def host_compiler() -> str:
    """Return the host's compiler, or skip."""
    found = shutil.which("g++") or shutil.which("c++") or shutil.which("clang++")
    if found is None:
        pytest.skip("no C++ compiler (g++, c++ or clang++) on the path")
    return found


class Emulator:
    """Launches kernels on the CPU.

    Parameters
    ----------
    folder : Path
        Where compiled programs are put; of one run of the tests, as the name of a program does not tell the headers.
        Several processes may share it.

    Attributes
    ----------
    backwards : bool
        The last thread of a block goes first. A result that depends on it is a race.
    """

    def __init__(self, folder: Path):
        self._folder, self._libraries = folder, {}
        self.backwards = False

    def launch(self, program: Program, kernel: str, grid: int, block: int, arguments: Sequence[bytes]) -> None:
        """Run ``kernel`` to its end; as `engine.cuda.arrays.Launcher`."""
        values = [ctypes.create_string_buffer(a, len(a)) for a in arguments]
        addresses = (ctypes.c_void_p * len(values))(*(ctypes.addressof(v) for v in values))
        run = self._library(program).ohm_emulate
        run.argtypes = (ctypes.c_char_p, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_bool)
        run(kernel.encode(), grid, block, addresses, self.backwards)

    def prepare(self, programs: Sequence[Program]) -> None:
        """Compile several programs on all cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for program, path in zip(programs, pool.map(self._built, programs), strict=True):
                self._libraries[program] = ctypes.CDLL(str(path))

    def _library(self, program: Program) -> ctypes.CDLL:
        if program not in self._libraries:
            self._libraries[program] = ctypes.CDLL(str(self._built(program)))
        return self._libraries[program]

    def _built(self, program: Program) -> Path:
        """Compile a program; threads get stacks of their own where they have something to share."""
        meets = "true" if "__shared__" in program.text else "false"
        cases = "\n".join(CASE.format(name, meets) for name in program.kernels())
        text = f'#include "cuda/{program.source}"\n' + ENTRY.format(cases=cases)
        command = [host_compiler(), *FLAGS, f"-include{GRID}", f"-I{SOURCES}", *program.definitions()]
        library = self._folder / f"{hashlib.sha256(repr((text, command)).encode()).hexdigest()}.so"
        if not library.exists():
            folder = Path(tempfile.mkdtemp(dir=self._folder))
            source, made = folder / "program.cpp", folder / "program.so"
            source.write_text(text)
            done = subprocess.run([*command, str(source), "-o", str(made)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            made.replace(library)  # at once, as another process may look for it
        return library

    @contextmanager
    def instead_of_a_gpu(self) -> Iterator[str]:
        """Within, what is made on the CPU is computed by the GPU's kernels; gives the device of torch to ask for."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ops, "on_gpu", lambda device: True)
            patch.setattr(arrays, "launcher_of", lambda device: self)
            yield "cpu"
