# SPDX-License-Identifier: Apache-2.0
"""What is compiled for a GPU: a source file, the constants it is compiled with, and the headers it includes."""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "csrc"
SPAN = 1024  # columns of a block of threads in an update; engine/csrc/kernels/line.h
_MOST_THREADS = 256
_WARP = 32


@dataclass(frozen=True)
class Program:
    """A source file below ``engine/csrc/cuda`` and the constants that make one of its forms.

    Attributes
    ----------
    source : str
        Name of the file, such as ``tile.cu``.
    constants : tuple of (str, str)
        Names and values of macros.
    """

    source: str
    constants: tuple[tuple[str, str], ...] = ()

    @property
    def path(self) -> Path:
        """The file."""
        return SOURCES / "cuda" / self.source

    @property
    def text(self) -> str:
        """The file's text."""
        return self.path.read_text(encoding="utf-8")

    def kernels(self) -> list[str]:
        """Return the names of the kernels in the file."""
        return re.findall(r"OHM_KERNEL void (?:__launch_bounds__\(\w+\)\s*)?(\w+)\(", self.text)

    def definitions(self) -> list[str]:
        """Return the constants as a compiler's options."""
        return [f"-D{name}={value}" for name, value in self.constants]

    def __str__(self) -> str:
        return " ".join([self.source, *(f"{name}={value}" for name, value in self.constants)])


def class_of(stem: str) -> str:
    """Return the name of the C++ class in ``devices/<stem>.h``."""
    return "".join(word.capitalize() for word in stem.split("_"))


def common_program() -> Program:
    """Return the kernels without a device: pulse trains, coincidences, floating-point update, random numbers."""
    return Program("common.cu")


def product_program() -> Program:
    """Return the kernels of the analog product that treat each input and output by itself."""
    return Program("product.cu")


def vectors_program() -> Program:
    """Return the kernels of the analog product that look at whole vectors: scales, sums."""
    return Program("vectors.cu")


def tile_program(stem: str, *, write_noise: bool, cells: int | None = None) -> Program:
    """Return the kernels of one device class that treat each crosspoint by itself.

    ``cells``, where given, is the number of per-device arrays that the header must have: an extension built from
    other sources is noticed when kernels are compiled, not by wrong addresses.
    """
    return Program("tile.cu", _device(stem, write_noise, cells))


def update_program(
    stem: str, *, write_noise: bool, counts: bool, kind: int, words: int, columns: int, cells: int | None = None
) -> tuple[Program, int]:
    """Return the update of one device class and the threads of its blocks.

    Parameters
    ----------
    stem : str
    write_noise, counts : bool
        The device has write noise; pulses are counted.
    kind, words : int
        How pulses are made (`engine.ops.UpdateJob.kind`), 32-slot words of a train.
    columns : int
        Columns of the tile: narrow ones get small blocks.
    cells : int, optional
        As in `tile_program`.
    """
    threads, each = block_shape(columns)
    form = {"COUNTS": int(counts), "KIND": kind, "WORDS": words, "THREADS": threads, "COLUMNS": each}
    constants = tuple((f"OHM_{name}", str(value)) for name, value in form.items())
    return Program("update.cu", (*_device(stem, write_noise, cells), *constants)), threads


def block_shape(columns: int) -> tuple[int, int]:
    """Return threads of a block and columns of a thread for one row of a tile, as far as a block handles it."""
    groups = -(-min(columns, SPAN) // _WARP)
    threads = min(_MOST_THREADS, _WARP * _power_of_two(groups))
    return threads, _power_of_two(-(-groups * _WARP // threads))


def _power_of_two(least: int) -> int:
    return 1 << (least - 1).bit_length()


def _device(stem: str, write_noise: bool, cells: int | None) -> tuple[tuple[str, str], ...]:
    known = {
        "OHM_HEADER": f'"devices/{stem}.h"',
        "OHM_CLASS": class_of(stem),
        "OHM_WRITE_NOISE": str(int(write_noise)),
    }
    return tuple((known if cells is None else known | {"OHM_CELLS": str(cells)}).items())


@functools.cache
def sources_digest() -> str:
    """Return a digest of every file that a program may include; read once per process."""
    total = hashlib.sha256()
    for path in sorted(p for p in SOURCES.rglob("*") if p.suffix in (".h", ".cu")):
        total.update(path.relative_to(SOURCES).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
