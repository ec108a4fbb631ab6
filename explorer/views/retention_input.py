# SPDX-License-Identifier: Apache-2.0
"""The retention page's first step: drop a file, say which column or array is what, see at once what that gives."""

from __future__ import annotations

from dataclasses import dataclass

import panel as pn
import param
from panel.viewable import Viewable

from explorer.fitting import MeasuredDataError
from explorer.fitting.retention import Data, open_sheet, read_sheet
from explorer.fitting.retention.example import NAME, as_csv, example
from explorer.fitting.retention.reading import MEANINGS
from explorer.fitting.units import ALLOWED, NUMBER
from explorer.views import theme
from explorer.views.file_input import LIMIT_MB, FileInput
from explorer.views.studio_data import PREVIEW_ROWS, Asked, FilePreview

_UNITS = [unit for unit in ALLOWED if unit != NUMBER]
_HINT = "Drop a file at the left or try with an example: readings of many devices at growing times after programming."


@dataclass(frozen=True, eq=False)
class Preview(FilePreview):
    """The file as it stands there, and what was read of it; ``problem`` says why nothing was."""

    data: Data | None = None


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


class RetentionInput(FileInput):
    """A file; sets ``data``.

    Attributes
    ----------
    data : Relaxation, Bake, TimeSeries or None
        What was read.
    """

    data = param.Parameter(None, doc="The measurement.")

    def __init__(self) -> None:
        super().__init__(read, MEANINGS, lambda: (NAME, as_csv(example()).encode()), _HINT, _UNITS)
        self.body = pn.Column(self.summary, self.table, sizing_mode="stretch_width", margin=0, visible=False)

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

    def show(self, data: Data) -> None:
        """Show a measurement that is already there, as that of a job that is come back to."""
        self._read(Preview(Asked(data.source, b""), data=data))

    def _read(self, preview: Preview) -> None:
        self._show_file(preview)
        self.empty.visible = not preview.labels and preview.data is None and not preview.problem
        words = "" if preview.data is None else preview.data.words().replace("uS", "µS")
        self.summary.object = theme.pair_markup(words or "Not read", preview.asked.name)
        self.body.visible = bool(preview.labels) or preview.data is not None
        self.data = preview.data
