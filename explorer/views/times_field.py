# SPDX-License-Identifier: Apache-2.0
"""The times of a run, typed as ``1 s, 1 h, 1 d``."""

from __future__ import annotations

from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer import durations
from explorer.labs.drift_state import DriftState
from explorer.views import theme
from explorer.views.echo import Written


class TimesField(Viewer):
    """A box for the times that a network is scored at; what is refused stays, with the reason."""

    def __init__(self, state: DriftState):
        super().__init__()
        self._state, self._showing = state, False
        self.box = theme.text_box("Times", durations.listed(state.experiment.times), margin=(4, 0, 12, 0),
                                  description=f"When the network is scored. Each is {durations.ALLOWED}.")  # fmt: skip
        self._in_box = Written(self.box)
        self.box.param.watch(self._typed, "value")
        state.param.watch(self._sync, ["revision", "problem"])

    def __panel__(self) -> Viewable:
        return self.box

    def _typed(self, event) -> None:
        if self._showing or self._in_box.came_back(event.new):
            return
        try:
            times = durations.several(event.new, "times")
        except OhmscapeError as error:
            self._complain(str(error))
            return
        self._state.set(times=times)
        self._complain(self._state.problem_of("times"))

    def _complain(self, problem: str) -> None:
        self.box.param.update(error_state=bool(problem), helper_text=problem)

    def _sync(self, *events) -> None:
        if self._state.problem:
            return
        self._showing = True
        try:
            self._complain("")
            self._in_box.write(durations.listed(self._state.experiment.times))
        finally:
            self._showing = False
