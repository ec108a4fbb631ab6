# SPDX-License-Identifier: Apache-2.0
"""The retention page's second and third step: fit as a job; laws, curves over time, predictions, what is left over."""

from __future__ import annotations

import param
import xarray as xr
from panel.viewable import Viewable

from explorer.experiments.fit_retention import FitRetention
from explorer.fitting.retention import Data, Relaxation
from explorer.fitting.retention.analysis import laws_of
from explorer.fitting.retention.packed import pack
from explorer.fitting.retention.report import Law, Report
from explorer.views import theme
from explorer.views.fit_job import FitJob, section
from explorer.views.job_words import Runner
from explorer.views.live import in_one_message
from explorer.views.retention_figures import RetentionFigures
from explorer.views.retention_plots import EVERY, levels_offered
from explorer.views.retention_tables import (
    DEVICE_HEAD,
    LAW_HEAD,
    PARAMETER_HEAD,
    device_rows,
    law_rows,
    notes,
    parameter_rows,
)

_INTERVALS = "Points with 95 % intervals, lines with the 95 % band of the fit."


class RetentionFitView(FitJob):
    """Fits what it is given; sets ``law``.

    Attributes
    ----------
    report : Report or None
        The result on show.
    law : Law or None
        The law of it on show: the best, or the one chosen.
    """

    EXPERIMENT, ARGUMENT, WHAT = FitRetention, "retention", "fit of retention"
    SUBTITLE = "Means and spreads by level, weighted by their errors; in a background job that the page's address names"
    HINT = "Once there are data, press Fit: it takes a few seconds."

    law = param.ClassSelector(class_=Law, default=None, allow_None=True, doc="The law on show.")

    def __init__(self, runner: Runner | None = None):
        super().__init__(("Law", laws_of(Relaxation.kind)), "Show law", runner)
        self.report: Report | None = None
        self.laws, self.parameters, self.devices = (theme.html() for _ in range(3))
        self.chosen.margin = (16, 0, 6, 0)
        self.levels = theme.select("Levels", options={}, sizing_mode=None, width=240, margin=(12, 0, 6, 0))
        self.levels.param.watch(lambda _: self._draw_curves(), "value")
        self.figures = RetentionFigures()

    def take(self, data: Data | None) -> None:
        """Fit this from now on; an older result is marked."""
        if data is not None:
            options = laws_of(data.kind)
            if self.model.options != options:
                self.model.param.update(options=options, value=next(iter(options.values())))
        super().take(data)

    def experiment(self, data: Data, model: str) -> FitRetention:
        """Return the experiment that fits a law to a measurement."""
        return FitRetention(readings=pack(data), law=model)

    def data_of(self, experiment: FitRetention) -> Data:
        """Return the measurement of an experiment."""
        return experiment.data()

    def source_of(self, data: Data) -> str:
        """Return the name of the file that the measurement is from."""
        return data.source

    def _found(self, ds: xr.Dataset) -> None:
        self.law = None  # that of the result before is none of this one
        report = self.report = FitRetention.report_of(ds)
        rows, devices = law_rows(report), device_rows(report)
        self.laws.object = theme.table_markup(LAW_HEAD, rows, "words") if rows else ""
        self.devices.object = theme.table_markup(DEVICE_HEAD, devices) if devices else ""
        self._say_verdict(report.verdict)
        self._say_notes(notes(report))
        if "level_start" in ds:
            self.levels.param.update(options=(offered := levels_offered(ds)), value=next(iter(offered.values())))
        options = {law.title: law.stem for law in report.laws}
        self.chosen.param.update(options=options, value=report.best.stem, visible=len(options) > 1)
        self.found.objects = self._results(ds)
        self._draw(report.best)

    def _choose(self, event: param.parameterized.Event) -> None:
        if self.report is not None and event.new and self.law is not None and event.new != self.law.stem:
            self._draw(self.report.law(event.new))

    @in_one_message
    def _draw(self, law: Law) -> None:
        self.parameters.object = theme.table_markup(PARAMETER_HEAD, parameter_rows(law.parameters), "words")
        self.law = None  # the same law of another fit is another one
        self.law = law
        self._draw_curves()
        self.figures.draw_checks(self.dataset, law)
        self._show()

    def _draw_curves(self) -> None:
        """Show measured and fitted curves of the levels that were chosen."""
        if self.dataset is not None and self.law is not None:
            self.figures.draw_curves(self.dataset, self.law, self._level())

    def _level(self) -> int:
        return EVERY if self.levels.value is None else int(self.levels.value)

    def _results(self, ds: xr.Dataset) -> list[Viewable]:
        """Return the sections of a result."""
        title, curves = self.figures.curves(ds)
        drawn = theme.grid(*(plot.view for plot in curves), columns=len(curves))
        if "level_start" not in ds:
            return [section(title, drawn), section("Devices", self.devices), section("Parameters", self.parameters)]
        checks = self.figures.checks(ds)
        grid = theme.grid(*(section(words, plot.view) for words, plot in checks), columns=len(checks))
        return [
            section("Laws", self.laws, self.chosen),
            section(title, theme.caption(_INTERVALS), self.levels, drawn),
            section("Parameters", self.parameters),
            grid,
        ]
