# SPDX-License-Identifier: Apache-2.0
"""Units a reading may have, and how they become siemens."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import numpy as np

from engine.errors import near_miss

from .errors import refusal

SIEMENS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "nS": 1e-9}
"""Conductance units and their size in S."""

CURRENTS = {"A": 1.0, "mA": 1e-3, "uA": 1e-6, "nA": 1e-9}
"""Units of a read current and their size in A; G = I / V."""

OHMS = {"ohm": 1.0, "kohm": 1e3, "Mohm": 1e6}
"""Units of resistance and their size in ohm; G = 1 / R."""

NUMBER = "1"
ALLOWED = (*SIEMENS, *CURRENTS, *OHMS, NUMBER)

_PREFIXES = {0: "", -3: "m", -6: "u", -9: "n", -12: "p"}
_SPELT = {"siemens": "S", "normalised": NUMBER, "normalized": NUMBER, "a.u.": NUMBER, "au": NUMBER, "ohms": "ohm"}
_IN_BRACKETS = re.compile(r"(?P<name>.*?)\s*(?:[\[(]\s*(?P<unit>[^\])]+?)\s*[\])]|/\s*(?P<slashed>[^\s/]+))\s*$")

Convert = Callable[[np.ndarray], np.ndarray]


def spelt(unit: str) -> str:
    """Return a unit in plain letters and words as symbols: ``µS`` is ``uS``, ``kΩ`` is ``kohm``."""
    plain = str(unit).strip().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    plain = re.sub("\N{OHM SIGN}|\N{GREEK CAPITAL LETTER OMEGA}|Ohm|OHM", "ohm", plain)
    return _SPELT.get(plain.casefold(), plain)


def checked(unit: str, subject: str) -> str:
    """Return ``unit`` as `spelt`, or refuse it with near misses.

    Raises
    ------
    MeasuredDataError
        If the unit is none of `ALLOWED`.
    """
    plain = spelt(unit)
    if plain in ALLOWED:
        return plain
    hint = near_miss(plain, ALLOWED).strip() or "Convert the readings to one of these."
    allowed = f"{', '.join(ALLOWED)}; 1 is a plain number"
    raise refusal(subject, str(unit), "is not a known unit", allowed, hint)


def split_name(name: str) -> tuple[str, str | None]:
    """Return a column name without its unit, and the unit or None: ``G (µS)`` gives ``G`` and ``uS``."""
    match = _IN_BRACKETS.match(name)
    if match and spelt(match["unit"] or match["slashed"]) in ALLOWED:
        return match["name"].strip(), spelt(match["unit"] or match["slashed"])
    return name.strip(), None


def to_si(unit: str, read_voltage_v: float | None, subject: str) -> tuple[Convert, str]:
    """Return ``(convert, si_unit)``; ``convert`` takes readings to ``S``, or to ``1`` for plain numbers.

    A current becomes a conductance by ``G = I / V`` with the read voltage in volts, a resistance by ``G = 1 / R``.

    Raises
    ------
    MeasuredDataError
        If the unit is a current and there is no read voltage, or the voltage is zero, infinite or NaN. ``convert``
        raises at a resistance of zero.
    """
    if unit == NUMBER:
        return _scaled(1.0), NUMBER
    if unit in SIEMENS:
        return _scaled(SIEMENS[unit]), "S"
    if unit in OHMS:
        return _inverted(OHMS[unit], subject), "S"
    if read_voltage_v is None:
        remedy = "Give read_voltage_v in volts (argument, or a column of that name), or convert to siemens."
        raise refusal(subject, unit, "a current needs the voltage it was read at", "G = I / V", remedy)
    if not math.isfinite(read_voltage_v) or read_voltage_v == 0:
        rule = "a read voltage must be finite and not zero"
        raise refusal("read_voltage_v", float(read_voltage_v), rule, "for example 0.1 V", "Correct it.")
    return _scaled(CURRENTS[unit] / read_voltage_v), "S"


def _scaled(factor: float) -> Convert:
    return lambda readings: readings * factor


def _inverted(size: float, subject: str) -> Convert:
    def convert(readings: np.ndarray) -> np.ndarray:
        if (readings == 0).any():
            rule, allowed = "a resistance of 0 ohm has no finite conductance", "readings that are not 0"
            raise refusal(subject, 0.0, rule, allowed, "Correct these readings or delete their rows.")
        return 1.0 / (readings * size)

    return convert


def engineering(values: np.ndarray | list[float], unit: str, digits: int = 4) -> str:
    """Write one or more values with a common SI prefix: ``1.606 to 2.485 mS``; plain for unit 1."""
    numbers = [float(v) for v in values]
    largest = max(map(abs, numbers))
    power = 0
    if unit != NUMBER and largest > 0:
        power = min(0, max(-12, 3 * math.floor(math.log10(largest) / 3)))
    words = " to ".join(f"{v / 10.0**power:.{digits}g}" for v in numbers)
    return words if unit == NUMBER else f"{words} {_PREFIXES[power]}{unit}"
