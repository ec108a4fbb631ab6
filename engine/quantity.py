# SPDX-License-Identifier: Apache-2.0
"""Parameters that carry unit, source and bounds, and the base class of everything that has them.

One declaration serves the kernels (packing), the widgets (slider bounds, log flag, tooltip), the
files (TOML), the documentation and the error messages.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np
import param

from engine.errors import ParameterError, near_miss, say

# The class whose constructor runs: param asks a parameter of the class that declares it, the user wrote another name.
_UNDER_CONSTRUCTION: ContextVar[type | None] = ContextVar("under_construction", default=None)


def _plain(value: Any) -> Any:
    """Turn numpy numbers into Python's, so that files and JSON hold plain values; lists are copied."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.item() if isinstance(value, np.generic) else value


def _span(bounds: tuple[float | None, float | None], inclusive: tuple[bool, bool]) -> str:
    low = "-inf" if bounds[0] is None else f"{bounds[0]:g}"
    high = "inf" if bounds[1] is None else f"{bounds[1]:g}"
    return f"{'[' if inclusive[0] and bounds[0] is not None else '('}{low}, {high}" + (
        "]" if inclusive[1] and bounds[1] is not None else ")"
    )


class _Sourced:
    """What `Quantity`, `Flag` and `Choice` share: naming themselves in an error."""

    def _subject(self) -> str:
        owner, made = self.owner, _UNDER_CONSTRUCTION.get()
        cls = owner if isinstance(owner, type) else type(owner)
        return f"{(made if made and issubclass(made, cls) else cls).__name__}.{self.name}"


class Quantity(_Sourced, param.Number):
    """A number with unit, source, hard bounds, slider bounds and a log flag.

    Parameters
    ----------
    default : float
    bounds : (float or None, float or None)
        Hard bounds: what physics or the model allows.
    softbounds : (float, float)
        Slider bounds: what one usually wants. Values outside are legal.
    unit : str
        Unit, ``"1"`` for a pure number, ``"w"`` for normalised weight.
    source : str
        Where the parameter (and its default) comes from; ``"assumed"`` is legal, blank is not.
    log : bool
        The slider moves the exponent.
    integer : bool
        Only whole numbers are accepted.
    group : str
        The heading it stands under in a panel of widgets.
    """

    __slots__ = ["group", "integer", "log", "source", "unit"]
    _slot_defaults = dict(
        param.Number._slot_defaults, unit="1", source="assumed", group="General", log=False, integer=False
    )

    def __init__(self, default=0.0, *, unit="1", source="assumed", group="General", log=False, integer=False, **kw):
        if not unit or not source:
            raise ParameterError("Quantity: unit and source may not be blank (allowed: '1', 'assumed').")
        self.unit, self.source, self.group, self.log, self.integer = unit, source, group, log, integer
        super().__init__(default, **kw)

    # A quantity is never one of param's generators of numbers: without the look for one it is read twice as fast.
    __get__ = param.Parameter.__get__

    def _validate(self, val):
        if self.owner is None or self.name is None:  # while the class body runs there is no name to quote
            return
        if isinstance(val, bool | np.bool_) or not isinstance(val, int | float | np.number):
            self._refuse(val, "must be a number", "Give a number without quotes.")
        if math.isnan(val):
            self._refuse(val, "must not be NaN", "Give a finite number.")
        if self.integer and not float(val).is_integer():
            self._refuse(val, "must be a whole number", "Round it yourself; nothing is rounded silently.")
        if not self._inside(val):
            self._refuse(val, "is outside its bounds", "Choose a value inside them.")

    def _inside(self, val: float) -> bool:
        low, high = self.bounds or (None, None)
        closed = self.inclusive_bounds
        above = low is None or (val >= low if closed[0] else val > low)
        below = high is None or (val <= high if closed[1] else val < high)
        return above and below and not (math.isinf(val) and (low is None or high is None))

    def _refuse(self, val: Any, rule: str, remedy: str) -> None:
        allowed = _span(self.bounds or (None, None), self.inclusive_bounds)
        raise ParameterError(say(self._subject(), val, rule, allowed, remedy, unit=self.unit))


class Flag(_Sourced, param.Boolean):
    """A yes/no parameter with a source."""

    __slots__ = ["group", "source"]
    _slot_defaults = dict(param.Boolean._slot_defaults, source="assumed", group="General")

    def __init__(self, default=False, *, source="assumed", group="General", **kw):
        self.source, self.group = source, group
        super().__init__(default, **kw)

    def _validate(self, val):
        if self.owner is not None and self.name is not None and not isinstance(val, bool | np.bool_):
            raise ParameterError(
                say(self._subject(), val, "must be true or false", "True, False", "Use True or False.")
            )


class Choice(_Sourced, param.Selector):
    """One of a few named options, with a source."""

    __slots__ = ["group", "source"]
    _slot_defaults = dict(param.Selector._slot_defaults, source="assumed", group="General")

    def __init__(self, default, objects, *, source="assumed", group="General", **kw):
        self.source, self.group = source, group
        super().__init__(default=default, objects=list(objects), **kw)

    def _validate(self, val):
        if self.owner is None or self.name is None:
            return
        if any(type(val) is type(option) and val == option for option in self.objects):
            return
        allowed = ", ".join(map(str, self.objects))
        hint = near_miss(str(val), map(str, self.objects)).strip() or "Choose one of these."
        raise ParameterError(say(self._subject(), val, "is not one of the options", allowed, hint))


class Table(_Sourced, param.List):
    """A list of numbers over equally spaced nodes, with unit and source; at least one number.

    Parameters
    ----------
    default : list of float
    unit : str
        Unit of each number.
    source, group : str
    lowest : float or None
        No number may be smaller.
    """

    __slots__ = ["group", "lowest", "source", "unit"]
    _slot_defaults = dict(param.List._slot_defaults, unit="1", source="assumed", group="General", lowest=None)

    def __init__(self, default, *, unit="1", source="assumed", group="General", lowest=None, **kw):
        self.unit, self.source, self.group, self.lowest = unit, source, group, lowest
        super().__init__(default, **kw)

    def _validate(self, val):
        if self.owner is None or self.name is None:
            return
        allowed = "a list of numbers" if self.lowest is None else f"a list of numbers not below {self.lowest:g}"
        if not isinstance(val, list) or not val:
            raise ParameterError(say(self._subject(), val, "must be a list", allowed, "Give at least one number."))
        for k, entry in enumerate(val):
            number = isinstance(entry, int | float | np.number) and not isinstance(entry, bool)
            if not number or not math.isfinite(entry) or (self.lowest is not None and entry < self.lowest):
                text = f"{self._subject()}[{k}]"
                raise ParameterError(say(text, entry, "is not allowed", allowed, "Correct this entry.", unit=self.unit))


Field = Quantity | Flag | Choice | Table


class Model(param.Parameterized):
    """Base of everything that has parameters: refuses unknown names, describes itself.

    Raises
    ------
    ParameterError
        On an unknown attribute, a value that breaks its rule, or values that do not fit together
        (`check`).
    """

    def __init__(self, **values):
        for name in values.keys() - set(self.param):
            self._unknown(name)
        token = _UNDER_CONSTRUCTION.set(type(self))
        try:
            super().__init__(**{k: _plain(v) for k, v in values.items()})
        finally:
            _UNDER_CONSTRUCTION.reset(token)
        self.check()

    def __setattr__(self, name, value):
        if not name.startswith("_") and not hasattr(type(self), name):  # a parameter is an attribute of its class
            self._unknown(name)
        super().__setattr__(name, value)

    @classmethod
    def _unknown(cls, name: str) -> None:
        hint = near_miss(name, cls.fields()) or f" Known: {', '.join(cls.fields())}."
        raise ParameterError(f"{cls.__name__}.{name}: there is no such parameter.{hint}")

    @classmethod
    def fields(cls) -> list[str]:
        """Return the names of the parameters in the order of their definition."""
        return list(_fields(cls))

    def check(self) -> None:
        """Raise `ParameterError` where single values are fine but do not fit together."""

    def check_single_precision(self) -> None:
        """Raise `ParameterError` where a number would become infinite or zero in the kernels' single precision."""
        limits = np.finfo(np.float32)
        low, high = float(limits.tiny), float(limits.max)
        for name, unit, value in self._numbers():
            if value == 0 or low <= abs(value) <= high:
                continue
            raise ParameterError(
                say(
                    f"{type(self).__name__}.{name}",
                    value,
                    "does not fit single precision",
                    f"0, or a magnitude of {low:.3g} .. {high:.3g}",
                    "Choose a value inside.",
                    unit=unit,
                )
            )

    def _numbers(self) -> Iterator[tuple[str, str, float]]:
        """Yield name, unit and value of every number, the entries of tables one by one."""
        for name in self.fields():
            field, value = type(self).param[name], getattr(self, name)
            if isinstance(field, Quantity):
                yield name, field.unit, value
            elif isinstance(field, Table):
                yield from ((f"{name}[{k}]", field.unit, entry) for k, entry in enumerate(value))

    def values(self) -> dict[str, Any]:
        """Return ``name -> value`` in the order of definition, plain Python values."""
        return {n: _plain(getattr(self, n)) for n in self.fields()}

    def copy(self, **changes):
        """Return an independent copy with some values changed."""
        return type(self)(**{**self._own_values(), **changes})

    def _own_values(self) -> dict[str, Any]:
        """Return what differs from the class's defaults, in value or type: setting the others would change nothing."""
        own = {}
        for name, value in self.values().items():
            default = type(self).param[name].default
            if type(value) is not type(default) or value != default:
                own[name] = value
        return own

    @classmethod
    def describe(cls, name: str) -> dict[str, Any]:
        """Return unit, source, doc, bounds, softbounds, log flag, default and kind of one parameter."""
        if name not in cls.fields():
            cls._unknown(name)
        p = cls.param[name]
        kind = {Quantity: "number", Flag: "flag", Choice: "choice", Table: "table"}[type(p)]
        return {
            "name": name,
            "kind": kind,
            "unit": getattr(p, "unit", "1"),
            "source": p.source,
            "doc": " ".join((p.doc or "").split()),
            "default": p.default,
            "bounds": getattr(p, "bounds", None),
            "inclusive_bounds": getattr(p, "inclusive_bounds", None),
            "softbounds": getattr(p, "softbounds", None),
            "log": getattr(p, "log", False),
            "integer": getattr(p, "integer", False),
            "objects": list(getattr(p, "objects", [])) if kind == "choice" else None,
            "group": p.group,
        }

    def __eq__(self, other):
        return type(self) is type(other) and self.values() == other.values()

    __hash__ = None  # mutable: two equal models may become different


@functools.cache
def _fields(cls: type[Model]) -> tuple[str, ...]:
    return tuple(n for n in cls.param if isinstance(cls.param[n], Field))
