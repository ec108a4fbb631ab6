# SPDX-License-Identifier: Apache-2.0
"""The fit studio's second and third step: fit as a job; candidates, parameters with intervals, what is left over."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
import xarray as xr
from panel.viewable import Viewable, Viewer

from explorer import jobs
from explorer.experiments.base import Experiment
from explorer.experiments.fit_response import AUTO, FitResponse
from explorer.fitting import Normalised, ResponseFit
from explorer.fitting.likelihood import candidates
from explorer.fitting.provenance import provenance
from explorer.views import theme
from explorer.views.fit_plots import (
    PARAMETER_HEAD,
    RANKING_HEAD,
    AutocorrelationPlot,
    OverlayPlot,
    QqPlot,
    ResidualPlot,
    parameter_rows,
    residual_words,
)
from explorer.views.job_box import JobBox
from explorer.views.job_words import Runner
from explorer.views.live import LatestWins, in_one_message, refresh

ARGUMENT = "fit"
AT_ONCE = 100_000
"""Readings that are written for the job within the click; more would hold up every page, and are written beside it."""

_ALL = "all classes, ranked"


class StudioFit(Viewer):
    """Fits what it is given; sets ``fit`` and ``dataset``.

    Attributes
    ----------
    fit : ResponseFit or None
        The fit on show: the best of a ranking, or the one chosen.
    dataset : Dataset or None
        What the job returned.
    """

    fit = param.ClassSelector(class_=ResponseFit, default=None, allow_None=True, doc="The fit on show.")
    dataset = param.ClassSelector(class_=xr.Dataset, default=None, allow_None=True, doc="What the job returned.")
    restored = param.ClassSelector(class_=Normalised, default=None, allow_None=True,
                                   doc="Readings of a job that was come back to.")  # fmt: skip

    def __init__(self, runner: Runner | None = None):
        super().__init__()
        self._normalised: Normalised | None = None
        self._fitted: Normalised | None = None
        classes = {_ALL: AUTO} | {candidates.get(name).title: name for name in candidates.names()}
        self.model = theme.select("Device class", options=classes, value=AUTO, margin=(12, 0, 6, 0))
        self.start = theme.button("Fit", icon="play_arrow", primary=True, disabled=True)
        self.start.on_click(lambda _: self.run())
        self.box = JobBox(runner or jobs.runner(), self._done, ARGUMENT, changed=self._show)
        self.writer: LatestWins[tuple[Normalised, str], tuple[Normalised, FitResponse]] = LatestWins(
            _handed_over, self._submit, self._refused
        )
        self.stale = theme.warning_box(visible=False)
        self.verdict, self.notes = theme.info_box(visible=False), theme.html(visible=False)
        self.ranking, self.parameters, self.corrupt, self.residual_words = (theme.html() for _ in range(4))
        self.chosen = theme.select("Show", options={}, visible=False)
        self.chosen.param.watch(self._choose, "value")
        self.empty = theme.empty_box("No fit yet", "Once there are data, press Fit: all classes take a few seconds.")
        self.overlay, self.residuals, self.qq, self.autocorrelation = (
            OverlayPlot(), ResidualPlot(), QqPlot(), AutocorrelationPlot(),
        )  # fmt: skip
        self.plots = {p: theme.plot_pane(p.figure) for p in (self.overlay, self.residuals, self.qq,
                                                             self.autocorrelation)}  # fmt: skip
        self.found = pn.Column(sizing_mode="stretch_width", margin=0)  # Bokeh complains of plots without a point
        self.results = self._results()
        row = theme.row(self.start, margin=(8, 0))
        self.view: Viewable = theme.card(
            "Fit", self.model, row, self.box, self.stale, self.empty, self.verdict, self.notes, self.found,
            subtitle="Every class by maximum likelihood, in a background job; the page's address names it",
        )  # fmt: skip
        self._show()

    def __panel__(self) -> Viewable:
        return self.view

    def come_back(self) -> None:
        """Follow again the job that the page's address names."""
        self.box.come_back()

    def take(self, normalised: Normalised | None) -> None:
        """Fit these readings from now on; an older result is marked."""
        self._normalised = normalised
        self._show()

    def run(self) -> None:
        """Start a fit of the readings."""
        data = self._normalised
        if data is None:
            return
        asked = data, str(self.model.value)
        if sum(map(len, data.measured.traces)) <= AT_ONCE:
            self.writer.now(asked)
        else:
            self.start.param.update(disabled=True, label="Handing over the readings …")
            self.writer.request(asked)

    def _submit(self, asked: tuple[Normalised, FitResponse]) -> None:
        self._fitted, experiment = asked
        self.box.submit(experiment, f"fit {experiment.source_name}")
        self._show()

    def _refused(self, problem: Exception) -> None:
        theme.say_error(self.box.problem, str(problem))
        self._show()

    def _results(self) -> list[Viewable]:
        def drawn(plot) -> Viewable:
            return pn.Column(theme.html(theme.legend_markup(plot.LEGEND), margin=(4, 0, 0, 0)), self.plots[plot],
                             sizing_mode="stretch_width", margin=0)  # fmt: skip

        left_over = theme.grid(*(drawn(p) for p in (self.residuals, self.qq, self.autocorrelation)), columns=3,
                               min_width=280)  # fmt: skip
        parts = (
            ("Candidates", self.ranking), ("Data and simulated devices", pn.Column(self.chosen, drawn(self.overlay),
             sizing_mode="stretch_width", margin=0)), ("Parameters", pn.Column(self.parameters, self.corrupt,
             sizing_mode="stretch_width", margin=0)), ("What the model leaves over", pn.Column(self.residual_words,
             left_over, sizing_mode="stretch_width", margin=0)),
        )  # fmt: skip
        return [
            pn.Column(theme.heading(title), body, sizing_mode="stretch_width", margin=(16, 0, 0, 0))
            for title, body in parts
        ]

    def _done(self, ds: xr.Dataset, experiment: Experiment) -> None:
        """Show a result."""
        if not isinstance(experiment, FitResponse):
            theme.say_error(
                self.box.problem, f"job = {type(experiment).__name__}: is no fit. Open it where it started."
            )
            return
        if self._normalised is None:  # come back to
            self._normalised = self._fitted = self.restored = experiment.normalised()
        self.dataset = ds
        ranking = FitResponse.ranking_of(ds)
        fits = ranking.fits if ranking else {}
        rows = ranking.table() if ranking else []
        self.ranking.object = _worded(RANKING_HEAD, rows) if rows else theme.caption_markup(
            "One class was fitted; choose all classes to compare.")  # fmt: skip
        best = FitResponse.fit_of(ds)
        theme_text = ranking.verdict if ranking else best.verdict
        self.verdict.param.update(object=theme.info_box(theme_text, "Verdict.").object, visible=True)
        order = {e.title: e.stem for e in ranking.entries} if ranking else {best.title: best.model}
        self._fits = fits or {best.model: best}
        self.chosen.param.update(options=order, value=best.model, visible=len(order) > 1)
        self._draw(best)

    def _choose(self, event: param.parameterized.Event) -> None:
        if self.dataset is not None and event.new in self._fits and self.fit is not self._fits[event.new]:
            self._draw(self._fits[event.new])

    @in_one_message
    def _draw(self, fit: ResponseFit) -> None:
        best = fit.model == self.dataset.attrs["model"]
        self.overlay.draw(fit, self.dataset if best else fit.simulate(100))
        for plot in (self.residuals, self.qq, self.autocorrelation):
            plot.draw(fit)
        self.parameters.object = _worded(PARAMETER_HEAD, parameter_rows(fit))
        told = [f"Device {c.device_id}: {c.reason}{'; left out' if c.excluded else ''}." for c in fit.corrupt]
        self.corrupt.object = theme.list_markup(["Corrupt devices:", *told]) if told else ""
        self.residual_words.object = theme.caption_markup(residual_words(fit))
        self.notes.param.update(object=theme.list_markup(fit.notes), visible=bool(fit.notes))
        self.fit = fit
        self.found.objects = self.results
        refresh(*self.plots.values())
        self._show()

    def _show(self) -> None:
        """Bring buttons and boxes in line with data and job."""
        busy = self.box.busy
        self.start.param.update(disabled=self._normalised is None, label="Fit anew" if busy else "Fit")
        self.empty.visible = self.fit is None and not busy
        stale = self.fit is not None and not _same(self._fitted, self._normalised)
        theme.say_warning(self.stale, "Press Fit to bring it up to date." if stale else "",
                          "This result belongs to other readings or another map.")  # fmt: skip


def _handed_over(asked: tuple[Normalised, str]) -> tuple[Normalised, FitResponse]:
    """Return readings and the experiment that fits a class to them."""
    data, model = asked
    experiment = FitResponse(
        readings=data.measured.to_csv(), provenance=provenance(data.measured), source_name=data.measured.source_name,
        model=model, w_lo=data.w_lo, w_hi=data.w_hi, g_lo=data.g_lo, g_hi=data.g_hi,
    )  # fmt: skip
    return data, experiment


def _same(one: Normalised | None, other: Normalised | None) -> bool:
    """Whether two maps of readings are one, but for the digits that a box shows."""
    if one is None or other is None:
        return one is other
    ends = ([n.w_lo, n.w_hi, n.g_lo, n.g_hi] for n in (one, other))
    return one.measured is other.measured and bool(np.allclose(*ends, rtol=1e-5, atol=0))


def _worded(columns: list[tuple[str, str]], rows: list[list[str]]) -> str:
    """Return a table whose last column is text."""
    return f'<div class="words">{theme.table_markup(columns, rows)}</div>'
