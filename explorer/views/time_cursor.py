# SPDX-License-Identifier: Apache-2.0
"""The time that weights are looked at: a slider over decades of seconds, and a box that takes ``1 h`` or ``30 d``."""

from __future__ import annotations

import panel as pn
from bokeh.models import CustomJSTickFormatter
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer import durations
from explorer.labs.drift_state import DriftState
from explorer.views import theme, time_axis
from explorer.views.echo import Written

_FORMAT = CustomJSTickFormatter(code=f"""
if (tick < {time_axis.ZERO / 2}) return '0 s'
const t = Math.pow(10, tick)
const units = [[{durations.YEAR}, 'years'], [{durations.DAY}, 'days'], [{durations.HOUR}, 'hours'], [60, 'minutes']]
for (const [size, name] of units) if (t >= size) return (t / size).toPrecision(3) + ' ' + name
return t.toPrecision(3) + ' s'
""")


class TimeCursor(Viewer):
    """Slider and box for the state's ``time``."""

    def __init__(self, state: DriftState):
        super().__init__()
        self._state, self._showing = state, False
        self.slider = theme.Slider(label="Time of the weights on show", value=time_axis.place(state.time),
                                   start=time_axis.ZERO, end=time_axis.END, step=0.01, format=_FORMAT)  # fmt: skip
        self.box = theme.text_box("Time", durations.about(state.time), width=130, sizing_mode=None,
                                  description=f"Allowed: {durations.ALLOWED}.")  # fmt: skip
        self._on_slider, self._in_box = Written(self.slider), Written(self.box)
        self.slider.param.watch(self._slid, "value")
        self.box.param.watch(self._typed, "value")
        state.param.watch(self._sync, "time")
        self.problem = theme.error_box(visible=False, margin=(4, 0, 0, 0))
        row = theme.row(self.slider, self.box, flex_wrap="nowrap", margin=(8, 0, 0, 0))
        self._view = pn.Column(row, self.problem, sizing_mode="stretch_width", margin=0)

    def __panel__(self) -> Viewable:
        return self._view

    def _slid(self, event) -> None:
        if not self._showing and not self._on_slider.came_back(event.new):
            self._state.time = time_axis.time_at(event.new)

    def _typed(self, event) -> None:
        if self._showing or self._in_box.came_back(event.new):
            return
        try:
            self._state.time = durations.seconds(event.new, "time")
        except OhmscapeError as error:
            self.box.error_state = True
            theme.say_error(self.problem, str(error))
            return
        self._sync()

    def _sync(self, *events) -> None:
        self._showing = True
        try:
            self.box.error_state = False
            theme.say_error(self.problem, "")
            self._in_box.write(durations.about(self._state.time))
            at = time_axis.place(self._state.time)
            if abs(self.slider.value - at) > 0.01:
                self._on_slider.write(at)
        finally:
            self._showing = False
