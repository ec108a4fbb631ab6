# SPDX-License-Identifier: Apache-2.0
"""A model under edit: changes that are refused or kept, undone and redone, and reset to where they started."""

from __future__ import annotations

from typing import Any, ClassVar

import param

from engine.errors import OhmscapeError

_UNDO_DEPTH = 100


class EditedModel(param.Parameterized):
    """What a panel of parameters edits; views watch ``revision``.

    A subclass names the parameter that holds the model in ``holds``. The model is anything with the methods ``fields``,
    ``describe``, ``values`` and ``copy`` of `engine.quantity.Model`. It is replaced, never mutated, so a view may keep
    the object it has drawn. An edit that breaks a rule leaves it as it was and sets ``problem``.
    """

    holds: ClassVar[str]
    noun: ClassVar[str] = "model"
    """What messages call it."""

    preset = param.String("", doc="Name of the preset the model started from; empty where there is none.")
    problem = param.String("", doc="One line about the last edit that was refused; empty when all is well.")
    problem_field = param.String("", doc="The parameter the problem is about.")
    revision = param.Integer(0, doc="Grows by one with every accepted change.")

    def __init__(self, model: Any, preset: str = "", **values):
        self._undo: list[tuple[str, Any, Any]] = []
        self._redo: list[tuple[str, Any, Any]] = []
        self._sliding: tuple[str, ...] = ()  # parameters of the slide that the next `slide` may continue
        super().__init__(**{self.holds: model}, preset=preset, **values)
        self._start = self.model

    @property
    def model(self) -> Any:
        """The last valid model."""
        return getattr(self, self.holds)

    @property
    def edited(self) -> bool:
        """Whether the model differs from what it started from."""
        return self.model != self._start

    def edited_fields(self) -> list[str]:
        """Return the parameters that differ from the start."""
        start = self._start.values()
        return [n for n, v in self.model.values().items() if v != start[n]]

    def start_value(self, name: str) -> Any:
        """Return the value a reset of one parameter goes back to."""
        return getattr(self._start, name)

    def start_values(self) -> dict[str, Any]:
        """Return the values a reset of all goes back to."""
        return self._start.values()

    def problem_of(self, name: str) -> str:
        """Return why an entry for one parameter was refused, or an empty string."""
        return self.problem if self.problem_field == name else ""

    def value_sources(self) -> dict[str, str]:
        """Return parameter name to where the value it started from comes from; empty where nothing is known."""
        return {}

    def set(self, **values: Any) -> bool:
        """Change parameters; return whether the change was accepted, else ``problem`` says why not."""
        self._sliding = ()
        return self._change(values, continued=False)

    def slide(self, **values: Any) -> bool:
        """As `set`, for a slider under way: moves of the same parameters in a row are undone as one."""
        names, before = tuple(values), self.model
        accepted = self._change(values, continued=names == self._sliding)
        if self.model is not before:
            self._sliding = names
        return accepted

    def settle(self) -> None:
        """End the slide: the slider was let go."""
        self._sliding = ()

    def refuse(self, name: str, problem: str) -> None:
        """Say why an entry for one parameter is not taken, one line."""
        self.param.update(problem=problem, problem_field=name)

    def _change(self, values: dict[str, Any], *, continued: bool) -> bool:
        try:
            changed = self.model.copy(**values)
        except OhmscapeError as error:
            self.refuse(next(iter(values)), str(error))
            return False
        if changed != self.model:
            if not continued:
                self._push()
            self._show(self.preset, changed)
        else:
            self.param.update(problem="", problem_field="")
        return True

    def reset(self, *names: str) -> None:
        """Take parameters (all without arguments) back to the values they started from."""
        chosen = names or tuple(self.model.fields())
        self.set(**{n: self.start_value(n) for n in chosen})

    def undo(self) -> None:
        """Take back the last change."""
        self._travel(self._undo, self._redo)

    def redo(self) -> None:
        """Do again what `undo` took back."""
        self._travel(self._redo, self._undo)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return bool(self._redo)

    def to_query(self) -> dict[str, Any]:
        """Return the whole state as plain values, for a link."""
        raise NotImplementedError  # each lab has its own

    def from_query(self, query: dict[str, Any]) -> None:
        """Restore what `to_query` gave; raises `OhmscapeError` where the values break a rule."""
        raise NotImplementedError  # as above

    def _begin(self, preset: str, model: Any) -> None:
        self._sliding = ()
        self._push()
        self._start = model
        self._show(preset, model)

    def _push(self) -> None:
        self._undo = [*self._undo[-_UNDO_DEPTH:], (self.preset, self._start, self.model)]
        self._redo = []

    def _travel(self, source: list, target: list) -> None:
        self._sliding = ()
        if not source:
            return
        target.append((self.preset, self._start, self.model))
        preset, self._start, model = source.pop()
        self._show(preset, model)

    def _show(self, preset: str, model: Any) -> None:
        self.param.update(
            **{self.holds: model}, preset=preset, problem="", problem_field="", revision=self.revision + 1
        )
