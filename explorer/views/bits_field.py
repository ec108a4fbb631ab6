# SPDX-License-Identifier: Apache-2.0
"""The row of a converter's resolution: bits on the slider and in the box, any other step size typed."""

from __future__ import annotations

import math

from bokeh.models import CustomJSTickFormatter

from engine.errors import say
from explorer.views import theme
from explorer.views.fields import NumberField, shown

FEWEST, MOST = 2, 12
"""Bits on the slider; beyond the most the converter is off."""
OFF = MOST + 1
"""Position of the slider where nothing is quantised."""

_MOST_TYPED = 64
_EXACT = 1e-9  # relative, for a resolution that was written as a decimal number
_EXAMPLES = " Type bits (7 bit), a share of the full range (1/126 or 0.01), or off."


def resolution(bits: float) -> float:
    """Return the resolution of a converter symmetric about zero, 1/(2^b - 2) of its full range.

    Examples
    --------
    >>> 1 / resolution(7)
    126.0
    """
    return 1 / (2.0**bits - 2)


def bits_of(value: float) -> float:
    """Return the bits of a resolution (steps where it is above 1), not always a whole number; infinite for 0."""
    if value <= 0:
        return math.inf
    return math.log2((value if value > 1 else 1 / value) + 2)


def text_of(value: float) -> str:
    """Return a resolution as the box shows it.

    Examples
    --------
    >>> text_of(1 / 126), text_of(0.0), text_of(0.01), text_of(0.5)
    ('7 bit', 'off', '1/100', '2 bit')
    """
    if value == 0:
        return "off"
    bits = bits_of(value)
    whole = round(bits)
    steps = value if value > 1 else 1 / value
    if whole >= FEWEST and abs(steps * resolution(whole) - 1) < _EXACT:
        return f"{whole} bit"
    return f"1/{round(steps)}" if abs(steps - round(steps)) < _EXACT * steps else shown(value)


def value_of(text: str) -> float | None:
    """Return the resolution that a text means, or None.

    A number alone means bits from 2 on, a share of the full range below 1.

    Examples
    --------
    >>> value_of("off"), value_of("1/100"), value_of("0.02"), value_of("many")
    (0.0, 0.01, 0.02, None)
    """
    plain = text.strip().lower()
    if plain == "off":
        return 0.0
    number = plain.removesuffix("s").removesuffix("bit").strip()
    top, _, bottom = number.partition("/")
    try:
        value = float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return None
    if number == plain and (bottom or value < 1):
        return value if value >= 0 else None
    return resolution(value) if FEWEST <= value <= _MOST_TYPED and not bottom else None


class BitsField(NumberField):
    """A resolution as bits: slider, box, off at the right end."""

    def _inputs(self, description: str) -> tuple:
        value = getattr(self._state.model, self.name)
        self.slider = theme.Slider(
            label=self.name, value=_position(value), start=FEWEST, end=OFF, step=1,
            format=CustomJSTickFormatter(code=f"return tick >= {OFF} ? 'off' : tick + ' bit'"),
            description=description + _EXAMPLES,
        )  # fmt: skip
        self.box = theme.number_box(text_of(value), "1", label=f"{self.name}, bits")
        return self._joined()

    def _at(self, position: float) -> float:
        return 0.0 if position >= OFF else resolution(position)

    def _take(self, text: str) -> None:
        value = value_of(text)
        if value is None:
            rule, allowed = "is no resolution", f"{FEWEST} to {_MOST_TYPED} bit, a share such as 1/126 or 0.01, off"
            self._state.refuse(self.name, say(self.name, text, rule, allowed, "Correct it."))
        else:
            self._state.set(**{self.name: value})

    def _show(self, value: float) -> None:
        self._in_box.write(text_of(value))
        if self.slider.value != _position(value):
            self._on_slider.write(_position(value))

    def _describe(self, description: str) -> None:
        self.slider.description = description + _EXAMPLES


def _position(value: float) -> float:
    return min(max(bits_of(value), FEWEST), MOST) if value > 0 else OFF
