# SPDX-License-Identifier: Apache-2.0
"""From whatever the user handed over to text: size, kind of file and encoding are checked here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

from .errors import place, refusal

MAX_BYTES = 50_000_000
"""Largest measured file; parsed it takes a few times this much memory, in a process that serves others."""

Source = str | os.PathLike | bytes | bytearray | memoryview | IO

SAVE_AS = "Save it as CSV (UTF-8) and load that."

_MAGIC = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Office file (.xls)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-zip archive"),
    (b"\x89HDF", "an HDF5 or netCDF file"),
    (b"CDF\x01", "a netCDF file"),
    (b"MATLAB 5.0 MAT", "a MATLAB file (.mat)"),
    (b"\x93NUMPY", "a numpy file (.npy)"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "a program"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
_ZIP_MEMBERS = (
    (b"xl/", "an Excel workbook (.xlsx)"),
    (b".npy", "a numpy archive (.npz)"),
    (b"word/", "a Word document (.docx)"),
    (b"opendocument", "an OpenDocument file (.ods)"),
)


def check_size(n_bytes: int, name: str) -> None:
    """Refuse a file that is empty or larger than `MAX_BYTES`; usable before a byte of it is read.

    Raises
    ------
    MeasuredDataError
        If ``n_bytes`` is 0 or above `MAX_BYTES`.
    """
    if n_bytes > MAX_BYTES:
        size, limit = f"{n_bytes / 1e6:.1f} MB", f"at most {MAX_BYTES / 1e6:.0f} MB"
        remedy = "Keep fewer cycles or devices, or average repeated reads, and load the smaller file."
        raise refusal(f"size of {name}", size, "the file is too large", limit, remedy)
    if n_bytes == 0:
        raise refusal(f"size of {name}", "0 bytes", "the file is empty", "at least one reading", SAVE_AS)


def load(source: Source, name: str = "") -> tuple[str, str]:
    """Return ``(text, name)`` of a path, of bytes or of an open file.

    Parameters
    ----------
    source : path, bytes or file-like
        A ``str`` is a path, never content.
    name : str
        What messages call the file; the file's own name where blank.

    Raises
    ------
    MeasuredDataError
        If there is no such file, its size is not allowed, or it is not UTF-8 text.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        name = name or "upload"
        data = memoryview(source)
        check_size(data.nbytes, name)
        return _decoded(bytes(data), name), name
    if isinstance(source, str | os.PathLike):
        return _read_path(source, name)
    if not hasattr(source, "read"):
        allowed = "a path, bytes, or an open file"
        raise refusal("source", type(source).__name__, "cannot be read from", allowed, "Give one of these.")
    name = name or Path(str(getattr(source, "name", ""))).name or "upload"
    return _decoded(_read_open(source, name), name), name


def _read_path(source: str | os.PathLike, name: str) -> tuple[str, str]:
    """Read a file named by its path."""
    path = Path(source)
    name = name or path.name or str(path)
    try:
        check_size(path.stat().st_size, name)
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL character inside the path
        rule = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise refusal("source", str(source), rule, "a readable file", "Check the path.") from error
    return _decoded(data, name), name


def _read_open(source: IO, name: str) -> bytes:
    """Read one byte more than allowed at most, so that an endless stream ends here."""
    try:
        data = source.read(MAX_BYTES + 1)
        data = data.encode() if isinstance(data, str) else bytes(data)
    except UnicodeError as error:
        raise _not_text(name, f"has characters that are no text ({error})") from error
    if len(data) > MAX_BYTES:
        allowed = f"at most {MAX_BYTES / 1e6:.0f} MB"
        remedy = "Keep fewer cycles or devices and load the smaller file."
        shown = f"more than {MAX_BYTES / 1e6:.0f} MB"
        raise refusal(f"size of {name}", shown, "the file is too large", allowed, remedy)
    check_size(len(data), name)
    return data


def _decoded(data: bytes, name: str) -> str:
    """Return the text of ``data``, or say what kind of file it is instead."""
    kind = _kind(data)
    if kind:
        raise _not_text(name, f"is {kind}, not CSV text")
    zero = data.find(b"\0")
    if zero >= 0:
        raise _not_text(name, f"is a binary file (a NUL byte at position {zero})")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{data[error.start]:02x}"
        rule = "is not UTF-8 text, the file is binary or has another encoding"
        remedy = "Save it as 'CSV UTF-8'; write the unit as uS instead of with a micro sign."
        raise refusal(place(name, row), byte, rule, "UTF-8", remedy) from error


def _kind(data: bytes) -> str:
    """Name the kind of a well-known binary file, blank for anything else."""
    if data.startswith(b"PK\x03\x04"):
        inside = data[:4096] + data[-4096:]
        return next((kind for mark, kind in _ZIP_MEMBERS if mark in inside), "a zip archive")
    return next((kind for mark, kind in _MAGIC if data.startswith(mark)), "")


def _not_text(name: str, rule: str):
    return refusal("file", name, rule, "comma, semicolon or tab separated text", SAVE_AS)
