# SPDX-License-Identifier: Apache-2.0
"""A box for one number that keeps every digit, shows its unit and says at once what it refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import param
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError, say
from engine.quantity import Model
from explorer.views import theme
from explorer.views.fields import explain, shown


class NumberBox(Viewer):
    """A text field for a number; ``value`` is always the last number that was accepted.

    Parameters
    ----------
    label : str
    value : float or int
    unit : str
        Shown behind the label; ``"1"`` for a pure number.
    doc : str
        Tooltip.
    check : callable, optional
        Takes the number and raises `OhmscapeError` where it breaks a rule.

    Attributes
    ----------
    problem : str
        One line on why the text in the field was refused; empty when it was accepted.
    """

    value = param.Number(0, doc="The last accepted number.")
    problem = param.String("", doc="Why the text in the field was refused.")

    def __init__(
        self,
        label: str,
        value: float,
        *,
        unit: str = "1",
        doc: str = "",
        check: Callable[[float], Any] | None = None,
        **layout: Any,
    ):
        super().__init__(value=value)
        self._label, self._check = label, check
        self.box = theme.text_box(theme.axis_label(label, unit), shown(value), description=doc, **layout)
        self.box.param.watch(self._typed, "value")
        self.param.watch(self._changed, "value")

    @classmethod
    def of(cls, model: type[Model], name: str, label: str = "", unit: str = "", **layout: Any) -> NumberBox:
        """Return the box of one parameter of a model class: meaning, bounds and default are its own."""
        about = model.describe(name)

        def check(number: float) -> None:
            model.param[name]._validate(number)

        return cls(
            label or name, about["default"], unit=unit or about["unit"], doc=explain(about, ""), check=check, **layout
        )

    def __panel__(self) -> Viewable:
        return self.box

    def set_unit(self, unit: str) -> None:
        """Change the unit behind the label."""
        self.box.label = theme.axis_label(self._label, unit)

    def _changed(self, event: param.parameterized.Event) -> None:
        if _parsed(self.box.value) != event.new:
            self.box.value = shown(event.new)
        self._complain("")

    def _typed(self, event: param.parameterized.Event) -> None:
        number = _parsed(event.new)
        try:
            if number is None:
                raise OhmscapeError(
                    say(self._label, event.new, "must be a finite number", "such as 12, 0.01 or 1e-3", "Correct it.")
                )
            if self._check is not None:
                self._check(number)
        except OhmscapeError as refused:
            self._complain(str(refused))
            return
        self._complain("")
        self.value = number

    def _complain(self, problem: str) -> None:
        self.problem = problem
        self.box.param.update(error_state=bool(problem), helper_text=problem)


def _parsed(text: str) -> float | int | None:
    """Return the finite number that ``text`` is, as an int where it is a whole one, or None."""
    try:
        number = float(str(text).strip().replace(",", "."))
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    return int(number) if number == int(number) and abs(number) < 2**53 else number
