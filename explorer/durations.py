# SPDX-License-Identifier: Apache-2.0
"""Times as people write and read them: ``1 s`` to ``10 y``."""

from __future__ import annotations

import itertools
import math
import re

from engine.errors import ParameterError, near_miss, say

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
WEEK, MONTH, YEAR = 7 * DAY, 30 * DAY, 365 * DAY
LONGEST_S = 100 * YEAR

_NAMES = {
    "s": (1.0, "sec", "second", "seconds"),
    "min": (MINUTE, "minute", "minutes"),
    "h": (HOUR, "hour", "hours"),
    "d": (DAY, "day", "days"),
    "w": (WEEK, "week", "weeks"),
    "mo": (MONTH, "month", "months"),
    "y": (YEAR, "year", "years"),
}
_SECONDS = {name: entry[0] for unit, entry in _NAMES.items() for name in (unit, *entry[1:])}
ALLOWED = "0, or a number with s, min, h, d, w, mo (30 d) or y (365 d)"
_NUMBER = re.compile(r"(\d+\.?\d*(?:e[+-]?\d+)?|\.\d+)\s*([a-z]*)")


def seconds(text: str, subject: str = "time") -> float:
    """Return the seconds that a text means.

    Parameters
    ----------
    text : str
        A number and a unit, such as ``"1 h"`` or ``"30d"``; 0 needs none.
    subject : str
        What an error calls it.

    Raises
    ------
    ParameterError
        If it is no time, has no unit, is longer than 100 years, or lies between 0 and 1 ms.

    Examples
    --------
    >>> seconds("1 h"), seconds("0"), seconds("10 years")
    (3600.0, 0.0, 315360000.0)
    """
    found = _NUMBER.fullmatch(text.strip().lower())
    if found is None:
        raise ParameterError(say(subject, text, "is no time", ALLOWED, "Write it as 1h or 30d."))
    number, unit = float(found[1]), found[2]
    if not unit and number:
        raise ParameterError(say(subject, text, "has no unit", ALLOWED, f"Write {found[1]}s for seconds."))
    if unit == "m":
        raise ParameterError(say(subject, text, "could be minutes or months", ALLOWED, "Write min or mo."))
    if unit and unit not in _SECONDS:
        hint = near_miss(unit, _SECONDS).strip() or "Use one of these units."
        raise ParameterError(say(subject, text, f"has an unknown unit {unit!r}", ALLOWED, hint))
    return checked(number * _SECONDS.get(unit, 1.0), subject)


def checked(value: float, subject: str = "time") -> float:
    """Return ``value``, or raise `ParameterError` where it is no time that a chip can be asked about."""
    if not math.isfinite(value) or (value != 0 and not 1e-3 <= value <= LONGEST_S):
        raise ParameterError(say(subject, value, "is outside its bounds", "0, or 1 ms to 100 y", "Choose another.",
                                 unit="s"))  # fmt: skip
    return value


def several(text: str, subject: str = "times") -> list[float]:
    """Return the times of a text with commas between, seconds, in ascending order.

    Raises
    ------
    ParameterError
        If one of them is no time, or is given twice.

    Examples
    --------
    >>> several("1d, 1s, 1h")
    [1.0, 3600.0, 86400.0]
    """
    words = [word for word in text.split(",") if word.strip()]
    if not words:
        raise ParameterError(say(subject, text, "holds no time", ALLOWED, "Write 1s,1h,1d,1y."))
    found = sorted(seconds(word, subject) for word in words)
    twice = next((a for a, b in itertools.pairwise(found) if a == b), None)
    if twice is not None:
        raise ParameterError(say(subject, worded(twice), "is given twice", "each time once", "Leave one out."))
    return found


def worded(value: float) -> str:
    """Return a time in the largest unit that gives it exactly with four digits.

    Examples
    --------
    >>> worded(3600.0), worded(0.0), worded(2.592e6), worded(100.0)
    ('1 h', '0', '1 mo', '100 s')
    """
    for unit in reversed(_NAMES):
        text = f"{value / _NAMES[unit][0]:.4g}"
        if value >= _NAMES[unit][0] and math.isclose(float(text) * _NAMES[unit][0], value):
            return f"{text} {unit}"
    return f"{value!r} s" if value else "0"


def about(value: float) -> str:
    """Return a time with two or three digits, in the largest unit of which it has at least one.

    Examples
    --------
    >>> about(100.0), about(4e7), about(0.02)
    ('1.67 min', '1.27 y', '0.02 s')
    """
    unit = next((u for u in reversed(_NAMES) if value >= _NAMES[u][0] * (1 - 1e-9)), "s")
    return f"{value / _NAMES[unit][0]:.3g} {unit}" if value else "0"


def listed(values: list[float]) -> str:
    """Return times as `several` reads them.

    Examples
    --------
    >>> listed([0.0, 1.0, 86400.0])
    '0, 1 s, 1 d'
    """
    return ", ".join(map(worded, values))
