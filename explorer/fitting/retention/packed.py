# SPDX-License-Identifier: Apache-2.0
"""A retention measurement as text, for a job: what was read travels, not the file."""

from __future__ import annotations

import base64
import binascii
import io

import numpy as np

from ..errors import MeasuredDataError, refusal
from .data import Bake, Data, Relaxation, TimeSeries

_KINDS = {cls.kind: cls for cls in (Relaxation, Bake, TimeSeries)}
_TEXTS = ("kind", "source", "sha256")


def pack(data: Data) -> str:
    """Return a measurement as one line of text; conductances keep the seven digits of float32."""
    parts = {n: v for n, v in vars(data).items() if n not in _TEXTS}
    narrow = {n: np.asarray(v, np.float32) if np.ndim(v) == 2 else np.asarray(v) for n, v in parts.items()}
    file = io.BytesIO()
    np.savez_compressed(file, **narrow, **{n: np.array(getattr(data, n)) for n in _TEXTS})
    return base64.b64encode(file.getvalue()).decode()


def unpack(text: str) -> Data:
    """Return what `pack` was given.

    Raises
    ------
    MeasuredDataError
        If the text is something else.
    """
    try:
        with np.load(io.BytesIO(base64.b64decode(text, validate=True)), allow_pickle=False) as file:
            parts = {n: file[n] for n in file.files}
        cls = _KINDS[str(parts.pop("kind"))]
        texts = {n: str(parts.pop(n)) for n in _TEXTS if n in parts}
        arrays = {n: v.astype(float) if v.dtype == np.float32 else v for n, v in parts.items()}
        return cls(**{n: float(v) if v.ndim == 0 else v for n, v in arrays.items()}, **texts)
    except (ValueError, KeyError, TypeError, OSError, EOFError, binascii.Error) as error:
        raise _refused() from error


def _refused() -> MeasuredDataError:
    return refusal("readings", "text", "is no packed measurement", "what pack() returned", "Give a path instead.")
