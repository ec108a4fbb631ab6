# SPDX-License-Identifier: Apache-2.0
"""A fitted parameter with its interval, and how parameters follow from what was searched for."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.stats import t as student

from ..plain import number, plain

LEVEL = 0.95
"""Probability with which an interval holds the true value."""

VAGUE = 1 / 3
"""A number is not determined where its standard error exceeds this share of it."""

VAGUE_SHAPE = 0.5
"""The same for numbers around 0 (asymmetry, curvature): this, where the share of them is less."""

FARTHEST = 300.0
"""Logarithm of the largest factor between an estimate and an end of its interval; more is no number any longer."""


@dataclass(frozen=True)
class Parameter:
    """One fitted parameter of a device class.

    Attributes
    ----------
    name : str
        Name in `engine.devices`; an entry of a table is ``piecewise_up[3]``.
    value : float
    stderr : float
        Standard error; NaN where the value is held or assumed.
    low, high : float
        95 % interval; NaN likewise.
    unit : str
        ``w`` for normalised weight, ``1`` for a pure number.
    meaning : str
    note : str
        Why the value is to be taken with care; blank if there is no reason.
    logarithmic : bool
        The estimate is normal on a logarithmic scale, and the interval is a factor each way.
    determined : bool
        The data fix the value.
    """

    name: str
    value: float
    stderr: float
    low: float
    high: float
    unit: str
    meaning: str
    note: str = ""
    logarithmic: bool = False
    determined: bool = True

    @property
    def held(self) -> bool:
        """True where the value was not estimated."""
        return not math.isfinite(self.stderr)

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        if self.held and math.isfinite(self.high):
            return f"{self.name} = {self.value:.4g}{unit}, below {self.high:.2g} (95 %)"
        if self.held:
            return f"{self.name} = {self.value:.4g}{unit} (held)"
        doubt = "" if self.determined else " (not determined)"
        interval = f"[{self.low:.4g}, {self.high:.4g}]"
        return f"{self.name} = {self.value:.4g} ± {self.stderr:.2g}{unit}, 95 % {interval}{doubt}"

    def to_dict(self) -> dict:
        """Return the fields, fit for JSON; NaN and infinity are None."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, row: dict) -> Parameter:
        """Return the parameter of `to_dict`."""
        numbers = ("value", "stderr", "low", "high")
        return cls(**{k: number(v) if k in numbers else v for k, v in row.items()})


SIGNED = ("up_down", "gamma_", "A_", "pow_up_down", "range_", "piecewise_", "mean_")
"""Beginnings of names whose values may have either sign: their intervals are symmetric."""


def is_signed(name: str, stem: str) -> bool:
    """Return whether a parameter of a class may be of either sign; exponents of `exp_step` may not."""
    if stem == "exp_step" and name.startswith("gamma_"):
        return False
    return name.startswith(SIGNED) and not name.endswith("_dtod")


def parameter(
    name: str, value: float, stderr: float, unit: str, meaning: str, *, signed: bool, freedom: float = np.inf
) -> Parameter:
    """Return a parameter with its interval from a standard error.

    Parameters
    ----------
    signed : bool
        Symmetric interval; otherwise a factor each way, which never crosses 0.
    freedom : float
        Degrees of freedom of the standard error.
    """
    reach = float(student.ppf(0.5 + LEVEL / 2, freedom)) * stderr
    if signed or value == 0:
        low, high = value - reach, value + reach
    else:
        factor = math.exp(min(reach / abs(value), FARTHEST))
        low, high = sorted((value / factor, value * factor))
    made = Parameter(name, value, stderr, low, high, unit, meaning, "", not signed)
    note = _vague(made, signed)
    return replace(made, note=note, determined=not note)


def widened(p: Parameter, error: float) -> Parameter:
    """Return a parameter that has another, independent error besides its own; one that was held stays as it is."""
    if p.held or not p.stderr > 0 or not error > 0:
        return p
    stderr = math.hypot(p.stderr, error)
    share = stderr / p.stderr
    if p.logarithmic:
        low, high = (p.value * _power(end / p.value, share) for end in (p.low, p.high))
    else:
        low, high = (p.value + share * (end - p.value) for end in (p.low, p.high))
    made = replace(p, stderr=stderr, low=low, high=high)
    note = _vague(made, not p.logarithmic)
    return replace(made, note=p.note or note, determined=p.determined and not note)


def _power(factor: float, share: float) -> float:
    return math.exp(max(-FARTHEST, min(share * math.log(max(factor, math.exp(-FARTHEST))), FARTHEST)))


def _vague(p: Parameter, signed: bool) -> str:
    if not math.isfinite(p.stderr):
        return ""
    least = (VAGUE_SHAPE if p.unit == "1" else math.inf) if signed else 0.0
    limit = max(VAGUE * abs(p.value), least)
    if p.stderr <= limit:
        return ""
    return f"{p.name} is not determined: {p.value:.2g} ± {p.stderr:.2g}{'' if p.unit == '1' else ' ' + p.unit}"


def held(name: str, value: float, unit: str, meaning: str, note: str, *, limit: float = math.nan) -> Parameter:
    """Return a parameter that was not estimated; ``limit`` is the upper end of its interval where it is held at 0."""
    low = 0.0 if math.isfinite(limit) else math.nan
    return Parameter(name, float(value), math.nan, low, limit, unit, meaning, note, False, not note)
