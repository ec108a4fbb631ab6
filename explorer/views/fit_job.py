# SPDX-License-Identifier: Apache-2.0
"""The second step of a page that fits: a button, the background job, the verdict, and whether it still holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import panel as pn
import param
import xarray as xr
from panel.viewable import Viewable, Viewer

from explorer import jobs
from explorer.experiments.base import Experiment
from explorer.views import theme
from explorer.views.job_box import JobBox
from explorer.views.job_words import Runner
from explorer.views.live import LatestWins

NARROW = {"sizing_mode": None, "width": 360}


class FitJob(Viewer):
    """Base of such a step. A subclass says what is fitted and draws what was found.

    Parameters
    ----------
    choice : tuple of (str, dict of str to str)
        Label of the list of what may be fitted, and its entries; the first is the default.
    shown : str
        Label of the list of what was fitted.
    runner : Runner, optional
        Where fits run; the runner of this process by default.

    Attributes
    ----------
    dataset : Dataset or None
        What the job on show returned.
    restored : object or None
        Data of a job that was come back to.
    """

    EXPERIMENT: ClassVar[type[Experiment]]
    ARGUMENT: ClassVar[str]
    """Argument of the page's address that names the job."""
    WHAT: ClassVar[str] = "fit"
    SUBTITLE: ClassVar[str]
    HINT: ClassVar[str]
    STALE: ClassVar[str] = "This result belongs to other readings."

    restored = param.Parameter(None, doc="Data of a job that was come back to.")

    def __init__(self, choice: tuple[str, Mapping[str, str]], shown: str, runner: Runner | None = None):
        super().__init__()
        self.dataset: xr.Dataset | None = None
        self._data: Any = None
        self._fitted: Any = None
        label, options = choice
        self.model = theme.select(label, options=dict(options), margin=(12, 0, 6, 0), **NARROW)
        self.start = theme.button("Fit", icon="play_arrow", primary=True, disabled=True)
        self.start.on_click(lambda _: self.run())
        self.box = JobBox(runner or jobs.runner(), self._done, self.ARGUMENT, changed=self._show)
        self.writer: LatestWins[tuple[Any, str], tuple[Any, Experiment]] = LatestWins(
            self._handed_over, self._submit, self._refused
        )
        self.stale = theme.warning_box(visible=False)
        self.verdict, self.notes = theme.info_box(visible=False), theme.html(visible=False)
        self.chosen = theme.select(shown, options={}, visible=False, **NARROW)
        self.chosen.param.watch(self._choose, "value")
        self.empty = theme.empty_box("No fit yet", self.HINT)
        self.found = pn.Column(sizing_mode="stretch_width", margin=0)  # Bokeh complains of plots without a point
        self.view: Viewable = theme.card(
            "Fit", self.model, theme.row(self.start, margin=(8, 0)), self.box, self.stale, self.empty, self.verdict,
            self.notes, self.found, subtitle=self.SUBTITLE,
        )  # fmt: skip
        self._show()

    def __panel__(self) -> Viewable:
        return self.view

    # -- what a subclass says ------------------------------------------------------------------------------------

    def experiment(self, data: Any, model: str) -> Experiment:
        """Return the experiment that fits ``model`` to the data; called in a thread."""
        raise NotImplementedError

    def data_of(self, experiment: Any) -> Any:
        """Return the data of an experiment."""
        raise NotImplementedError

    def source_of(self, data: Any) -> str:
        """Return the name of the file that the data are from."""
        raise NotImplementedError

    def at_once(self, data: Any) -> bool:
        """Return whether the data are so few that they are written for the job within the click."""
        return False

    def is_same(self, one: Any, other: Any) -> bool:
        """Return whether a result of the one is one of the other."""
        return one is other

    def _found(self, ds: xr.Dataset) -> None:
        """Show a result."""
        raise NotImplementedError

    def _choose(self, event: param.parameterized.Event) -> None:
        """Show the fit that was chosen of those of the result."""
        raise NotImplementedError

    # -- what all have in common -----------------------------------------------------------------------------------

    def come_back(self) -> None:
        """Follow again the job that the page's address names."""
        self.box.come_back()

    def take(self, data: Any) -> None:
        """Fit these data from now on; an older result is marked."""
        self._data = data
        self._show()

    def run(self) -> None:
        """Start a fit; many data are handed over beside the event loop."""
        if self._data is None:
            return
        asked = self._data, str(self.model.value)
        if self.at_once(self._data):
            self.writer.now(asked)
        else:
            self.start.param.update(disabled=True, label="Handing over the readings …")
            self.writer.request(asked)

    def _handed_over(self, asked: tuple[Any, str]) -> tuple[Any, Experiment]:
        return asked[0], self.experiment(*asked)

    def _submit(self, asked: tuple[Any, Experiment]) -> None:
        self._fitted, experiment = asked
        self.box.submit(experiment, f"fit {self.source_of(self._fitted)}")
        self._show()

    def _refused(self, problem: Exception) -> None:
        theme.say_error(self.box.problem, str(problem))
        self._show()

    def _done(self, ds: xr.Dataset, experiment: Experiment) -> None:
        """Show the result of a job."""
        if not isinstance(experiment, self.EXPERIMENT):
            problem = f"job = {type(experiment).__name__}: is no {self.WHAT}. Open it where it started."
            theme.say_error(self.box.problem, problem)
            return
        if self._data is None:  # come back to
            self._data = self._fitted = self.restored = self.data_of(experiment)
        self.dataset = ds
        self._found(ds)

    def _say_verdict(self, text: str) -> None:
        self.verdict.param.update(object=theme.info_box(text, "Verdict.").object, visible=True)

    def _say_notes(self, notes: Iterable[str]) -> None:
        told = list(notes)
        self.notes.param.update(object=theme.list_markup(told), visible=bool(told))

    def _show(self) -> None:
        """Bring buttons and boxes in line with data and job."""
        busy, shown = self.box.busy, self.dataset is not None
        self.start.param.update(disabled=self._data is None, label="Fit anew" if busy else "Fit")
        self.empty.visible = not shown and not busy
        stale = shown and not self.is_same(self._fitted, self._data)
        theme.say_warning(self.stale, "Press Fit to bring it up to date." if stale else "", self.STALE)


def section(title: str, *body: Viewable) -> Viewable:
    """Return a part of a result under its heading."""
    return pn.Column(theme.heading(title), *body, sizing_mode="stretch_width", margin=(16, 0, 0, 0))
