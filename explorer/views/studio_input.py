# SPDX-License-Identifier: Apache-2.0
"""The fit studio's first step: drop a file or paste, say what its columns are, see at once what that gives."""

from __future__ import annotations

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from explorer.fitting import MAX_BYTES, Normalised
from explorer.fitting.roles import MEANINGS
from explorer.fitting.units import ALLOWED, CURRENTS
from explorer.views import theme
from explorer.views.column_lists import ColumnLists
from explorer.views.live import LatestWins, served
from explorer.views.mapping import Mapping
from explorer.views.measured_files import EXAMPLE_NAME, example_csv
from explorer.views.measured_plot import MeasuredPlot
from explorer.views.number_box import NumberBox
from explorer.views.studio_data import Asked, Preview, Reader, rejected_rows, wording
from explorer.views.upload import Upload

LIMIT_MB = MAX_BYTES // 1_000_000
MAX_REJECTED = 200
_POLL_MS = 200
_AS_TOLD = "as the file says"
_SHOWN_ROLES = ("value", "direction", "device_id", "cycle", "index", "n_pulses", "read_index", "unit", "read_voltage_v")
_REJECTED_HEAD = [
    ("Line", "Line of the file, from 1."), ("Column", "Name of the offending column."), ("Cell", "As it stands there."),
    ("Reason", "The rule that it breaks."), ("What to do", ""),
]  # fmt: skip


class StudioInput(Viewer):
    """A file or a pasted text; sets ``normalised``.

    Attributes
    ----------
    normalised : Normalised or None
        The readings with their map to weights.
    """

    normalised = param.ClassSelector(class_=Normalised, default=None, allow_None=True, doc="The readings, mapped.")

    def __init__(self) -> None:
        super().__init__()
        self.reader, self.preview = Reader(), None
        self.worker: LatestWins[Asked, Preview] = LatestWins(self.reader.read, self._read, self._failed)
        self.upload = Upload(self.take, self._say, limit_mb=LIMIT_MB, multiple=True)
        self.merge = theme.switch("Add to the data that are there", value=False)
        self.pasted = theme.text_area("Or paste readings", placeholder="pulse,conductance (uS)\n1,10.2\n2,10.9")
        self.use_pasted = theme.button("Read the pasted text", icon="input")
        self.example = theme.button("Try with an example", icon="casino")
        self.bar, self.busy = theme.progress_bar(visible=False), theme.busy_box("Reading …", visible=False)
        self.problem, self.warnings = theme.error_box(visible=False), theme.warning_box(visible=False)
        self.unit = theme.select("Unit of the readings", options=[_AS_TOLD, *ALLOWED], value=_AS_TOLD)
        self.voltage = NumberBox("Read voltage", 0.1, unit="V", doc="Turns a current into a conductance: G = I / V.")
        self.columns = ColumnLists({role: MEANINGS[role] for role in _SHOWN_ROLES}, self._ask)
        self.roles = self.columns.selects
        self.mapping, self.plot = Mapping(), MeasuredPlot()
        self.map_problem = theme.error_box(visible=False)
        self.summary, self.table, self.rejected = theme.html(), theme.html(), theme.html()
        self.rejected_note = theme.warning_box(visible=False)
        self.empty = theme.empty_box("No data yet", "Drop a file at the left, paste readings, or try with an example.")
        self._poller = pn.state.add_periodic_callback(self._tell_share, _POLL_MS, start=False)
        self.body = self._body()
        self._connect()

    def __panel__(self) -> Viewable:
        return pn.Column(*self.side, self.main, sizing_mode="stretch_width", margin=0)

    @property
    def side(self) -> list[Viewable]:
        """What stands in the sidebar."""
        source = theme.card(
            "Data", self.upload, self.merge, self.pasted, theme.row(self.use_pasted, self.example, margin=(8, 0)),
            self.unit, self.voltage, subtitle=f"CSV, Excel's CSV, npz, HDF5; at most {LIMIT_MB} MB",
        )  # fmt: skip
        return [source, theme.accordion(("Which column is what", self.columns))]

    @property
    def main(self) -> Viewable:
        """What stands in the main area."""
        return theme.card("Preview", self.busy, self.bar, self.problem, self.empty, self.body,
                          subtitle="What was read, and which reading is which weight")  # fmt: skip

    def _body(self) -> pn.Column:
        return pn.Column(
            self.summary, self.warnings, self.mapping, self.mapping.rule, self.map_problem, self.plot,
            self.rejected_note,
            theme.accordion(("First rows of the file", self.table), ("Rejected rows", self.rejected)),
            sizing_mode="stretch_width", margin=0, visible=False,
        )  # fmt: skip

    def _connect(self) -> None:
        self.use_pasted.on_click(lambda _: self.take("pasted.csv", self.pasted.value.encode()))
        self.example.on_click(lambda _: self.take(EXAMPLE_NAME, example_csv().encode()))
        self.unit.param.watch(self._again, "value")
        self.voltage.param.watch(self._again, "value")
        self.voltage.box.visible = False
        self.mapping.as_device.visible = False
        self.mapping.found.on_click(lambda _: self.mapping.set(-1.0, 1.0))
        self.mapping.as_read.on_click(lambda _: self.mapping.set_as_read())
        self.mapping.param.watch(self._mapped, "normalised")
        self.mapping.param.watch(lambda event: theme.say_error(self.map_problem, event.new), "problem")

    def take(self, name: str, content: bytes) -> None:
        """Read a file, or a file more."""
        shown = self.preview.asked if self.preview and self.merge.value and self.preview.measured else None
        others = (*shown.others, (shown.name, shown.content)) if shown and shown.content else ()
        self._request(Asked(name, content, *self._told(), others=others))

    def show(self, normalised: Normalised) -> None:
        """Show readings that are already there, as those of a job that is come back to."""
        self._read(Preview(Asked(normalised.measured.source_name, b""), measured=normalised.measured))

    def _told(self) -> tuple[str | None, float | None]:
        unit = None if self.unit.value == _AS_TOLD else self.unit.value
        return unit, float(self.voltage.value) if unit in CURRENTS else None

    def _ask(self, columns: dict[str, int] | None) -> None:
        asked = self.preview.asked if self.preview else None
        if asked is not None and asked.content:
            self._request(Asked(asked.name, asked.content, *self._told(), columns, asked.others))

    def _request(self, asked: Asked) -> None:
        self.busy.visible = True
        if served() and not self._poller.running:
            self._poller.start()
        self.worker.request(asked)

    def _again(self, *events) -> None:
        self.voltage.box.visible = self.unit.value in CURRENTS
        if self.preview is not None:
            self._ask(self.preview.asked.columns)

    def _tell_share(self) -> None:
        self.bar.param.update(visible=self.busy.visible and self.reader.share > 0, value=100 * self.reader.share)

    def _read(self, preview: Preview) -> None:
        """Show what was read; what is wrong stands above the preview."""
        self._quiet()
        self.preview = preview
        self.columns.offer(preview.labels, preview.roles)
        self.table.object = theme.table_markup([(name, "") for name in preview.labels], preview.rows)
        if preview.measured is None:
            self._say(preview.problem)
            self.normalised, self.body.visible, self.empty.visible = None, False, not preview.problem
            return
        self._say("")
        measured = preview.measured
        self.summary.object = theme.pair_markup(
            str(measured.summary()).replace("uS", "µS"), f"{measured.source_name}, read as: {measured.format_name}"
        )
        theme.say_warning(self.warnings, " ".join(wording(measured)))
        self._list_rejected(measured)
        self.body.visible, self.empty.visible = True, False
        self.mapping.start(measured)

    def _list_rejected(self, measured) -> None:
        rows, more = rejected_rows(measured, MAX_REJECTED), len(measured.rejected) - MAX_REJECTED
        text = (
            f'<div class="words">{theme.table_markup(_REJECTED_HEAD, rows)}</div>'
            if rows
            else theme.caption_markup("None.")
        )
        n = len(measured.rejected)
        note = (
            f"{n} row{'s were' if n > 1 else ' was'} left out; they are listed below with line and reason." if n else ""
        )
        theme.say_warning(self.rejected_note, note)
        self.rejected.object = text + (theme.caption_markup(f"and {more} more") if more > 0 else "")

    def _failed(self, problem: Exception) -> None:
        self._quiet()
        self.empty.visible = self.preview is None
        theme.say_error(self.problem, str(problem), "The file could not be read.")

    def _quiet(self) -> None:
        self.busy.visible = self.worker.waiting
        self.bar.visible = False
        if self._poller.running and not self.worker.waiting:
            self._poller.stop()

    def _say(self, problem: str) -> None:
        theme.say_error(self.problem, problem)

    def _mapped(self, event: param.parameterized.Event) -> None:
        if event.new is not None:
            self.plot.draw(event.new, self.mapping.scale, self.mapping.unit)
            self.normalised = event.new
