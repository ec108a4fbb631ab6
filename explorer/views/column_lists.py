# SPDX-License-Identifier: Apache-2.0
"""Lists to say which column of a file means what."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.views import theme

_NONE = "–"


class ColumnLists(Viewer):
    """One list of columns for each role, and a button to guess anew.

    Parameters
    ----------
    roles : dict of str to str
        Role to its meaning.
    ask : callable
        Takes role to number of the column from 1 when the user has chosen, None when names shall tell.

    Attributes
    ----------
    selects : dict of str to Select
        By role.
    """

    def __init__(self, roles: Mapping[str, str], ask: Callable[[dict[str, int] | None], None]):
        super().__init__()
        self._ask, self._setting = ask, False
        self.selects = {role: theme.select(f"{role}: {meaning}", options={_NONE: 0}, value=0)
                        for role, meaning in roles.items()}  # fmt: skip
        self.by_names = theme.button("Guess again", icon="undo")
        self.by_names.on_click(lambda _: self._ask(None))
        for select in self.selects.values():
            select.param.watch(self._chosen, "value")
        self._view = pn.Column(*self.selects.values(), theme.row(self.by_names, margin=(6, 0)),
                               sizing_mode="stretch_width", margin=(4, 0))  # fmt: skip

    def __panel__(self) -> Viewable:
        return self._view

    def offer(self, labels: list[str], roles: Mapping[str, int]) -> None:
        """Show the columns of a file in the lists, as they were taken."""
        self._setting = True
        try:
            options = {_NONE: 0} | {f"{j}. {name}": j for j, name in enumerate(labels, 1)}
            for role, select in self.selects.items():
                select.param.update(options=options, value=roles.get(role, 0))
        finally:
            self._setting = False

    def _chosen(self, *events) -> None:
        if not self._setting:
            self._ask({role: select.value for role, select in self.selects.items() if select.value})
