# SPDX-License-Identifier: Apache-2.0
"""Numpy archives and HDF5 files (netCDF-4 too) as tables: arrays become columns. Nothing is unpickled."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

import h5py
import numpy as np

from .cells import Column
from .errors import MeasuredDataError, refusal
from .roles import role_of
from .source import MAX_BYTES, Content
from .table import Table
from .text_table import MAX_COLUMNS

SAID = ("unit", "read_voltage_v")
Arrays = Mapping[str, np.ndarray]

_LAYOUTS = (
    "arrays of one length named as the columns of the long format, a two-dimensional value (trace, reading), "
    "or one array for each ramp"
)


def holds(content: Content) -> bool:
    """Tell whether a file holds arrays rather than text."""
    return content.is_npz or content.is_hdf5


def table_of(content: Content) -> Table:
    """Return the arrays of a file as a table; rows count from 1.

    One-dimensional arrays of one length are columns, by their names. A two-dimensional ``value``, (trace, reading),
    is laid out row by row together with arrays of its shape, of its traces or of its readings, and NaN ends a short
    trace. Any other two-dimensional array gives one column for each of its own. Arrays of different length are ramps.
    Scalars ``unit`` and ``read_voltage_v``, or HDF5's attribute ``units`` of ``value``, say what the readings are.

    Raises
    ------
    MeasuredDataError
        If the file is damaged, too large when unpacked, or holds no arrays of such shapes.
    """
    arrays, said = _npz(content) if content.is_npz else _hdf5(content)
    said |= {name: str(arrays[name][()]) for name in SAID if name in arrays and arrays[name].ndim == 0}
    arrays = {name: array for name, array in arrays.items() if array.ndim and name != "length"}
    if not arrays:
        raise _refused(content.name, "it holds no arrays of readings")
    columns = _laid_out(arrays, content.name)
    n = len(next(iter(columns.values())))
    if len(columns) > MAX_COLUMNS or not n:
        raise _refused(content.name, f"its arrays make {len(columns)} columns of {n} rows")
    named = any(not name.isdigit() for name in columns)
    made = tuple(Column.of_numbers(array) for array in columns.values())
    return Table(content.name, tuple(columns) if named else None, made, np.arange(1, n + 1), said=said)


def _laid_out(arrays: Arrays, name: str) -> dict[str, np.ndarray]:
    value = next((n for n, a in arrays.items() if role_of(n) == "value" and a.ndim == 2), None)
    if value is not None:
        return _flat(arrays, value, name)
    if len(arrays) == 1 and next(iter(arrays.values())).ndim == 2:
        return {str(j + 1): column for j, column in enumerate(next(iter(arrays.values())).T)}
    if any(array.ndim != 1 for array in arrays.values()):
        shapes = ", ".join(f"{n} {a.shape}" for n, a in list(arrays.items())[:5])
        raise _refused(name, f"its arrays have shapes that do not fit together ({shapes})")
    longest = max(map(len, arrays.values()))
    return {n: _ended(a, longest) for n, a in arrays.items()}


def _flat(arrays: Arrays, value: str, name: str) -> dict[str, np.ndarray]:
    """Lay out a two-dimensional array of readings row by row."""
    shape = arrays[value].shape
    columns = {}
    for other, array in arrays.items():
        if array.shape == shape:
            columns[other] = array.ravel()
        elif array.shape == shape[:1]:
            columns[other] = np.repeat(array, shape[1])
        elif array.shape == shape[1:]:
            columns[other] = np.tile(array, shape[0])
    names = {role_of(n) for n in columns}
    trace = np.repeat(np.arange(1, shape[0] + 1), shape[1])
    if "device_id" not in names:
        columns["device_id"] = trace if "cycle" not in names else np.ones(trace.size)
    if "index" not in names:
        columns["index"] = np.tile(np.arange(1, shape[1] + 1), shape[0])
    there = np.isfinite(np.asarray(columns[value], dtype=float))  # NaN ends a short trace
    if not there.any():
        raise _refused(name, "all its readings are NaN")
    return {n: a[there] for n, a in columns.items()}


def _ended(array: np.ndarray, longest: int) -> np.ndarray:
    """Return a column with empty cells at its end."""
    if len(array) == longest:
        return array
    return np.array([*(str(v) for v in array.tolist()), *[""] * (longest - len(array))], dtype=object)


def _npz(content: Content) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        with zipfile.ZipFile(io.BytesIO(content.data)) as archive:
            _check_unpacked(sum(item.file_size for item in archive.infolist()), content.name)
        with np.load(io.BytesIO(content.data), allow_pickle=False) as file:
            return {n: _number_or_text(n, file[n], content.name) for n in file.files}, {}
    except (ValueError, OSError, zipfile.BadZipFile, EOFError, KeyError, NotImplementedError) as error:
        if isinstance(error, MeasuredDataError):
            raise
        rule = "holds Python objects, which are not loaded" if "pickle" in str(error) else "is damaged"
        raise _refused(content.name, f"the numpy archive {rule}") from error


def _hdf5(content: Content) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    arrays: dict[str, np.ndarray] = {}
    said: dict[str, str] = {}

    def visit(path: str, item: object) -> None:
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiubSOU" or item.ndim > 2:
            return
        if bytes(item.attrs.get("NAME", b"")).startswith(b"This is a netCDF"):
            return  # a dimension without values
        _check_unpacked(item.size * max(item.dtype.itemsize, 8), content.name)
        short = path.rpartition("/")[2]
        arrays[short if short not in arrays else path] = _number_or_text(path, item[()], content.name)
        if role_of(short) == "value" and isinstance(units := item.attrs.get("units"), str | bytes):
            said["unit"] = units.decode() if isinstance(units, bytes) else units

    try:
        with h5py.File(io.BytesIO(content.data), "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, KeyError, TypeError) as error:
        raise _refused(content.name, "the HDF5 file is damaged") from error
    return arrays, said


def _number_or_text(name: str, array: np.ndarray, source: str) -> np.ndarray:
    array = np.asarray(array)
    if array.dtype.kind in "SO":
        return np.array([v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in array.ravel()],
                        dtype=object).reshape(array.shape)  # fmt: skip
    if array.dtype.kind not in "fiubU":
        rule = f"array {name!r} has the type {array.dtype}, which is no reading"
        raise _refused(source, rule)
    return array


def _check_unpacked(n_bytes: int, name: str) -> None:
    if n_bytes > 4 * MAX_BYTES:
        limit = f"at most {4 * MAX_BYTES / 1e6:.0f} MB"
        remedy = "Keep fewer cycles or devices and load the smaller file."
        raise refusal(f"unpacked size of {name}", f"{n_bytes / 1e6:.0f} MB", "is too large", limit, remedy)


def _refused(name: str, rule: str):
    return refusal("file", name, rule, _LAYOUTS, "Rename or leave out arrays, or save it as CSV.")
