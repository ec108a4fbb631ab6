# SPDX-License-Identifier: Apache-2.0
"""Units a reading may have, and how they become siemens."""

from __future__ import annotations

import math

import numpy as np

from engine.errors import near_miss

from .errors import refusal

SIEMENS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "nS": 1e-9}
"""Conductance units and their size in S."""

CURRENT = "A"
NUMBER = "1"
ALLOWED = (*SIEMENS, CURRENT, NUMBER)

_PREFIXES = {0: "", -3: "m", -6: "u", -9: "n", -12: "p"}


def checked(unit: str, subject: str) -> str:
    """Return ``unit`` with a micro sign written as ``u``, or refuse it with near misses.

    Raises
    ------
    MeasuredDataError
        If the unit is none of `ALLOWED`.
    """
    plain = str(unit).strip().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    if plain in ALLOWED:
        return plain
    hint = near_miss(plain, ALLOWED).strip() or "Convert the readings to one of these."
    allowed = f"{', '.join(ALLOWED)}; 1 is a plain number"
    raise refusal(subject, str(unit), "is not a known unit", allowed, hint)


def scale_to_si(unit: str, read_voltage_v: float | None, subject: str) -> tuple[float, str]:
    """Return ``(factor, si_unit)`` with ``factor * reading`` in ``S`` (or in ``1`` for plain numbers).

    A current becomes a conductance by ``G = I / V`` with the read voltage in volts.

    Raises
    ------
    MeasuredDataError
        If the unit is A and there is no read voltage, or the voltage is zero, infinite or NaN.
    """
    if unit == NUMBER:
        return 1.0, NUMBER
    if unit in SIEMENS:
        return SIEMENS[unit], "S"
    if read_voltage_v is None:
        remedy = "Give read_voltage_v in volts (argument, or a column of that name), or convert to siemens."
        raise refusal(subject, unit, "a current needs the voltage it was read at", "G = I / V", remedy)
    if not math.isfinite(read_voltage_v) or read_voltage_v == 0:
        rule = "a read voltage must be finite and not zero"
        raise refusal("read_voltage_v", float(read_voltage_v), rule, "for example 0.1 V", "Correct it.")
    return 1.0 / read_voltage_v, "S"


def engineering(values: np.ndarray | list[float], unit: str, digits: int = 4) -> str:
    """Write one or more values with a common SI prefix: ``1.606 to 2.485 mS``; plain for unit 1."""
    numbers = [float(v) for v in values]
    largest = max(map(abs, numbers))
    power = 0
    if unit != NUMBER and largest > 0:
        power = min(0, max(-12, 3 * math.floor(math.log10(largest) / 3)))
    words = " to ".join(f"{v / 10.0**power:.{digits}g}" for v in numbers)
    return words if unit == NUMBER else f"{words} {_PREFIXES[power]}{unit}"
