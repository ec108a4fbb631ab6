# SPDX-License-Identifier: Apache-2.0
"""Checks of arrays that users hand in."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from engine.errors import ShapeError

CPU = torch.device("cpu")


def checked(
    array: torch.Tensor, name: str, shape: Mapping[str, int | None], device: torch.device = CPU
) -> torch.Tensor:
    """Return ``array`` as contiguous float32 after checking its shape and where it lies.

    Parameters
    ----------
    array : torch.Tensor
    name : str
        For the message.
    shape : mapping
        Axis name to length; None accepts any.
    device : torch.device
        Where it has to lie. Nothing is moved silently.

    Raises
    ------
    ShapeError
        Wrong number of axes, wrong length, dtype, device, or a value that is not finite.
    """
    if not isinstance(array, torch.Tensor):
        raise ShapeError(f"{name}: got {type(array).__name__}, expected a torch.Tensor. Use torch.as_tensor.")
    wanted = ", ".join(f"{axis}={n if n is not None else 'any'}" for axis, n in shape.items())
    fits = array.dim() == len(shape) and all(
        n is None or n == got for n, got in zip(shape.values(), array.shape, strict=True)
    )
    if not fits:
        raise ShapeError(f"{name}: got shape {tuple(array.shape)}, expected ({wanted}). Check the axes' order.")
    if array.dtype != torch.float32 or array.device != device:
        move = ".cpu()" if device == CPU else f".to('{device}')"
        raise ShapeError(
            f"{name}: got {array.dtype} on {array.device}, expected torch.float32 on {device}. Convert: .float(){move}."
        )
    array = array.detach().contiguous()
    if not _is_finite(array):
        raise ShapeError(f"{name}: holds NaN or infinity, must be finite. Look for a diverged loss or bad data.")
    return array


def check_buffer(
    array: torch.Tensor, name: str, shape: Mapping[str, int], dtype: torch.dtype, device: torch.device = CPU
) -> None:
    """Raise `ShapeError` unless ``array`` can be written in place: shape, dtype, device as said, and contiguous."""
    fits = isinstance(array, torch.Tensor) and array.is_contiguous() and array.shape == tuple(shape.values())
    if not fits or array.dtype != dtype or array.device != device:
        wanted = ", ".join(f"{axis}={n}" for axis, n in shape.items())
        got = type(array).__name__
        if isinstance(array, torch.Tensor):
            got = f"{tuple(array.shape)} {array.dtype} on {array.device}"
        raise ShapeError(
            f"{name}: got {got}, expected contiguous ({wanted}) {dtype} on {device}. Make it by torch.empty."
        )


def _is_finite(array: torch.Tensor) -> bool:
    """Whether no entry is NaN or infinite: both show in the smallest and largest, found in one pass."""
    return array.numel() == 0 or all(math.isfinite(end) for end in torch.aminmax(array))
