# SPDX-License-Identifier: Apache-2.0
"""From whatever the user handed over to text: size, kind of file and encoding are checked here."""

from __future__ import annotations

import codecs
import hashlib
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO

from engine.errors import OhmscapeError

from .errors import place, refusal

MAX_BYTES = 256_000_000
"""Largest measured file; read in chunks it takes a few times this much memory, in a process that serves others."""

CHUNK_BYTES = 4_000_000
"""Bytes read between two reports of progress."""

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
    (b"CDF\x01", "a netCDF file"),
    (b"MATLAB 5.0 MAT", "a MATLAB file (.mat)"),
    (b"\x93NUMPY", "a numpy file (.npy)"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "a program"),
)
_ZIP_MEMBERS = (
    (b"xl/", "an Excel workbook (.xlsx)"),
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


@dataclass(frozen=True, eq=False)
class Content:
    """The bytes of a file, in memory or mapped from the disk.

    Attributes
    ----------
    data : bytes or mmap
    name : str
        What messages call the file.
    """

    data: bytes | mmap.mmap
    name: str

    @cached_property
    def sha256(self) -> str:
        """Hash of the bytes, which a preset or a report names its data by."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def is_npz(self) -> bool:
        """Whether it is a numpy archive."""
        start = self.data[:4096]
        return start.startswith(b"PK\x03\x04") and b".npy" in start

    @property
    def is_hdf5(self) -> bool:
        """Whether it is an HDF5 file, which netCDF-4 files are too."""
        return self.data[:4] == b"\x89HDF"


def load(source: Source, name: str = "") -> Content:
    """Return the bytes of a path, of bytes or of an open file; a path is mapped, not read.

    Parameters
    ----------
    source : path, bytes or file-like
        A ``str`` is a path, never content.
    name : str
        What messages call the file; the file's own name where blank.

    Raises
    ------
    MeasuredDataError
        If there is no such file or its size is not allowed.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        name = name or "upload"
        data = memoryview(source)
        check_size(data.nbytes, name)
        return Content(bytes(data), name)
    if isinstance(source, str | os.PathLike):
        return _map_path(source, name)
    if not hasattr(source, "read"):
        allowed = "a path, bytes, or an open file"
        raise refusal("source", type(source).__name__, "cannot be read from", allowed, "Give one of these.")
    name = name or Path(str(getattr(source, "name", ""))).name or "upload"
    return Content(_read_open(source, name), name)


def _map_path(source: str | os.PathLike, name: str) -> Content:
    """Map a file named by its path."""
    path = Path(source)
    name = name or path.name or str(path)
    try:
        check_size(path.stat().st_size, name)
        with path.open("rb") as file:
            return Content(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), name)
    except (OSError, ValueError) as error:  # ValueError: a NUL character inside the path
        if isinstance(error, OhmscapeError):
            raise
        rule = f"cannot be opened ({getattr(error, 'strerror', None) or error})"
        raise refusal("source", str(source), rule, "a readable file", "Check the path.") from error


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


@dataclass(frozen=True, eq=False)
class Text:
    """A file that is text, with its encoding.

    Attributes
    ----------
    data : bytes or mmap
    name : str
    encoding : str
        ``utf-8-sig``, or ``cp1252``, in which Excel writes its plain CSV.
    notes : tuple of str
        What was assumed of the encoding.
    """

    data: bytes | mmap.mmap
    name: str
    encoding: str
    notes: tuple[str, ...] = field(default=())

    def head(self) -> Text:
        """Return the whole lines of the first chunk, for a preview."""
        if len(self.data) <= CHUNK_BYTES:
            return self
        start = self.data[:CHUNK_BYTES]
        return replace(self, data=start[: max(start.rfind(b"\n"), start.rfind(b"\r")) + 1 or None])

    def chunks(self) -> Iterator[tuple[float, list[str]]]:
        """Yield the share of the file that is read then, 0..1, and the next whole lines."""
        decode = codecs.getincrementaldecoder(self.encoding)()
        kept, total = "", len(self.data)
        for first in range(0, total, CHUNK_BYTES):
            last = first + CHUNK_BYTES >= total
            text = kept + decode.decode(self.data[first : first + CHUNK_BYTES], final=last)
            if not last and text.endswith("\r"):  # half of a line end, perhaps
                text, half = text[:-1], "\r"
            else:
                half = ""
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            kept = lines.pop() + half if not last or not lines[-1].strip() else ""  # the end of the last line
            yield min((first + CHUNK_BYTES) / total, 1.0), lines


def text_of(content: Content) -> Text:
    """Return a file as text, or say what kind of file it is instead.

    Raises
    ------
    MeasuredDataError
        If it is a known kind of binary file, or text neither in UTF-8 nor in UTF-16 nor in Windows-1252.
    """
    data, name = content.data, content.name
    kind = _kind(data)
    if kind:
        raise _not_text(name, f"is {kind}, not CSV text")
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        try:
            data = data[:].decode("utf-16").encode()
        except UnicodeError as error:
            raise _not_text(name, f"is broken UTF-16 text ({error})") from error
        return Text(data, name, "utf-8-sig", ("the file was read as UTF-16 text",))
    zero = data.find(b"\0")
    if zero >= 0:
        raise _not_text(name, f"is a binary file (a NUL byte at position {zero})")
    return _encoded(data, name)


def _encoded(data: bytes | mmap.mmap, name: str) -> Text:
    """Tell UTF-8 from Windows-1252 by decoding all of it."""
    decode, at = codecs.getincrementaldecoder("utf-8")(), 0
    try:
        for at in range(0, len(data), CHUNK_BYTES):
            decode.decode(data[at : at + CHUNK_BYTES], final=at + CHUNK_BYTES >= len(data))
    except UnicodeDecodeError as error:
        wrong = next((b for b in error.object if b >= 0x80 and b not in _WINDOWS), None)
        if wrong is None and _all_windows(data):
            return Text(data, name, "cp1252", ("the file is not UTF-8 and was read as Windows-1252",))
        bad = at + max(error.start - (len(error.object) - min(CHUNK_BYTES, len(data) - at)), 0)
        row = data[:bad].count(b"\n") + 1
        rule = "is not UTF-8 text, the file is binary or has another encoding"
        remedy = "Save it as 'CSV UTF-8'; write the unit as uS instead of with a micro sign."
        byte = f"byte 0x{data[bad]:02x}"
        raise refusal(place(name, row), byte, rule, "UTF-8, UTF-16 or Windows-1252", remedy) from error
    return Text(data, name, "utf-8-sig")


_WINDOWS = {*"µ°²³±·Ω€–’".encode("cp1252", "ignore"), *range(0xC0, 0x100)}
"""Bytes above 0x7f that a table of readings from Excel may hold: signs of units and letters."""

_CONTROLS = {*range(32)} - {9, 10, 13}


def _all_windows(data: bytes | mmap.mmap) -> bool:
    for at in range(0, len(data), CHUNK_BYTES):
        found = {*data[at : at + CHUNK_BYTES]}
        if found & _CONTROLS or any(b >= 0x80 and b not in _WINDOWS for b in found):
            return False
    return True


def _kind(data: bytes | mmap.mmap) -> str:
    """Name the kind of a well-known binary file, blank for anything else."""
    if data[:4] == b"PK\x03\x04":
        inside = data[:4096] + data[-4096:]
        return next((kind for mark, kind in _ZIP_MEMBERS if mark in inside), "a zip archive")
    return next((kind for mark, kind in _MAGIC if data[: len(mark)] == mark), "")


def _not_text(name: str, rule: str):
    return refusal("file", name, rule, "comma, semicolon or tab separated text", SAVE_AS)
