# SPDX-License-Identifier: Apache-2.0
"""The fit studio's first step: drop a file or paste, say what its columns are, see at once what that gives."""

from __future__ import annotations

import panel as pn
import param
from panel.viewable import Viewable

from explorer.fitting import Normalised
from explorer.fitting.roles import MEANINGS
from explorer.views import theme
from explorer.views.file_input import LIMIT_MB, FileInput
from explorer.views.live import served
from explorer.views.mapping import Mapping
from explorer.views.measured_files import EXAMPLE_NAME, example_csv
from explorer.views.measured_plot import MeasuredPlot
from explorer.views.studio_data import Asked, Preview, Reader, rejected_rows, wording

MAX_REJECTED = 200
_POLL_MS = 200
_HINT = "Drop a file at the left, paste readings, or try with an example."
_SHOWN_ROLES = ("value", "direction", "device_id", "cycle", "index", "n_pulses", "read_index", "unit", "read_voltage_v")
_REJECTED_HEAD = [
    ("Line", "Line of the file, from 1."), ("Column", "Name of the offending column."), ("Cell", "As it stands there."),
    ("Reason", "The rule that it breaks."), ("What to do", ""),
]  # fmt: skip


class StudioInput(FileInput):
    """A file or a pasted text; sets ``normalised``.

    Attributes
    ----------
    normalised : Normalised or None
        The readings with their map to weights.
    """

    normalised = param.ClassSelector(class_=Normalised, default=None, allow_None=True, doc="The readings, mapped.")

    def __init__(self) -> None:
        self.reader = Reader()
        super().__init__(self.reader.read, {role: MEANINGS[role] for role in _SHOWN_ROLES}, _example, _HINT)
        self.merge = theme.switch("Add to the data that are there", value=False)
        self.pasted = theme.text_area("Or paste readings", placeholder="pulse,conductance (uS)\n1,10.2\n2,10.9")
        self.use_pasted = theme.button("Read the pasted text", icon="input")
        self.bar, self.warnings = theme.progress_bar(visible=False), theme.warning_box(visible=False)
        self.roles = self.columns.selects
        self.mapping, self.plot = Mapping(), MeasuredPlot()
        self.map_problem = theme.error_box(visible=False)
        self.rejected, self.rejected_note = theme.html(), theme.warning_box(visible=False)
        self._poller = pn.state.add_periodic_callback(self._tell_share, _POLL_MS, start=False)
        self.body = self._body()
        self._connect()

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
        self.mapping.as_device.visible = False
        self.mapping.found.on_click(lambda _: self.mapping.set(-1.0, 1.0))
        self.mapping.as_read.on_click(lambda _: self.mapping.set_as_read())
        self.mapping.param.watch(self._mapped, "normalised")
        self.mapping.param.watch(lambda event: theme.say_error(self.map_problem, event.new), "problem")

    def take(self, name: str, content: bytes) -> None:
        """Read a file, or a file more."""
        shown = self.preview.asked if self.preview and self.merge.value and self.preview.measured else None
        others = (*shown.others, (shown.name, shown.content)) if shown and shown.content else ()
        self._request(Asked(name, content, *self.reading_unit.told, others=others))

    def show(self, normalised: Normalised) -> None:
        """Show readings that are already there, as those of a job that is come back to."""
        self._read(Preview(Asked(normalised.measured.source_name, b""), measured=normalised.measured))

    def _request(self, asked: Asked) -> None:
        if served() and not self._poller.running:
            self._poller.start()
        super()._request(asked)

    def _tell_share(self) -> None:
        self.bar.param.update(visible=self.busy.visible and self.reader.share > 0, value=100 * self.reader.share)

    def _read(self, preview: Preview) -> None:
        self._show_file(preview)
        if preview.measured is None:
            self.normalised, self.body.visible, self.empty.visible = None, False, not preview.problem
            return
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
        text = theme.table_markup(_REJECTED_HEAD, rows, "words") if rows else theme.caption_markup("None.")
        n = len(measured.rejected)
        note = (
            f"{n} row{'s were' if n > 1 else ' was'} left out; they are listed below with line and reason." if n else ""
        )
        theme.say_warning(self.rejected_note, note)
        self.rejected.object = text + (theme.caption_markup(f"and {more} more") if more > 0 else "")

    def _quiet(self) -> None:
        super()._quiet()
        self.bar.visible = False
        if self._poller.running and not self.worker.waiting:
            self._poller.stop()

    def _mapped(self, event: param.parameterized.Event) -> None:
        if event.new is not None:
            self.plot.draw(event.new, self.mapping.scale, self.mapping.unit)
            self.normalised = event.new


def _example() -> tuple[str, bytes]:
    return EXAMPLE_NAME, example_csv().encode()
