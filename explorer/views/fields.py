# SPDX-License-Identifier: Apache-2.0
"""One row of the parameter panel: the widgets of one number, flag, choice or table, kept in step with the state."""

from __future__ import annotations

import math
from typing import Any

import panel as pn
from bokeh.models import CustomJSTickFormatter

from explorer.labs.history import EditedModel
from explorer.views import theme
from explorer.views.echo import Written

_POSITIONS = 200  # of a linear slider, before its step is rounded to 1, 2 or 5
_LOG_STEP = 0.01  # decades
_MAX_CHARACTERS = 100_000  # of a table
_DIGITS = 4  # a slider's value is rounded to these: what stands in the box is what is used


class Scale:
    """From a value to the position of its slider and back; logarithmic sliders move the exponent.

    Parameters
    ----------
    about : dict
        What ``Device.describe`` says.
    values : float
        Values that must lie on the slider, such as the one of a preset outside the usual range.
    """

    def __init__(self, about: dict[str, Any], *values: float):
        self.log, self.integer = about["log"], about["integer"]
        low, high = about["softbounds"]
        self.start, self.end = self.position(min((low, *values))), self.position(max((high, *values)))

    @property
    def step(self) -> float:
        """Distance of two positions."""
        if self.log:
            return _LOG_STEP
        if self.integer:
            return 1
        rough = (self.end - self.start) / _POSITIONS
        decade = 10.0 ** math.floor(math.log10(rough))
        return next(m * decade for m in (1, 2, 5, 10) if m * decade >= rough * 0.999)

    def position(self, value: float) -> float:
        """Return where the slider stands for a value."""
        return math.log10(value) if self.log else float(value)

    def value(self, position: float) -> float:
        """Return the value of a position."""
        if self.integer:
            return round(position)
        return float(f"{10.0**position if self.log else position:.{_DIGITS}g}")

    def formatter(self) -> CustomJSTickFormatter:
        """Return what tells the value to a screen reader."""
        return CustomJSTickFormatter(code=f"return ({'Math.pow(10, tick)' if self.log else 'tick'}).toPrecision(4)")


def shown(value: float) -> str:
    """Return a number as its box shows it: all its digits, none more."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def shown_as(kind: str, value: Any) -> Any:
    """Return a value of any kind as its field shows it."""
    if kind == "table":
        return ", ".join(shown(entry) for entry in value)
    return shown(value) if kind == "number" else value


def explain(about: dict[str, Any], value_source: str) -> str:
    """Return the tooltip of a parameter: meaning, unit, bounds, default, source."""
    parts = [about["doc"]]
    if about["kind"] == "number":
        low, high = about["bounds"] or (None, None)
        closed = about["inclusive_bounds"] or (True, True)
        unit = "pure number" if about["unit"] == "1" else f"unit {about['unit']}"
        limits = [f"{'≥' if closed[0] else '>'} {low:g}"] if low is not None else []
        limits += [f"{'≤' if closed[1] else '<'} {high:g}"] if high is not None else []
        parts.append(f"{unit[0].upper()}{unit[1:]}{', ' if limits else ''}{' and '.join(limits)}.")
    if about["kind"] == "table":
        unit = "pure numbers" if about["unit"] == "1" else f"unit {about['unit']}"
        parts.append(f"Numbers at equally spaced nodes, separated by commas, {unit}.")
    default = shown_as(about["kind"], about["default"])
    parts.append(f"Class default {default}. Source: {value_source or about['source']}.")
    return " ".join(parts)


class Field:
    """What all rows share; a subclass makes ``_inputs`` and shows values in them."""

    def __init__(self, state: EditedModel, name: str, value_source: str):
        self.name, self._state = name, state
        self.about = state.model.describe(name)
        self._showing = False  # our own writing to a widget is no edit by the user
        self._followed: tuple | None = None
        self.undo_edit = theme.icon_button("restart_alt", f"Reset {name}", margin=(14, 0, 0, 0), width=30)
        self.undo_edit.on_click(lambda _: state.reset(name))
        self.problem = theme.error_box(visible=False, margin=(0, 0, 6, 0))
        line = pn.Row(*self._inputs(explain(self.about, value_source)), self.undo_edit, sizing_mode="stretch_width")
        self.view = pn.Column(line, self.problem, sizing_mode="stretch_width", css_classes=["field", name], margin=0)
        self.sync()

    def sync(self) -> None:
        """Show what the state has; an entry that was refused stays, with the reason below."""
        state = self._state
        self.follow(getattr(state.model, self.name), state.start_value(self.name), state.problem_of(self.name))

    def follow(self, value: Any, start: Any, refused: str) -> None:
        """Show a value, whether it differs from the one to begin with, and why an entry was refused.

        Does nothing where nothing has changed: a slider's move must not cost an update of every row.
        """
        now = (value, start, refused)
        if now == self._followed:
            return
        self._followed = now
        self._showing = True
        try:
            if not refused:
                self._show(value)
            self._mark(bool(refused))
            if self.problem.visible or refused:
                theme.say_error(self.problem, refused)
            offered = value != start or bool(refused)  # hidden, it keeps its place: nothing jumps
            self.undo_edit.styles = {"visibility": "visible" if offered else "hidden"}
        finally:
            self._showing = False

    def explain(self, value_source: str) -> None:
        """Name another source in the tooltip: another preset of the same class is shown."""
        self._describe(explain(self.about, value_source))

    def _set(self, value: Any) -> None:
        if not self._showing:
            self._state.set(**{self.name: value})

    def _inputs(self, description: str) -> tuple:
        raise NotImplementedError  # each kind has its own widgets

    def _show(self, value: Any) -> None:
        raise NotImplementedError  # as above

    def _mark(self, refused: bool) -> None:
        raise NotImplementedError  # as above

    def _describe(self, description: str) -> None:
        raise NotImplementedError  # as above


class NumberField(Field):
    """A number: slider and box."""

    def _inputs(self, description: str) -> tuple:
        value = getattr(self._state.model, self.name)
        self.scale = Scale(self.about, value)
        self.slider = theme.Slider(
            label=self.name, value=self.scale.position(value), start=self.scale.start, end=self.scale.end,
            step=self.scale.step, format=self.scale.formatter(), description=description,
        )  # fmt: skip
        self.box = theme.number_box(shown(value), self.about["unit"], label=f"{self.name}, number")
        return self._joined()

    def _joined(self) -> tuple:
        """Follow slider and box; return them."""
        self._on_slider, self._in_box = Written(self.slider), Written(self.box)
        self.slider.param.watch(self._slid, "value")
        self.slider.param.watch(lambda _: self._state.settle(), "value_throttled")
        self.box.param.watch(self._typed, "value")
        return self.slider, self.box

    def _slid(self, event: Any) -> None:
        if self._showing:
            return
        if self._on_slider.came_back(event.new):
            self._show_again()
        else:
            self._state.slide(**{self.name: self._at(event.new)})

    def _at(self, position: float) -> float:
        """Return the value at a position of the slider."""
        return self.scale.value(position)

    def _typed(self, event: Any) -> None:
        if self._showing:
            return
        if self._in_box.came_back(event.new):
            self._show_again()
            return
        self._followed = None  # show it anew even if it is the value there was: the text may differ
        self._take(event.new)

    def _take(self, text: str) -> None:
        """Set the value that a text means."""
        try:
            value: float | str = float(text)
        except ValueError:
            value = text  # the parameter itself refuses it, in its own words
        self._state.set(**{self.name: value})

    def _show_again(self) -> None:
        self._followed = None
        self.sync()

    def _show(self, value: float) -> None:
        self._in_box.write(shown(value))
        at = self.scale.position(value)
        if abs(self.slider.value - at) <= 0.5 * self.scale.step:  # where the user's own drag has put it
            return
        if not self.slider.start <= at <= self.slider.end:
            self.scale = Scale(self.about, value)
            self.slider.param.update(start=self.scale.start, end=self.scale.end, step=self.scale.step)
        self._on_slider.write(at)

    def _mark(self, refused: bool) -> None:
        self.box.error_state = refused

    def _describe(self, description: str) -> None:
        self.slider.description = description


class FlagField(Field):
    """A yes or no."""

    def _inputs(self, description: str) -> tuple:
        self.switch = theme.switch(self.name, value=getattr(self._state.model, self.name), description=description)
        self.switch.param.watch(lambda event: self._set(event.new), "value")
        self.undo_edit.margin = 0
        return (self.switch,)

    def _show(self, value: bool) -> None:
        self.switch.value = value

    def _mark(self, refused: bool) -> None:
        self.switch.color = "error" if refused else "primary"

    def _describe(self, description: str) -> None:
        self.switch.description = description


class ChoiceField(Field):
    """One of a few."""

    def _inputs(self, description: str) -> tuple:
        self.select = theme.select(
            self.name, options=self.about["objects"], value=getattr(self._state.model, self.name),
            description=description,
        )  # fmt: skip
        self.select.param.watch(lambda event: self._set(event.new), "value")
        return (self.select,)

    def _show(self, value: Any) -> None:
        self.select.value = value

    def _mark(self, refused: bool) -> None:
        self.select.error_state = refused

    def _describe(self, description: str) -> None:
        self.select.description = description


class TableField(Field):
    """A list of numbers at equally spaced nodes: a box for all of them, their number below it."""

    def _inputs(self, description: str) -> tuple:
        value = getattr(self._state.model, self.name)
        label = theme.axis_label(self.name, self.about["unit"])
        self.box = theme.text_box(
            label, shown_as("table", value), description=description, max_length=_MAX_CHARACTERS, margin=(10, 4, 2, 4)
        )
        self.nodes = theme.caption("", margin=(0, 0, 4, 4))
        self.box.param.watch(self._typed, "value")
        return (pn.Column(self.box, self.nodes, sizing_mode="stretch_width", margin=0),)

    def _typed(self, event: Any) -> None:
        if self._showing:
            return
        self._followed = None  # show it anew even if it is the value there was: the text may differ
        self._state.set(**{self.name: numbers_in(event.new)})

    def _show(self, value: list[float]) -> None:
        self.box.value = shown_as("table", value)
        self.nodes.object = theme.caption_markup(_nodes_text(value))

    def _mark(self, refused: bool) -> None:
        self.box.error_state = refused

    def _describe(self, description: str) -> None:
        self.box.description = description


def numbers_in(text: str) -> list[float | str]:
    """Return the numbers of a text, separated by commas, semicolons or blanks; what is no number stays a word.

    The parameter itself refuses such a word, in its own words and by its place in the list.
    """
    return [_number_or_word(word) for word in text.replace(";", " ").replace(",", " ").strip("[] \n\t").split()]


def _number_or_word(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def _nodes_text(value: list[float]) -> str:
    if len(value) == 1:
        return "1 node: the same everywhere"
    return f"{len(value)} nodes from lower to upper bound, {min(value):.4g} to {max(value):.4g}"


KINDS = {"number": NumberField, "flag": FlagField, "choice": ChoiceField, "table": TableField}
