# SPDX-License-Identifier: Apache-2.0
"""Parameter values to JSON and back, guided by the declaration of each parameter."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import param

from engine.errors import ParameterError, say
from engine.quantity import Model, Quantity

_FLOAT = "$float"  # strict JSON has no word for an unbounded range or a missing number


def encode(declaration: param.Parameter, value: Any, subject: str) -> Any:
    """Return ``value`` as plain JSON data.

    Parameters
    ----------
    declaration : param.Parameter
        The declaration; a `Quantity` writes 3 and 3.0 alike.
    value : object
        None, bool, number, string, list, tuple, dict with string keys, numpy number or
        one-dimensional array, or a `Model`.
    subject : str
        Name for the error message, such as ``"Training.device"``.

    Raises
    ------
    ParameterError
        When ``value`` is something else.
    """
    if isinstance(value, Model):
        return _encode_model(declaration, value, subject)
    if isinstance(declaration, Quantity) and not isinstance(value, bool) and value is not None:
        return int(value) if declaration.integer else _encode_float(float(value))
    if isinstance(declaration, param.List) and isinstance(value, list):
        return [_encode_model(declaration, v, subject) if isinstance(v, Model) else _plain(v, subject) for v in value]
    return _plain(value, subject)


def _encode_model(declaration: param.Parameter, model: Model, subject: str) -> Any:
    if hasattr(model, "to_dict"):
        return model.to_dict()
    if type(model) is not model_class(declaration):  # values() alone would lose which subclass it is
        raise ParameterError(
            f"{subject} = {type(model).__name__}(...): cannot be written as JSON (allowed: exactly the "
            "declared class, or one with to_dict and from_dict). Give the class these two methods."
        )
    return {n: encode(model.param[n], v, f"{subject}.{n}") for n, v in model.values().items()}


def _encode_float(value: float) -> Any:
    return value if math.isfinite(value) else {_FLOAT: repr(value)}


def _plain(value: Any, subject: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | str | int):
        return value
    if isinstance(value, float):
        return _encode_float(value)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(v, subject) for v in value]
    if isinstance(value, dict) and all(isinstance(k, str) and not k.startswith("$") for k in value):
        return {k: _plain(v, subject) for k, v in value.items()}
    raise ParameterError(
        f"{subject} = {type(value).__name__}: cannot be written as JSON (allowed: numbers, text, true/false, "
        "lists, dicts with text keys, models). Use one of these."
    )


def model_class(declaration: param.Parameter) -> type[Model] | None:
    """Return the class of the models a parameter holds (one, or a list of them), or None."""
    held = getattr(declaration, "class_", None) or getattr(declaration, "item_type", None)
    return held if isinstance(held, type) and issubclass(held, Model) else None


def decode(declaration: param.Parameter, value: Any) -> Any:
    """Return the value of a parameter from its JSON form; the inverse of `encode`."""
    cls = model_class(declaration)
    if cls is not None and isinstance(value, dict):
        return _decode_model(cls, value)
    if cls is not None and isinstance(value, list):
        return [_decode_model(cls, v) for v in value]
    value = _unplain(value)
    return tuple(value) if isinstance(declaration, param.Tuple) and isinstance(value, list) else value


def _decode_model(cls: type[Model], written: Any) -> Model:
    if not isinstance(written, dict):
        raise ParameterError(
            say(
                cls.__name__,
                written,
                "is not the written form of a model",
                "a dict",
                "Write it with to_dict().",
            )
        )
    if hasattr(cls, "from_dict"):
        return cls.from_dict(written)
    known = cls.fields()
    return cls(**{n: decode(cls.param[n], v) if n in known else v for n, v in written.items()})


def _unplain(value: Any) -> Any:
    if isinstance(value, list):
        return [_unplain(v) for v in value]
    if isinstance(value, dict):
        if set(value) == {_FLOAT}:
            return _number(value[_FLOAT])
        return {k: _unplain(v) for k, v in value.items()}
    return value


def _number(word: Any) -> float:
    if word not in ("inf", "-inf", "nan"):
        raise ParameterError(
            say(_FLOAT, word, "is no number", "'inf', '-inf', 'nan'", "Write plain numbers as they are.")
        )
    return float(word)


def canonical(data: Any) -> str:
    """Return one JSON text for equal data: sorted keys, 3.0 written as 3, no spaces."""
    return json.dumps(_normal(data), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _normal(data: Any) -> Any:
    if isinstance(data, dict):
        return {k: _normal(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_normal(v) for v in data]
    if isinstance(data, float) and data.is_integer() and abs(data) < 2**53:
        return int(data)  # also -0.0 to 0: they compare equal
    return data
