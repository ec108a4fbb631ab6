# SPDX-License-Identifier: Apache-2.0
"""The retention page's first step: drop a file, say which column or array is what, see at once what that gives."""

from __future__ import annotations

from dataclasses import dataclass, field

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from explorer.fitting import MAX_BYTES, MeasuredDataError
from explorer.fitting.retention import Data, open_sheet, read_sheet
from explorer.fitting.retention.example import NAME, as_csv, example
from explorer.fitting.retention.reading import MEANINGS
from explorer.fitting.units import ALLOWED, CURRENTS, NUMBER
from explorer.views import theme
from explorer.views.column_lists import ColumnLists
from explorer.views.live import LatestWins
from explorer.views.number_box import NumberBox
from explorer.views.studio_data import PREVIEW_ROWS, Asked
from explorer.views.upload import Upload

LIMIT_MB = MAX_BYTES // 1_000_000
_AS_TOLD = "as the file says"
_HINT = "Drop a file at the left or try with an example: readings of many devices at growing times after programming."


@dataclass(frozen=True, eq=False)
class Preview:
    """The file as it stands there, and what was read of it; ``problem`` says why nothing was."""

    asked: Asked
    labels: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    roles: dict[str, int] = field(default_factory=dict)
    data: Data | None = None
    problem: str = ""


def read(asked: Asked) -> Preview:
    """Return the preview of a file; what is wrong with it is in ``problem``."""
    try:
        sheet = open_sheet(asked.content, asked.name)
    except MeasuredDataError as error:
        return Preview(asked, problem=str(error))
    told = {"labels": sheet.labels(), "rows": sheet.rows(PREVIEW_ROWS), "roles": asked.columns or sheet.guess()}
    try:
        data = read_sheet(sheet, unit=asked.unit, read_voltage_v=asked.read_voltage_v, columns=asked.columns)
    except MeasuredDataError as error:
        return Preview(asked, **told, problem=str(error))
    return Preview(asked, **told, data=data)


class RetentionInput(Viewer):
    """A file; sets ``data``.

    Attributes
    ----------
    data : Relaxation, Bake, TimeSeries or None
        What was read.
    """

    data = param.Parameter(None, doc="The measurement.")

    def __init__(self) -> None:
        super().__init__()
        self.preview: Preview | None = None
        self.worker: LatestWins[Asked, Preview] = LatestWins(read, self._read, self._failed)
        self.upload = Upload(self.take, self._say, limit_mb=LIMIT_MB, multiple=True)
        self.example = theme.button("Try with an example", icon="casino")
        self.example.on_click(lambda _: self.take(NAME, as_csv(example()).encode()))
        units = [_AS_TOLD, *(u for u in ALLOWED if u != NUMBER)]
        self.unit = theme.select("Unit of the readings", options=units, value=_AS_TOLD)
        self.voltage = NumberBox("Read voltage", 0.1, unit="V", doc="Turns a current into a conductance: G = I / V.")
        self.columns = ColumnLists(MEANINGS, self._ask)
        self.busy, self.problem = theme.busy_box("Reading …", visible=False), theme.error_box(visible=False)
        self.summary, self.table = theme.html(), theme.html()
        self.empty = theme.empty_box("No data yet", _HINT)
        self.body = pn.Column(self.summary, self.table, sizing_mode="stretch_width", margin=0, visible=False)
        self.unit.param.watch(self._again, "value")
        self.voltage.param.watch(self._again, "value")
        self.voltage.box.visible = False

    def __panel__(self) -> Viewable:
        return pn.Column(*self.side, self.main, sizing_mode="stretch_width", margin=0)

    @property
    def side(self) -> list[Viewable]:
        """What stands in the sidebar."""
        source = theme.card(
            "Retention data", self.upload, theme.row(self.example, margin=(8, 0)), self.unit, self.voltage,
            subtitle=f"CSV, npz, HDF5; at most {LIMIT_MB} MB",
        )  # fmt: skip
        return [source, theme.accordion(("Which column or array is what", self.columns))]

    @property
    def main(self) -> Viewable:
        """What stands in the main area."""
        return theme.card("Preview", self.busy, self.problem, self.empty, self.body,
                          subtitle="What was read of the file, and its first rows")  # fmt: skip

    def take(self, name: str, content: bytes) -> None:
        """Read a file."""
        self._request(Asked(name, content, *self._told()))

    def show(self, data: Data) -> None:
        """Show a measurement that is already there, as that of a job that is come back to."""
        self._read(Preview(Asked(data.source, b""), data=data))

    def _told(self) -> tuple[str | None, float | None]:
        unit = None if self.unit.value == _AS_TOLD else self.unit.value
        return unit, float(self.voltage.value) if unit in CURRENTS else None

    def _ask(self, columns: dict[str, int] | None) -> None:
        asked = self.preview.asked if self.preview else None
        if asked is not None and asked.content:
            self._request(Asked(asked.name, asked.content, *self._told(), columns))

    def _again(self, *events) -> None:
        self.voltage.box.visible = self.unit.value in CURRENTS
        if self.preview is not None:
            self._ask(self.preview.asked.columns)

    def _request(self, asked: Asked) -> None:
        self.busy.visible = True
        self.worker.request(asked)

    def _read(self, preview: Preview) -> None:
        """Show what was read; what is wrong stands above the preview."""
        self.busy.visible = self.worker.waiting
        self.preview = preview
        self.columns.offer(preview.labels, preview.roles)
        self.table.object = theme.table_markup([(n, "") for n in preview.labels], preview.rows) if preview.rows else ""
        self._say(preview.problem)
        self.empty.visible = not preview.labels and preview.data is None and not preview.problem
        words = "" if preview.data is None else preview.data.words().replace("uS", "µS")
        self.summary.object = theme.pair_markup(words or "Not read", preview.asked.name)
        self.body.visible = bool(preview.labels) or preview.data is not None
        self.data = preview.data

    def _failed(self, problem: Exception) -> None:
        self.busy.visible = self.worker.waiting
        self.empty.visible = self.preview is None
        theme.say_error(self.problem, str(problem), "The file could not be read.")

    def _say(self, problem: str) -> None:
        theme.say_error(self.problem, problem)
