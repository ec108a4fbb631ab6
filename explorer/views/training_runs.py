# SPDX-License-Identifier: Apache-2.0
"""Stored training runs: open one, or lay some over the one on show."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer import results
from explorer.results import RunInfo
from explorer.views import theme
from explorer.views.training_data import History
from explorer.views.training_plots import MAX_COMPARED

SHOWN = 8
"""Newest runs that are listed."""


class RecentRuns(Viewer):
    """A list of stored runs; ticked ones are compared.

    Parameters
    ----------
    open_run : callable
        Takes the run id of the run to show.

    Attributes
    ----------
    chosen : list of str
        Run ids of the ticked runs, at most `MAX_COMPARED`.
    """

    chosen = param.List([], item_type=str, doc="Run ids of the ticked runs.")

    def __init__(self, open_run: Callable[[str], None]):
        super().__init__()
        self._open = open_run
        self.runs: list[RunInfo] = []
        self.problem = theme.error_box(visible=False)
        self._loaded: dict[str, History] = {}
        self._rows = pn.Column(sizing_mode="stretch_width", margin=0)
        self._view = pn.Column(self.problem, self._rows, sizing_mode="stretch_width", margin=0)
        self.update()

    def __panel__(self) -> Viewable:
        return self._view

    def update(self) -> None:
        """Read the list of stored runs again."""
        try:
            self.runs = results.listing(experiment_class="Training", limit=SHOWN)
        except OhmscapeError as error:
            self.runs = []
            theme.say_error(self.problem, str(error))
        there = {run.run_id for run in self.runs}
        self.chosen = [run_id for run_id in self.chosen if run_id in there]
        rows = [self._row(run) for run in self.runs]
        none = theme.caption("Finished trainings are kept and listed here.")
        self._rows.objects = rows or [none]

    def histories(self) -> list[tuple[str, History]]:
        """Return title and numbers of the ticked runs; one that cannot be read is told of and left out."""
        found = []
        for run in self.runs:
            if run.run_id not in self.chosen:
                continue
            try:
                if run.run_id not in self._loaded:
                    self._loaded[run.run_id] = History.of(results.load(run.run_id))
                found.append((title(run), self._loaded[run.run_id]))
            except OhmscapeError as error:
                theme.say_error(self.problem, str(error))
        return found

    def _row(self, run: RunInfo) -> Viewable:
        tick = theme.tick("Compare", value=run.run_id in self.chosen)
        tick.param.watch(lambda event: self._ticked(run.run_id, event.new, tick), "value")
        shown = theme.button("Open", description="Show this run here")
        shown.on_click(lambda _: self._open(run.run_id))
        told = theme.html(theme.pair_markup(title(run), f"{settings(run)} · {when(run)}"))
        return theme.row(tick, told, shown, flex_wrap="nowrap", margin=(2, 0))

    def _ticked(self, run_id: str, on: bool, tick) -> None:
        if on and run_id not in self.chosen and len(self.chosen) == MAX_COMPARED:
            theme.say_error(self.problem, f"compared runs = {MAX_COMPARED + 1}: too many to tell apart "
                                          f"(allowed: {MAX_COMPARED}). Untick another one first.")  # fmt: skip
            tick.value = False
            return
        theme.say_error(self.problem, "")
        rest = [other for other in self.chosen if other != run_id]
        self.chosen = [*rest, run_id] if on else rest


def title(run: RunInfo) -> str:
    """Return what a run is called: the user's label, or its device."""
    device = run.experiment["parameters"].get("device", {}).get("device", "device")
    return run.label or device


def settings(run: RunInfo) -> str:
    """Word the choices of a stored run."""
    p = run.experiment["parameters"]
    seeds = f", {p['n_seeds']} seeds" if p.get("n_seeds", 1) > 1 else ""
    return f"{p.get('epochs')} epochs, lr {p.get('lr'):g}, batch {p.get('batch_size')}{seeds}"


def when(run: RunInfo) -> str:
    """Return day and time of the end of a run, in local time."""
    return datetime.fromisoformat(run.finished).astimezone().strftime("%d %b %H:%M")
