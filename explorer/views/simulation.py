# SPDX-License-Identifier: Apache-2.0
"""How much is simulated for the live response: devices, pulses, seed."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.cuda.availability import told
from engine.errors import ParameterError, say
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.number_box import NumberBox
from explorer.views.response_data import check_live_size

_LABELS = {"n_devices": "Devices", "n_pulses": "Pulses", "seed": "Seed"}


class SimulationPanel(Viewer):
    """Boxes for the number of devices and pulses and the seed, and a button that draws other devices."""

    def __init__(self, state: DeviceState):
        super().__init__()
        self._state = state
        self.boxes = {name: self._box(name) for name in _LABELS}
        self.redraw = theme.icon_button("casino", "Draw other devices: next seed")
        self.redraw.on_click(self._next_seed)
        state.param.watch(self._sync, list(_LABELS))
        line = pn.Row(*self.boxes.values(), self.redraw, sizing_mode="stretch_width", margin=(8, 0))
        self.where = theme.caption(f"Pulses are computed {told()}.")
        parts = (theme.heading("Simulation"), line, self.where)
        self._view = pn.Column(*parts, sizing_mode="stretch_width", margin=(16, 0))

    def __panel__(self) -> Viewable:
        return self._view

    def _next_seed(self, event: object) -> None:
        self._state.seed += 1

    def _box(self, name: str) -> NumberBox:
        doc = DeviceState.param[name].doc or ""
        box = NumberBox(
            _LABELS[name], getattr(self._state, name), doc=doc, check=lambda number: self._check(name, number),
            width=None, margin=(0, 6, 0, 0),
        )  # fmt: skip
        box.param.watch(lambda event: self._state.param.update(**{name: int(event.new)}), "value")
        return box

    def _check(self, name: str, number: float) -> None:
        low, high = DeviceState.param[name].bounds
        if int(number) != number or number < low or (high is not None and number > high):
            allowed = f"{low} to {high}" if high is not None else f"{low} or more"
            rule, remedy = "must be a whole number within its limits", "Choose one of these."
            raise ParameterError(say(_LABELS[name], number, rule, allowed, remedy))
        asked = {"n_devices": self._state.n_devices, "n_pulses": self._state.n_pulses, name: int(number)}
        check_live_size(asked["n_devices"], asked["n_pulses"])

    def _sync(self, *events) -> None:
        for event in events:
            self.boxes[event.name].value = event.new
