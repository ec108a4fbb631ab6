# SPDX-License-Identifier: Apache-2.0
"""Measured data: drop files, see what is in them, map them to weights, fit a device."""

from __future__ import annotations

import io
from collections.abc import Callable

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer.fitting.ramps import usable_ramps
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.fit_section import FitSection
from explorer.views.live import InOrder
from explorer.views.mapping import Mapping
from explorer.views.measured_files import EXAMPLE_NAME, FileSet, NotOneMeasurement, accepted, example_csv
from explorer.views.measured_plot import MeasuredPlot
from explorer.views.reading_unit import ReadingUnit
from explorer.views.upload import Upload

LIMIT_MB = 50
"""Largest sum of files here; the fit studio takes larger ones and shows how far it has read."""
_SUBTITLE = "Pulse responses from the lab: checked, mapped to weights, laid over the model, fitted."


class MeasuredPanel(Viewer):
    """Files of measured pulse responses; sets ``state.measured`` to a `explorer.fitting.Normalised`, or None.

    Parameters
    ----------
    state : DeviceState
    """

    def __init__(self, state: DeviceState):
        super().__init__()
        self.state, self.files = state, FileSet()
        self.upload = Upload(self.take, self._refuse, limit_mb=LIMIT_MB, multiple=True)
        self.worker: InOrder[Callable[[FileSet], FileSet], FileSet] = InOrder(
            lambda change: change(self.files), self._loaded, self._not_loaded
        )
        self.busy = theme.busy_box("Reading …", visible=False)
        self.problem = theme.error_box(visible=False)
        self.replace = theme.button("Show only the new file", visible=False)
        self._rejected: tuple[str, bytes] | None = None
        self.reading_unit = ReadingUnit(self._read_again, label="Unit in the file", width=170, sizing_mode=None,
                                        margin=0, voltage={"width": 140, "sizing_mode": None})  # fmt: skip
        self.unit, self.voltage = self.reading_unit.unit, self.reading_unit.voltage
        self.simulate = theme.button("")
        self.clear = theme.button("Remove all", icon="delete")
        self.names, self.summary, self.warnings = (
            theme.row(margin=(6, 0)),
            theme.html(),
            theme.warning_box(visible=False),
        )
        self.mapping, self.plot, self.fits = Mapping(), MeasuredPlot(), FitSection(state)
        self.map_problem = theme.error_box(visible=False)
        self.hint = self._hint()
        self.loaded = self._loaded_view()
        self.shown = pn.Column(self.hint, sizing_mode="stretch_width", margin=0)  # the one or the other
        self._connect()
        self.upload.dropper.margin = (10, 0, 0, 0)
        self._view = theme.card("Measured data", self.upload, self.busy, self.problem, self.replace, self.shown,
                                subtitle=_SUBTITLE)  # fmt: skip

    def __panel__(self) -> Viewable:
        return self._view

    def take(self, name: str, content: bytes) -> None:
        """Read a file and show it with those that are there."""
        self._change(lambda files: files.added(name, content))

    def remove(self, name: str) -> None:
        """Take a file away."""
        self._change(lambda files: files.without(name))

    def remove_all(self) -> None:
        """Go back to the empty state."""
        self._change(lambda files: FileSet(unit=files.unit, read_voltage_v=files.read_voltage_v))

    def _change(self, change: Callable[[FileSet], FileSet]) -> None:
        self.busy.visible = True
        self.worker.request(change)

    def _connect(self) -> None:
        self.clear.on_click(lambda _: self.remove_all())
        self.simulate.on_click(lambda _: self.state.param.update(n_pulses=self._pulses()))
        self.state.param.watch(self._offer_pulses, "n_pulses")
        self.replace.on_click(lambda _: self._replace())
        self.mapping.param.watch(self._mapped, "normalised")
        self.fits.param.watch(lambda event: self.plot.fit(event.new), "result")
        self.mapping.param.watch(lambda event: theme.say_error(self.map_problem, event.new), "problem")
        self.mapping.found.on_click(lambda _: self.mapping.set(-1.0, 1.0))
        self.mapping.as_read.on_click(lambda _: self.mapping.set_as_read())
        self.mapping.as_device.on_click(lambda _: self._map_to_device())

    def _hint(self) -> Viewable:
        lines = [f"Comma, semicolon or tab separated text, at most {LIMIT_MB} MB in all; several files are merged."]
        lines += [title[0].upper() + title[1:] for title in accepted()]
        example = theme.download("Example file", EXAMPLE_NAME, lambda: io.BytesIO(example_csv().encode()))
        return pn.Column(theme.caption("Accepted:", margin=(10, 0, 0, 0)), theme.html(theme.list_markup(lines)),
                         theme.row(example, margin=(10, 0, 0, 0)), sizing_mode="stretch_width", margin=0)  # fmt: skip

    def _loaded_view(self) -> Viewable:
        read = theme.row(self.unit, self.voltage, self.simulate, self.clear, margin=(12, 0, 0, 0))
        return pn.Column(
            self.summary, self.names, self.warnings, read, self.mapping, self.mapping.rule, self.map_problem,
            self.plot, self.fits, sizing_mode="stretch_width", margin=(10, 0, 0, 0),
        )  # fmt: skip

    def _loaded(self, files: FileSet) -> None:
        """Show what was read."""
        self._quiet()
        self.files = files
        if files.measured is None:
            self.shown.objects = [self.hint]
            self.fits.take(None)
            self.state.measured = None
            return
        summary = str(files.measured.summary()).replace("uS", "µS")
        self.summary.object = theme.pair_markup(summary, f"Read as: {files.measured.format_name}")
        self.names.objects = [self._file_chip(name) for name in files.contents]
        notes = dict.fromkeys(f"{note[0].upper()}{note[1:]}." for note in files.measured.warnings)
        theme.say_warning(self.warnings, " ".join(notes))
        self.mapping.start(files.measured)
        self._offer_pulses()
        self.shown.objects = [self.loaded]

    def _pulses(self) -> int:
        """Return how many pulses the model must get to be as long as the data."""
        ramps, _ = usable_ramps(self.files.measured.traces)
        longest = max((int(ramp.pulses.max()) for ramp in ramps), default=self.state.n_pulses // 2)
        return min(2 * longest, self.state.param.n_pulses.bounds[1])

    def _offer_pulses(self, *events) -> None:
        """Offer to simulate as many pulses as were measured, where that is not so already."""
        if self.files.measured is None:
            return
        pulses = self._pulses()
        self.simulate.param.update(label=f"Simulate {pulses} pulses", visible=pulses != self.state.n_pulses)

    def _not_loaded(self, problem: Exception) -> None:
        """Say why not; what was there stays."""
        self._quiet()
        known = isinstance(problem, OhmscapeError)
        theme.say_error(self.problem, str(problem), "" if known else "The file could not be read.")
        self._rejected = (problem.name, problem.content) if isinstance(problem, NotOneMeasurement) else None
        self.replace.visible = self._rejected is not None

    def _quiet(self) -> None:
        self.busy.visible = self.worker.waiting
        self._refuse("")
        self.replace.visible = False

    def _refuse(self, problem: str) -> None:
        theme.say_error(self.problem, problem)

    def _replace(self) -> None:
        name, content = self._rejected
        self._change(lambda files: files.only(name, content))

    def _read_again(self) -> None:
        told = self.reading_unit.told
        self._change(lambda files: files.read_as(*told))

    def _map_to_device(self) -> None:
        theme.say_error(self.map_problem, self.mapping.set_range(self.state.device))

    def _mapped(self, event) -> None:
        normalised = event.new
        if normalised is None:
            return
        self.fits.take(normalised)
        self.plot.draw(normalised, self.mapping.scale, self.mapping.unit)
        self.state.measured = normalised

    def _file_chip(self, name: str) -> Viewable:
        made = theme.button(name, icon="close", description=f"Remove {name}")
        made.on_click(lambda _: self.remove(name))
        return made
