# SPDX-License-Identifier: Apache-2.0
"""Numbers as people read them."""

from __future__ import annotations

import math

NONE = "–"
"""What stands where there is no number."""


def four_digits(value: float) -> str:
    """Return four significant digits, thin spaces between thousands, a true minus."""
    return _digits(value, ".4g")


def fixed(value: float, decimals: int = 1) -> str:
    """Return a number with so many decimals; a dash where there is none.

    Examples
    --------
    >>> fixed(24.345), fixed(float("inf")), fixed(float("nan"))
    ('24.3', '∞', '–')
    """
    return NONE if math.isnan(value) else _digits(value, f",.{decimals}f")


def percent(share: float) -> str:
    """Return a share in percent with two significant digits or all before the point, never a rounded-down zero.

    Examples
    --------
    >>> percent(0.0), percent(0.0312), percent(0.64), percent(1e-6), percent(2.717)
    ('0', '3.1', '64', '0.0001', '272')
    """
    if math.isnan(share):
        return NONE
    return "0" if share == 0 else f"{100 * share:.2g}" if share < 0.995 else f"{100 * share:.0f}"


def _digits(value: float, form: str) -> str:
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    value = value or 0.0  # no minus zero
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:{form}}"
    return text.replace(",", "\u202f").replace("-", "−")
