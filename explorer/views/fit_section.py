# SPDX-License-Identifier: Apache-2.0
"""Fit a device model to a measurement: buttons, report, and the way into the lab."""

from __future__ import annotations

import math

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from engine import devices
from engine.errors import OhmscapeError
from explorer.fitting import Estimate, FitResult, Normalised, fit, models
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.live import LatestWins

_COLUMNS = [
    ("Parameter", "Name in the device class."),
    ("Value", "Least-squares value ± standard error."),
    ("Unit", "w is the normalised weight; 1 is a pure number."),
    ("As read", "The same in the unit of the readings."),
]


class FitSection(Viewer):
    """One button for each model that can be fitted; the report; "use these parameters".

    Attributes
    ----------
    result : FitResult or None
        The last fit of the measurement as it is mapped now.
    """

    result = param.Parameter(None, doc="The last fit.")

    def __init__(self, state: DeviceState):
        super().__init__()
        self.state = state
        self._normalised: Normalised | None = None
        self.buttons = {stem: self._button(stem) for stem in models.names()}
        self.use = theme.button("Use these parameters", icon="check", primary=True)
        self.use.on_click(lambda _: self._adopt())
        self.busy = theme.busy_box("Fitting …", visible=False, sizing_mode=None)
        self.problem, self.notes = theme.error_box(visible=False), theme.html(visible=False)
        self.table, self.quality = theme.html(), theme.html()
        self.report = pn.Column(self.quality, self.table, self.notes, theme.row(self.use, margin=(8, 0, 0, 0)),
                                visible=False, sizing_mode="stretch_width", margin=(6, 0, 0, 0))  # fmt: skip
        self.worker: LatestWins[tuple[Normalised, str], tuple[Normalised, FitResult]] = LatestWins(
            lambda asked: (asked[0], fit(*asked)), self._found, self._failed
        )
        row = theme.row(*self.buttons.values(), self.busy, margin=(8, 0, 0, 0))
        self._view = pn.Column(row, self.problem, self.report, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> Viewable:
        return self._view

    def take(self, normalised: Normalised | None) -> None:
        """Fit this from now on; a report on another map of the data is no longer shown."""
        self._normalised = normalised
        self.result = None
        self.report.visible = False
        theme.say_error(self.problem, "")

    def fit(self, stem: str) -> None:
        """Fit a model, beside the event loop."""
        self.busy.visible = True
        theme.say_error(self.problem, "")
        self.worker.request((self._normalised, stem))

    def _button(self, stem: str) -> Viewable:
        title = models.get(stem).title
        made = theme.button(f"Fit {title[0].lower()}{title[1:]}", icon="show_chart")
        made.on_click(lambda _: self.fit(stem))
        return made

    def _found(self, answer: tuple[Normalised, FitResult]) -> None:
        asked, found = answer
        self.busy.visible = self.worker.waiting
        if asked is not self._normalised:  # the map was changed while the fit ran
            return
        self.quality.object = theme.pair_markup(found.model.title, quality(found))
        self.table.object = theme.table_markup(*report(found))
        self.notes.param.update(object=theme.list_markup(found.notes), visible=bool(found.notes))
        self.report.visible = True
        self.result = found

    def _failed(self, problem: Exception) -> None:
        self.busy.visible = self.worker.waiting
        self.take(self._normalised)
        theme.say_error(self.problem, str(problem), "" if isinstance(problem, OhmscapeError) else "The fit stopped.")

    def _adopt(self) -> None:
        try:
            device = devices.get(self.result.model.stem)(**self.result.device_parameters())
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))
            return
        self.state.load_device(device)


def report(found: FitResult) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Return columns and rows of the report, one row a parameter."""
    rows = [[e.name, _value(e), e.unit] for e in found.parameters.values()]
    if found.normalised.measured.unit == "1":  # readings are plain numbers: there is nothing to tell
        return _COLUMNS[:-1], rows
    read = found.in_reading_units()
    return _COLUMNS, [[*row, read.get(row[0], "").replace("uS", "µS")] for row in rows]


def quality(found: FitResult) -> str:
    """Word the quality of a fit in one line."""
    sizes = f"{found.n_readings} readings in {found.n_ramps} ramps"
    return f"{sizes} · residual {found.residual_rms:.3g} w rms · R² {found.r_squared:.4f}"


def _value(estimate: Estimate) -> str:
    if math.isnan(estimate.value):
        return "not determined"
    error = f" ± {estimate.stderr:.2g}" if math.isfinite(estimate.stderr) else ""
    doubt = "" if estimate.determined else " (not determined)"
    return f"{estimate.value:.5g}{error}{doubt}".replace("-", "−")
