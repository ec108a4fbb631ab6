# SPDX-License-Identifier: Apache-2.0
"""The fit studio's second and third step: fit as a job; candidates, parameters with intervals, what is left over."""

from __future__ import annotations

import numpy as np
import panel as pn
import param
import xarray as xr
from panel.viewable import Viewable

from explorer.experiments.fit_response import AUTO, FitResponse
from explorer.fitting import Normalised, ResponseFit
from explorer.fitting.likelihood import candidates
from explorer.fitting.provenance import provenance
from explorer.views import theme
from explorer.views.fit_job import FitJob, section
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
from explorer.views.job_words import Runner
from explorer.views.live import in_one_message, refresh

AT_ONCE = 100_000
"""Readings that are written for the job within the click; more would hold up every page, and are written beside it."""

_ALL = "all classes, ranked"


class StudioFit(FitJob):
    """Fits what it is given; sets ``fit``.

    Attributes
    ----------
    fit : ResponseFit or None
        The fit on show: the best of a ranking, or the one chosen.
    """

    EXPERIMENT, ARGUMENT = FitResponse, "fit"
    SUBTITLE = "Every class by maximum likelihood, in a background job; the page's address names it"
    HINT = "Once there are data, press Fit: all classes take a few seconds."
    STALE = "This result belongs to other readings or another map."

    fit = param.ClassSelector(class_=ResponseFit, default=None, allow_None=True, doc="The fit on show.")

    def __init__(self, runner: Runner | None = None):
        classes = {_ALL: AUTO} | {candidates.get(name).title: name for name in candidates.names()}
        super().__init__(("Device class", classes), "Show", runner)
        self.ranking, self.parameters, self.corrupt, self.residual_words = (theme.html() for _ in range(4))
        self.overlay, self.residuals, self.qq, self.autocorrelation = (
            OverlayPlot(), ResidualPlot(), QqPlot(), AutocorrelationPlot(),
        )  # fmt: skip
        self.plots = {p: theme.plot_pane(p.figure) for p in (self.overlay, self.residuals, self.qq,
                                                             self.autocorrelation)}  # fmt: skip
        self._fits: dict[str, ResponseFit] = {}
        self.results = self._results()

    def experiment(self, data: Normalised, model: str) -> FitResponse:
        """Return the experiment that fits a class to readings."""
        return FitResponse(
            readings=data.measured.to_csv(), provenance=provenance(data.measured),
            source_name=data.measured.source_name, model=model, w_lo=data.w_lo, w_hi=data.w_hi, g_lo=data.g_lo,
            g_hi=data.g_hi,
        )  # fmt: skip

    def data_of(self, experiment: FitResponse) -> Normalised:
        """Return the readings of an experiment, with their map to weights."""
        return experiment.normalised()

    def source_of(self, data: Normalised) -> str:
        """Return the name of the file that the readings are from."""
        return data.measured.source_name

    def at_once(self, data: Normalised) -> bool:
        """Return whether the readings are so few that they are written for the job within the click."""
        return sum(map(len, data.measured.traces)) <= AT_ONCE

    def is_same(self, one: Normalised | None, other: Normalised | None) -> bool:
        """Return whether two maps of readings are one, but for the digits that a box shows."""
        if one is None or other is None:
            return one is other
        ends = ([n.w_lo, n.w_hi, n.g_lo, n.g_hi] for n in (one, other))
        return one.measured is other.measured and bool(np.allclose(*ends, rtol=1e-5, atol=0))

    def _results(self) -> list[Viewable]:
        def drawn(plot) -> Viewable:
            return pn.Column(theme.html(theme.legend_markup(plot.LEGEND), margin=(4, 0, 0, 0)), self.plots[plot],
                             sizing_mode="stretch_width", margin=0)  # fmt: skip

        left_over = theme.grid(*(drawn(p) for p in (self.residuals, self.qq, self.autocorrelation)), columns=3,
                               min_width=280)  # fmt: skip
        return [
            section("Candidates", self.ranking),
            section("Data and simulated devices", self.chosen, drawn(self.overlay)),
            section("Parameters", self.parameters, self.corrupt),
            section("What the model leaves over", self.residual_words, left_over),
        ]

    def _found(self, ds: xr.Dataset) -> None:
        ranking = FitResponse.ranking_of(ds)
        rows = ranking.table() if ranking else []
        self.ranking.object = theme.table_markup(RANKING_HEAD, rows, "words") if rows else theme.caption_markup(
            "One class was fitted; choose all classes to compare.")  # fmt: skip
        best = FitResponse.fit_of(ds)
        self._say_verdict(ranking.verdict if ranking else best.verdict)
        order = {e.title: e.stem for e in ranking.entries} if ranking else {best.title: best.model}
        self._fits = (ranking.fits if ranking else {}) or {best.model: best}
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
        self.parameters.object = theme.table_markup(PARAMETER_HEAD, parameter_rows(fit), "words")
        told = [f"Device {c.device_id}: {c.reason}{'; left out' if c.excluded else ''}." for c in fit.corrupt]
        self.corrupt.object = theme.list_markup(["Corrupt devices:", *told]) if told else ""
        self.residual_words.object = theme.caption_markup(residual_words(fit))
        self._say_notes(fit.notes)
        self.fit = fit
        self.found.objects = self.results
        refresh(*self.plots.values())
        self._show()
