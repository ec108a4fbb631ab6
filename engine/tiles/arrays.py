# SPDX-License-Identifier: Apache-2.0
"""Checks and draws that the circuit models share; numpy arrays in double precision."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from engine import ops
from engine.errors import ParameterError, ShapeError, say
from engine.rng import derive_seed


def real(values: ArrayLike, name: str, axes: Mapping[str, int | None]) -> np.ndarray:
    """Return ``values`` as a float64 array after checking its shape.

    Parameters
    ----------
    values : array_like
        Numbers, or a tensor on the CPU without gradient.
    name : str
        For the message.
    axes : mapping
        Axis name to length; None accepts any.

    Returns
    -------
    numpy.ndarray
        float64, with the given axes.

    Raises
    ------
    ShapeError
        Wrong number of axes or length, or a value that is not finite.
    """
    array = np.asarray(values, dtype=float)
    fits = array.ndim == len(axes) and all(
        n is None or n == got for n, got in zip(axes.values(), array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(f"{axis}={n if n is not None else 'any'}" for axis, n in axes.items())
        raise ShapeError(f"{name}: got shape {array.shape}, expected ({wanted}). Check the axes' order.")
    if not np.isfinite(array).all():
        raise ShapeError(f"{name}: holds NaN or infinity, must be finite. Look for a division by zero.")
    return array


def not_negative(value: float, name: str, unit: str) -> float:
    """Return ``value`` if it is a finite number not below zero, else raise `ParameterError`."""
    if not np.isfinite(value) or value < 0:
        raise ParameterError(say(name, value, "must not be negative", "[0, inf)", "Give a size.", unit=unit))
    return float(value)


def whole(values: ArrayLike, name: str, largest: int) -> np.ndarray:
    """Return ``values`` as int64 if all are whole numbers of at most ``largest`` in magnitude.

    Raises
    ------
    ParameterError
        Otherwise; nothing is rounded or limited.
    """
    array = np.asarray(values)
    bad = array[(array != np.rint(array)) | (np.abs(array) > largest)]
    if bad.size:
        allowed = f"whole numbers of magnitude 0 .. {largest}"
        raise ParameterError(say(name, float(bad.flat[0]), "does not fit", allowed, "Round and limit it yourself."))
    return array.astype(np.int64)


def fixed_normals(seed: int, name: str, *shape: int) -> np.ndarray:
    """Return standard normal draws that are made once: a function of ``seed`` and ``name`` only, float64 ``shape``."""
    return _of_elements(ops.element_normals, seed, name, shape)


def fixed_uniforms(seed: int, name: str, *shape: int) -> np.ndarray:
    """Return draws in (0, 1] that are made once: a function of ``seed`` and ``name`` only, float64 ``shape``."""
    return _of_elements(ops.element_uniforms, seed, name, shape)


def _of_elements(make, seed: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    draws = make(derive_seed(seed, "circuit", name), "construction", 0, count)
    return draws[0].numpy().astype(float).reshape(shape)


def fresh_normals(seed: int, name: str, first: int, samples: int, count: int) -> np.ndarray:
    """Return standard normal draws for vectors ``first .. first+samples-1``, float64 ``(samples, count)``.

    Vector by vector, so a split batch draws what the whole one does.
    """
    stream = derive_seed(seed, "circuit", name)
    rows = [ops.element_normals(stream, "forward_output", first + k, count)[0].numpy() for k in range(samples)]
    return np.stack(rows).astype(float) if rows else np.empty((0, count))
