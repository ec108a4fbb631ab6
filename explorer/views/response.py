# SPDX-License-Identifier: Apache-2.0
"""The live response of many devices: curves, steps, symmetry points, numbers; all follow the state."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.diagnosis import DiagnosisView
from explorer.views.live import Later, LatestWins, refresh
from explorer.views.pinned import PinnedPanel
from explorer.views.response_data import Curves, Request, Response, describe, measured_columns, simulate
from explorer.views.response_plots import CurvePlot, StepPlot, SymmetryPlot

_WATCHED = ["revision", "n_devices", "n_pulses", "seed"]
_DETAILS_MS = 15  # after the curve was drawn: its message goes out first


class ResponseView(Viewer):
    """Pulse response, step against weight, symmetry points and key numbers of the state's device.

    Attributes
    ----------
    overview, details : Viewable
        The pulse response with the numbers; the plots of steps and symmetry points.
    diagnosis : DiagnosisView
        The device against the published limits.
    """

    def __init__(self, state: DeviceState):
        super().__init__()
        self._state = state
        self.curves, self.steps, self.symmetry = CurvePlot(), StepPlot(), SymmetryPlot()
        self.diagnosis = DiagnosisView()
        self.pinned = PinnedPanel(state, self.curves, self.steps)
        self.tiles = theme.html(margin=(12, 0, 4, 0))
        self.problem = theme.error_box(visible=False)
        self.note = theme.caption("")
        # The curve is drawn as soon as it is known; the rest takes longer and follows once the page has the curve.
        self._drawn: Curves | None = None
        self._details_due = Later(lambda: self.details_worker.request(self._drawn), _DETAILS_MS)
        self.worker: LatestWins[Request, Curves] = LatestWins(simulate, self._draw, self._failed, (self.curves.pane,))
        plots = (self.steps.pane, self.symmetry.pane)
        self.details_worker: LatestWins[Curves, Response] = LatestWins(describe, self._detail, self._failed, plots)
        self.overview, self.details = self._overview(), self._details()
        self._overlay()
        self.worker.now(Request.of(state))
        state.param.watch(lambda *events: self.worker.request(Request.of(state)), _WATCHED)
        state.param.watch(self._overlay, "measured")

    def __panel__(self) -> Viewable:
        return pn.Column(self.overview, self.details, self.diagnosis, sizing_mode="stretch_width", margin=0)

    def _overview(self) -> Viewable:
        card = theme.card("Pulse response", self.note, self.tiles, self.curves.view, self.pinned.view)
        return pn.Column(self.problem, card, sizing_mode="stretch_width", margin=0)

    def _details(self) -> Viewable:
        return theme.grid(
            theme.card("Step against weight", self.steps.view,
                       subtitle="Lines noise-free, points simulated ± standard error; pinned: down dashed"),
            theme.card("Symmetry points", self.symmetry.view,
                       subtitle="Weights where a device's up and down step are equal"),
        )  # fmt: skip

    def _draw(self, found: Curves) -> None:
        self.curves.draw(found)
        if self._drawn is None:  # the first picture of a page
            self._drawn = found
            self.details_worker.now(found)
        else:
            self._drawn = found
            self._details_due.changed()

    def _detail(self, found: Response) -> None:
        for plot in (self.steps, self.symmetry):
            plot.draw(found)
        self.diagnosis.draw(found.findings)
        self.tiles.object = theme.metrics_markup(found.tiles)
        self.note.object = _note(found)
        theme.say_error(self.problem, "")

    def _failed(self, problem: Exception) -> None:
        theme.say_error(self.problem, str(problem), "The response could not be computed.")

    def _overlay(self, *events) -> None:
        self.curves.overlay(measured_columns(self._state.measured))
        refresh(self.curves.pane)


def _note(found: Response) -> str:
    asked = found.request
    text = f"{asked.n_devices} devices, {asked.n_pulses} pulses: first half up, second half down. Seed {asked.seed}."
    if found.stride > 1:
        text += f" One pulse in {found.stride} is drawn."
    return theme.caption_markup(text)
