# SPDX-License-Identifier: Apache-2.0
"""Stored full runs of the drift lab: open one again."""

from __future__ import annotations

from collections.abc import Callable

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer import results
from explorer.results import RunInfo
from explorer.views import theme
from explorer.views.training_runs import when

SHOWN = 8


class DriftRuns(Viewer):
    """A list of stored runs.

    Parameters
    ----------
    open_run : callable
        Takes the run id of the run to show.
    """

    def __init__(self, open_run: Callable[[str], None]):
        super().__init__()
        self._open = open_run
        self.problem = theme.error_box(visible=False)
        self._rows = pn.Column(sizing_mode="stretch_width", margin=0)
        subtitle = "Finished runs are kept; opening one restores its scenarios"
        self.view: Viewable = theme.card("Earlier full runs", self.problem, self._rows, subtitle=subtitle)
        self.update()

    def __panel__(self) -> Viewable:
        return self.view

    def update(self) -> None:
        """Read the list again."""
        try:
            runs = results.listing(experiment_class="DriftAccuracy", limit=SHOWN)
        except OhmscapeError as error:
            runs = []
            theme.say_error(self.problem, str(error))
        rows = [self._row(run) for run in runs]
        none = theme.empty_box("No full run yet", "Start one at the top: it runs in the background and is kept here.")
        self._rows.objects = rows or [none]

    def _row(self, run: RunInfo) -> Viewable:
        shown = theme.button("Open", description="Show this run and its scenarios")
        shown.on_click(lambda _: self._open(run.run_id))
        p = run.experiment["parameters"]
        detail = f"{p.get('network')}, {p.get('n_chips')} chips, seed {p.get('seed')} · {when(run)}"
        return theme.row(theme.html(theme.pair_markup(run.label or "run", detail)), shown, flex_wrap="nowrap",
                         margin=(2, 0))  # fmt: skip
