# SPDX-License-Identifier: Apache-2.0
"""A dataset as netCDF-4 bytes and back, exactly: names, dtypes, units and every attribute."""

from __future__ import annotations

import io
import json
import threading
from typing import Any

import dask
import numpy as np
import xarray as xr

from explorer.results.record import ResultError

_WRITING = threading.Lock()
_JSON = "ohmscape_json_attributes"  # holds what netCDF attributes cannot: true/false, None, lists, dicts


def _pack_attributes(attrs: dict[str, Any], subject: str) -> dict[str, Any]:
    native = {k: v for k, v in attrs.items() if type(v) in (str, int, float)}
    rest = {k: v for k, v in attrs.items() if k not in native}
    try:
        return {**native, _JSON: json.dumps(rest)} if rest else native
    except TypeError as err:
        raise ResultError(
            f"{subject}.attrs: cannot be written ({err}; allowed: text, numbers, true/false, None, lists, "
            "dicts). Use one of these."
        ) from None


def _unpack_attributes(attrs: dict[str, Any]) -> dict[str, Any]:
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in attrs.items()}
    rest = json.loads(plain.pop(_JSON, "{}"))
    return plain | rest


def _check_dtype(name: str, values: np.ndarray) -> None:
    kind = values.dtype.kind
    numbers = kind in "biu" or (kind == "f" and values.dtype.itemsize <= 8)
    text = kind == "U" or (kind == "O" and all(isinstance(v, str) for v in values.flat))
    if not (numbers or text or kind == "M"):
        raise ResultError(
            f"{name}.dtype = {values.dtype}: cannot be stored (allowed: true/false, whole numbers, float16 "
            "to float64, text, dates). Convert it; a duration to seconds, a complex number to two variables."
        )


def _pack_variable(name: str, variable: xr.Variable) -> xr.Variable:
    _check_dtype(name, variable.values)
    return xr.Variable(variable.dims, variable.values, _pack_attributes(variable.attrs, name))


def to_bytes(ds: xr.Dataset) -> bytes:
    """Return ``ds`` as a netCDF-4 file in memory.

    Raises
    ------
    ResultError
        When a variable or attribute has a type the file cannot hold.
    """
    packed = {n: _pack_variable(str(n), v) for n, v in ds.variables.items()}
    file = xr.Dataset(
        {n: packed[n] for n in ds.data_vars},
        {n: packed[n] for n in ds.coords},
        _pack_attributes(ds.attrs, "Dataset"),
    )
    # NaN is a value here, not a gap
    encoding = {n: {"_FillValue": None} for n, v in packed.items() if v.dtype.kind == "f"}
    try:
        # Beside a Dask scheduler xarray would take a lock over the network for this file in memory, which
        # fails. The setting belongs to the whole process, hence one at a time.
        with _WRITING, dask.config.set(scheduler="synchronous"):
            return bytes(file.to_netcdf(engine="h5netcdf", encoding=encoding))
    except (ValueError, TypeError, NotImplementedError) as err:
        raise ResultError(f"Dataset: cannot be written as netCDF ({err}). Change what it names.") from err


def from_bytes(data: bytes) -> xr.Dataset:
    """Return the dataset `to_bytes` was given.

    Raises
    ------
    ResultError
        When ``data`` is not a netCDF-4 file.
    """
    try:
        # a variable in seconds is a float here, never a timedelta
        ds = xr.load_dataset(io.BytesIO(data), engine="h5netcdf", decode_timedelta=False)
    except Exception as err:  # the HDF5 layer raises many classes for a damaged file
        raise ResultError(
            f"Dataset: is damaged or no netCDF-4 file ({type(err).__name__}: {err}). Restore it from a copy."
        ) from err
    ds = ds.drop_encoding()
    ds.attrs = _unpack_attributes(ds.attrs)
    for name in ds.variables:
        ds[name].attrs = _unpack_attributes(ds[name].attrs)
    return ds
