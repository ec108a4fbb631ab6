# SPDX-License-Identifier: Apache-2.0
"""What time does to programmed weights: drift over seconds, decay and diffusion over mini-batches; live."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, Range1d
from panel.viewable import Viewable, Viewer

from engine.devices import Device
from explorer.experiments.retention import UNITS, Retention, clocks
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.live import Later, LatestWins
from explorer.views.ranges import round_out, set_range

MAX_DEVICES = 200
"""Devices drawn for each level at most: more would no longer be live."""

_WATCHED = ["revision", "n_devices", "seed"]
_TITLES = {"drift": "Drift", "batches": "Decay and diffusion"}
_X = {"drift": "Time since programming", "batches": "Mini-batches since programming"}
_SUBTITLES = {
    "drift": "No pulses, seconds pass: bands 5–95 % of devices, line median, dashed the noise-free device",
    "batches": "Mini-batches end, no pulses: bands 5–95 % of devices, line median, dashed the noise-free device",
}
_LEVELS = len(theme.SERIES)
_PAST_END = 1.15  # factor on the logarithmic axis, before the first and after the last time


@dataclass(frozen=True)
class Request:
    """What to simulate, frozen when it was asked for."""

    device: Device
    n_devices: int
    seed: int

    @classmethod
    def of(cls, state: DeviceState) -> Request:
        """Return the request that shows ``state``."""
        return cls(state.device, min(state.n_devices, MAX_DEVICES), state.seed)


@dataclass(frozen=True)
class Fading:
    """Columns of one plot and the weights that its levels ask for."""

    columns: dict[str, np.ndarray]
    targets: list[float]


def fade(request: Request) -> dict[str, Fading]:
    """Simulate what the device has of processes in time; return clock to columns, nothing for one that stays."""
    found = {}
    for clock in clocks(request.device):
        run = Retention(device=request.device, clock=clock, n_devices=request.n_devices, seed=request.seed).run()
        band = run["band"].sel(quantile=[0.05, 0.5, 0.95]).values
        columns = {"time": run["time"].values.astype(float)}
        for k in range(run.sizes["level"]):
            columns |= {f"{name}{k}": band[q, k] for q, name in enumerate(("low", "median", "high"))}
            columns[f"nominal{k}"] = run["nominal"].values[k]
        found[clock] = Fading(columns, run["target"].values.tolist())
    return found


class FadingPlot:
    """Weight against the logarithm of time, one band for each programmed level."""

    def __init__(self, clock: str):
        x = (_X[clock], UNITS[clock] if clock == "drift" else "1")
        self.figure = theme.figure(
            x, ("Weight", "w"), height=320, x_axis_type="log", x_range=Range1d(1, 10), y_range=Range1d(-1, 1)
        )
        names = [f"{name}{k}" for name in ("low", "median", "high", "nominal") for k in range(_LEVELS)]
        self.source = ColumnDataSource({name: [] for name in ("time", *names)})  # the browser misses what is not there
        for k, color in enumerate(theme.SERIES):
            of = {"source": self.source}
            self.figure.varea("time", f"low{k}", f"high{k}", fill_color=color, fill_alpha=theme.BAND_ALPHA, **of)
            self.figure.line("time", f"median{k}", line_color=color, line_width=2.5, **of)
            self.figure.line("time", f"nominal{k}", line_color=color, line_width=1.5, line_dash=[6, 3], **of)
        self.legend = theme.html(margin=(4, 0, 0, 0))
        self.pane = theme.plot_pane(self.figure)
        self.view: Viewable = theme.card(_TITLES[clock], self.legend, self.pane, subtitle=_SUBTITLES[clock])

    def draw(self, found: Fading) -> None:
        """Show what was simulated."""
        self.source.data = found.columns
        entries = [
            (f"{w:.3g} w".replace("-", "−"), c, "line") for w, c in zip(found.targets, theme.SERIES, strict=True)
        ]
        self.legend.object = theme.legend_markup(entries)
        times = found.columns["time"]
        ends = np.concatenate([v for n, v in found.columns.items() if n != "time"])
        set_range(self.figure.x_range, times[0] / _PAST_END, times[-1] * _PAST_END)
        set_range(self.figure.y_range, *round_out(float(ends.min()), float(ends.max())))


class TemporalView(Viewer):
    """One card for each clock that changes the state's device; what to set where none does."""

    def __init__(self, state: DeviceState):
        super().__init__()
        self._state = state
        self.plots = {clock: FadingPlot(clock) for clock in UNITS}
        self.problem = theme.error_box(visible=False)
        self.empty = theme.empty_box(
            "Nothing changes in time",
            "Set lifetime or diffusion (Decay and diffusion) or drift_nu (Drift) to see what becomes of programmed "
            "weights.",
        )
        self.note = theme.caption("", margin=(12, 0, 8, 2))
        panes = tuple(plot.pane for plot in self.plots.values())
        self.worker: LatestWins[Request, dict[str, Fading]] = LatestWins(fade, self._draw, self._failed, panes)
        cards = theme.grid(*(plot.view for plot in self.plots.values()))
        self.view: Viewable = pn.Column(
            self.problem, self.empty, self.note, cards, sizing_mode="stretch_width", margin=0
        )
        self.worker.now(Request.of(state))
        state.param.watch(Later(lambda: self.worker.request(Request.of(state))).changed, _WATCHED)

    def __panel__(self) -> Viewable:
        return self.view

    def _draw(self, found: dict[str, Fading]) -> None:
        for clock, plot in self.plots.items():
            plot.view.visible = clock in found
            if clock in found:
                plot.draw(found[clock])
        self.empty.visible = not found
        asked = Request.of(self._state)
        text = f"{asked.n_devices} devices for each of {_LEVELS} programmed weights. Seed {asked.seed}."
        self.note.param.update(object=theme.caption_markup(text), visible=bool(found))
        theme.say_error(self.problem, "")

    def _failed(self, problem: Exception) -> None:
        theme.say_error(self.problem, str(problem), "The change in time could not be computed.")
