# SPDX-License-Identifier: Apache-2.0
"""The parameter panel of a model under edit, made from what its class says about its parameters."""

from __future__ import annotations

from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.labs.history import EditedModel
from explorer.views import theme
from explorer.views.fields import KINDS, Field
from explorer.views.live import Later

_OPEN_GROUPS = (0, 1)  # a closed group costs the page nothing until it is opened


class ParameterPanel(Viewer):
    """Every parameter of the state's model with slider, box, reset; undo, redo and the state of the whole.

    Parameters
    ----------
    state : EditedModel
    rows : dict, optional
        Parameter name to the class of its row, where that is not the one of its kind.
    open_groups : tuple of int
        The groups that are open at first.
    """

    def __init__(
        self,
        state: EditedModel,
        *,
        rows: dict[str, type[Field]] | None = None,
        open_groups: tuple[int, ...] = _OPEN_GROUPS,
    ):
        super().__init__()
        self._state, self._rows, self._open = state, rows or {}, open_groups
        self.fields: dict[str, Field] = {}
        self._columns: dict[str, pn.Column] = {}
        self._shown: tuple[Any, str] | None = None  # kind of model and preset that the rows were made for
        self.chip = theme.chip()
        self.undo = theme.icon_button("undo", "Undo the last change")
        self.redo = theme.icon_button("redo", "Do again what was undone")
        self.reset = theme.icon_button("restart_alt", "Reset all parameters")
        self.undo.on_click(lambda _: state.undo())
        self.redo.on_click(lambda _: state.redo())
        self.reset.on_click(lambda _: state.reset())
        self.groups = theme.accordion()
        bar = pn.Row(self.chip, pn.HSpacer(), self.undo, self.redo, self.reset, sizing_mode="stretch_width", margin=0)
        self._view = pn.Column(bar, self.groups, sizing_mode="stretch_width", margin=0)
        self._sync()
        state.param.watch(Later(self._sync).changed, ["revision", "problem", "problem_field"])

    def __panel__(self) -> Viewable:
        return self._view

    def _sync(self) -> None:
        state = self._state
        now = (getattr(state.model, "kind", type(state.model)), state.preset)
        if self._shown is None or self._shown[0] != now[0]:
            self._build()
        elif self._shown != now:
            sources = state.value_sources()
            for name, field in self.fields.items():
                field.explain(sources.get(name, ""))
        self._shown = now
        values, start = state.model.values(), state.start_values()
        for name, field in self.fields.items():
            field.follow(values[name], start[name], state.problem_of(name))
        self._sync_bar(sum(values[name] != start[name] for name in values))

    def _sync_bar(self, edited: int) -> None:
        state = self._state
        if state.problem:
            label, color = f"Invalid entry: last valid {state.noun} shown", "error"
        elif edited:
            label, color = f"Edited: {edited} parameter{'s' if edited > 1 else ''}", "primary"
        else:
            label, color = ("Preset" if state.preset else "Class defaults"), "default"
        self.chip.param.update(label=label, color=color)
        self.undo.disabled, self.redo.disabled = not state.can_undo, not state.can_redo
        self.reset.disabled = not (edited or state.problem)

    def _build(self) -> None:
        state = self._state
        sources = state.value_sources()
        before, self.fields = self.fields, {}
        groups: dict[str, list[Viewable]] = {}
        for name in state.model.fields():
            about = state.model.describe(name)
            field = before.get(name)
            if field is None or field.about != about:  # to make a row takes long: one that still fits stays
                row = self._rows.get(name) or KINDS[about["kind"]]
                field = row(state, name, sources.get(name, ""))
            else:
                field.explain(sources.get(name, ""))
            self.fields[name] = field
            groups.setdefault(about["group"], []).append(field.view)
        self._arrange(groups)

    def _arrange(self, groups: dict[str, list[Viewable]]) -> None:
        """Put the rows into their groups; what stays is not drawn anew, and a group that is open stays open."""
        before, self._columns = self._columns, {}
        for title, views in groups.items():
            column = before.get(title) or pn.Column(sizing_mode="stretch_width", margin=0)
            if column.objects != views:
                column.objects = views
            self._columns[title] = column
        titles, old = list(self._columns), list(before)
        if titles == old:
            return
        opened = {old[k] for k in self.groups.active}
        if not set(titles) & set(old):
            opened = {titles[k] for k in self._open if k < len(titles)}
        self.groups.active = []  # the indices would point into the old list
        self.groups[:] = list(self._columns.items())
        self.groups.active = [k for k, title in enumerate(titles) if title in opened]
