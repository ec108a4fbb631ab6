# SPDX-License-Identifier: Apache-2.0
"""The first step of a page that fits: a file, what it does not say of itself, and at once what that gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.fitting import MAX_BYTES
from explorer.fitting.units import ALLOWED
from explorer.views import theme
from explorer.views.column_lists import ColumnLists
from explorer.views.live import LatestWins
from explorer.views.reading_unit import ReadingUnit
from explorer.views.studio_data import Asked, FilePreview
from explorer.views.upload import Upload

LIMIT_MB = MAX_BYTES // 1_000_000


class FileInput(Viewer):
    """Base of such a step; a subclass lays it out (`side`, `main`) and shows what was read (`_read`).

    Parameters
    ----------
    read : callable
        Takes what was asked for, returns its preview; runs in a thread.
    roles : dict of str to str
        Role of a column to its meaning.
    example : callable
        Returns name and content of a file to try.
    hint : str
        What to do where there are no data yet.
    units : sequence of str
        Units that readings may have.
    """

    def __init__(self, read: Callable[[Asked], FilePreview], roles: Mapping[str, str],
                 example: Callable[[], tuple[str, bytes]], hint: str, units: Sequence[str] = ALLOWED):  # fmt: skip
        super().__init__()
        self.preview: FilePreview | None = None
        self.worker: LatestWins[Asked, Any] = LatestWins(read, self._read, self._failed)
        self.upload = Upload(self.take, self._say, limit_mb=LIMIT_MB, multiple=True)
        self.upload.dropper.margin = (10, 0, 0, 0)
        self.example = theme.button("Try with an example", icon="casino")
        self.example.on_click(lambda _: self.take(*example()))
        self.reading_unit = ReadingUnit(self._again, units=units)
        self.unit, self.voltage = self.reading_unit.unit, self.reading_unit.voltage
        self.columns = ColumnLists(roles, self._ask)
        self.busy, self.problem = theme.busy_box("Reading …", visible=False), theme.error_box(visible=False)
        self.summary, self.table = theme.html(margin=(10, 0, 4, 0)), theme.html()
        self.empty = theme.empty_box("No data yet", hint)

    def __panel__(self) -> Viewable:
        return pn.Column(*self.side, self.main, sizing_mode="stretch_width", margin=0)

    @property
    def side(self) -> list[Viewable]:
        """What stands in the sidebar."""
        raise NotImplementedError

    @property
    def main(self) -> Viewable:
        """What stands in the main area."""
        raise NotImplementedError

    def take(self, name: str, content: bytes) -> None:
        """Read a file."""
        self._request(Asked(name, content, *self.reading_unit.told))

    def _read(self, preview: Any) -> None:
        """Show what was read; what is wrong stands above the preview."""
        raise NotImplementedError

    def _show_file(self, preview: FilePreview) -> None:
        """Show the file as it stands there."""
        self._quiet()
        self.preview = preview
        self.columns.offer(preview.labels, preview.roles)
        head = [(name, "") for name in preview.labels]
        self.table.object = theme.table_markup(head, preview.rows) if preview.rows else ""
        self._say(preview.problem)

    def _ask(self, columns: dict[str, int] | None) -> None:
        """Read the file again, with these columns."""
        asked = self.preview.asked if self.preview else None
        if asked is not None and asked.content:
            unit, volts = self.reading_unit.told
            self._request(replace(asked, unit=unit, read_voltage_v=volts, columns=columns))

    def _again(self) -> None:
        if self.preview is not None:
            self._ask(self.preview.asked.columns)

    def _request(self, asked: Asked) -> None:
        self.busy.visible = True
        self.worker.request(asked)

    def _failed(self, problem: Exception) -> None:
        self._quiet()
        self.empty.visible = self.preview is None
        theme.say_error(self.problem, str(problem), "The file could not be read.")

    def _quiet(self) -> None:
        """Nothing is on its way any more, unless something waits."""
        self.busy.visible = self.worker.waiting

    def _say(self, problem: str) -> None:
        theme.say_error(self.problem, problem)
