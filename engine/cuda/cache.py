# SPDX-License-Identifier: Apache-2.0
"""Machine code kept on disk: compiled once for each source, form, architecture and compiler, then read in milliseconds.

An entry is written under another name and renamed when complete, so processes that compile at once do not disturb each
other. Each entry carries its digest; one that does not fit is compiled again.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from engine.cuda import compiler
from engine.cuda.program import Program, sources_digest

_DIGEST = hashlib.sha256().digest_size
_told: set[Path] = set()


class CacheWarning(UserWarning):
    """Machine code cannot be kept on disk: every process compiles anew."""


def folder() -> Path:
    """Return where machine code is kept: ``OHMSCAPE_CUDA_CACHE``, else a folder in the user's cache."""
    chosen = os.environ.get("OHMSCAPE_CUDA_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ohmscape" / "cuda"


def key(program: Program, arch: str, version: tuple[int, int]) -> str:
    """Return the name of an entry: a digest of all that its machine code depends on."""
    parts = (sources_digest(), program.source, *program.definitions(), *compiler.options(arch), str(version))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def machine_code(program: Program, arch: str, compile_: Callable[[Program, str], bytes] | None = None) -> bytes:
    """Return the machine code of ``program`` for ``arch``, from disk if it is there.

    Raises
    ------
    CudaError
        The compiler is missing or refuses the source.
    """
    path = folder() / f"{key(program, arch, compiler.nvrtc_version())}.cubin"
    kept = _read(path)
    if kept is not None:
        return kept
    code = (compile_ or compiler.compiled)(program, arch)
    _write(path, code)
    return code


def _read(path: Path) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    digest, code = data[:_DIGEST], data[_DIGEST:]
    return code if code and hashlib.sha256(code).digest() == digest else None


def _write(path: Path, code: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.stem, suffix=".part", delete=False) as file:
            try:
                file.write(hashlib.sha256(code).digest() + code)
                file.close()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as problem:
        _tell(path.parent, problem)


def _tell(where: Path, problem: OSError) -> None:
    if where not in _told:
        _told.add(where)
        why = problem.strerror or problem
        warnings.warn(
            f"kernels for the GPU cannot be kept in '{where}' ({why}): every process compiles them anew. "
            "Set OHMSCAPE_CUDA_CACHE to a folder that can be written.",
            CacheWarning,
            stacklevel=4,
        )
