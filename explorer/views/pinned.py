# SPDX-License-Identifier: Apache-2.0
"""Devices kept for comparison: a button, a chip for each, their curves behind the present ones, a table of numbers."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable

from engine import presets
from engine.devices import Device
from explorer.labs.state import MAX_PINNED, DeviceState
from explorer.views import theme
from explorer.views.live import Later, LatestWins
from explorer.views.response_data import Request, Response, respond, tiles
from explorer.views.response_plots import CurvePlot, StepPlot

_WATCHED = ["pinned", "n_devices", "n_pulses", "seed"]


class PinnedPanel:
    """Chips and table under the response, and what it draws into the plots.

    Attributes
    ----------
    button, view : Viewable
        The button that keeps the device on show; button, chips and table.
    """

    def __init__(self, state: DeviceState, curves: CurvePlot, steps: StepPlot):
        self._state, self._plots = state, (curves, steps)
        self.button = theme.button("Pin for comparison", icon="push_pin")
        self.button.on_click(lambda _: state.pin())
        self.chips = theme.row()
        self.table = theme.html(margin=(8, 0, 0, 0), visible=False)
        self.problem = theme.error_box(visible=False)
        self.view: Viewable = pn.Column(
            self.chips, self.table, self.problem, sizing_mode="stretch_width", margin=(8, 0, 0, 0)
        )
        panes = (curves.pane, steps.pane)
        self.worker: LatestWins[list[Request], list[Response]] = LatestWins(_all, self._draw, self._failed, panes)
        self._list()
        self._tell()
        if state.pinned:
            self.worker.now(self._asked())
        state.param.watch(self._list, "pinned")
        state.param.watch(Later(self._tell).changed, ["pinned", "revision"])
        state.param.watch(lambda *events: self.worker.request(self._asked()), _WATCHED)

    def _asked(self) -> list[Request]:
        state = self._state
        return [Request(device, state.n_devices, state.n_pulses, state.seed) for _, device in state.pinned]

    def _list(self, *events) -> None:
        self.chips[:] = [self.button] + [self._chip(k, name) for k, name in enumerate(names(self._state))]

    def _chip(self, index: int, name: str) -> Viewable:
        remove = theme.icon_button("close", f"Remove {name} from the comparison", width=26)
        remove.on_click(lambda _: self._state.unpin(index))
        mark = theme.html(
            f'<div class="pinned">{theme.legend_markup([(name, theme.PINNED[index], "line")])}</div>',
            sizing_mode=None,
            margin=(5, 0, 0, 0),
        )
        return pn.Row(mark, remove, margin=0)

    def _tell(self) -> None:
        """Follow what can be kept, and the numbers of the device on show."""
        state = self._state
        self.button.disabled = not state.can_pin
        full = len(state.pinned) >= MAX_PINNED
        self.button.label = f"{MAX_PINNED} pinned: remove one first" if full else "Pin for comparison"
        self.table.visible = bool(state.pinned)
        if state.pinned:
            present = ("On show", state.device)
            kept = zip(names(state), (device for _, device in state.pinned), strict=True)
            self.table.object = comparison_markup([present, *kept])

    def _draw(self, found: list[Response]) -> None:
        for plot in self._plots:
            plot.keep(found)
        theme.say_error(self.problem, "")

    def _failed(self, problem: Exception) -> None:
        theme.say_error(self.problem, str(problem), "The pinned devices could not be computed.")


def _all(asked: list[Request]) -> list[Response]:
    return [respond(request) for request in asked]


def names(state: DeviceState) -> list[str]:
    """Return a name for each device kept, numbered where two would be alike."""
    plain = [_name(preset, device) for preset, device in state.pinned]
    return [f"{n} ({plain[: k + 1].count(n)})" if plain.count(n) > 1 else n for k, n in enumerate(plain)]


def _name(preset: str, device: Device) -> str:
    if preset not in presets.names():
        return device.title or device.stem()
    return preset if presets.load(preset) == device else f"{preset}, edited"


def comparison_markup(named: list[tuple[str, Device]]) -> str:
    """Return the key numbers of devices as HTML, a row each."""
    numbers = {
        name: {t[0]: t for t in tiles(device, device.n_states, device.granularity, device.symmetry_point())}
        for name, device in named
    }
    labels = dict.fromkeys(label for found in numbers.values() for label in found)
    explained = {label: next(f[label] for f in numbers.values() if label in f) for label in labels}
    columns = [("Device", "")] + [(theme.axis_label(n, explained[n][2]), explained[n][3]) for n in labels]
    rows = [[name, *(found[n][1] if n in found else "–" for n in labels)] for name, found in numbers.items()]
    return theme.table_markup(columns, rows)
