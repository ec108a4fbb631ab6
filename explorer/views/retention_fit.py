# SPDX-License-Identifier: Apache-2.0
"""The retention page's second and third step: fit as a job; laws, curves over time, predictions, what is left over."""

from __future__ import annotations

import numpy as np
import panel as pn
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
from explorer.views.live import in_one_message, refresh
from explorer.views.retention_plots import (
    CurvesPlot,
    PredictionPlot,
    ResidualPlot,
    chosen_levels,
    curves_over,
    levels_offered,
    spectra,
)
from explorer.views.retention_tables import (
    DEVICE_HEAD,
    LAW_HEAD,
    PARAMETER_HEAD,
    device_rows,
    law_rows,
    notes,
    parameter_rows,
)


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
        time, spread = ("Time after programming", "s"), ("Spread of the change", "µS")
        self.shift = CurvesPlot(time, ("Mean change", "µS"), x_axis_type="log")
        self.spread = CurvesPlot(time, spread, x_axis_type="log")
        self.heat = CurvesPlot(("Temperature of the bake", "°C"), spread)
        self.spectra = CurvesPlot(("Frequency", "Hz"), ("Spectral density", "1/Hz"), x_axis_type="log",
                                  y_axis_type="log", size=3)  # fmt: skip
        self.prediction, self.residuals = PredictionPlot(), ResidualPlot()

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
        self.found.objects = self._results(report.kind)
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
        ds = self.dataset
        if "level_start" in ds:
            one = ds.sel(law=law.stem) if "law" in ds.dims else ds
            g, mean = ds["level_start"].values, one.get("shift_residual")
            self.residuals.draw(g, one["spread_residual"].values, None if mean is None else mean.values)
            last = -1 if "time" in ds.dims else 0
            predicted = one["predicted"].values
            if np.isfinite(predicted).any():
                self.prediction.draw(g, ds["spread"].values[:, last], ds["spread_se"].values[:, last], predicted)
        refresh(self.prediction.pane, self.residuals.pane)
        self._show()

    @in_one_message
    def _draw_curves(self) -> None:
        """Show measured and fitted curves of the levels that were chosen."""
        ds, law = self.dataset, self.law
        if ds is None or law is None:
            return
        if "level_start" not in ds:
            self.spectra.draw(spectra(ds))
            return
        levels = chosen_levels(ds, int(self.levels.value))
        if "time" in ds.dims:
            for name, plot in (("shift", self.shift), ("spread", self.spread)):
                plot.draw(curves_over(ds, name, levels, "time", law.stem))
        else:
            self.heat.draw(curves_over(ds, "spread", levels, "temperature"))
        refresh(self.shift.pane, self.spread.pane, self.heat.pane)

    def _results(self, kind: str) -> list[Viewable]:
        """Return the sections of a kind of measurement."""
        parameters = ("Parameters", self.parameters)
        if kind == "read_noise":
            return [section(*part) for part in (("Spectra and fitted powers", self.spectra.view),
                                                ("Devices", self.devices), parameters)]  # fmt: skip
        parts: list[tuple[str, Viewable]] = [("Laws", pn.Column(self.laws, self.chosen, sizing_mode="stretch_width",
                                                                margin=0))]  # fmt: skip
        drawn = [self.shift.view, self.spread.view] if kind == "relaxation" else [self.heat.view]
        over = "time" if kind == "relaxation" else "temperature"
        parts.append((f"Measured and fitted over {over}", pn.Column(
            theme.caption("Points with 95 % intervals, lines with the 95 % band of the fit."), self.levels,
            theme.grid(*drawn, columns=len(drawn)), sizing_mode="stretch_width", margin=0)))  # fmt: skip
        parts.append(parameters)
        checks: list[tuple[str, Viewable]] = [("Residuals by level", self.residuals.view)]
        if np.isfinite(self.dataset["predicted"].values).any():
            title = "Last time, predicted from the earlier ones" if kind == "relaxation" else (
                "Lowest temperature, predicted from the hotter ones")  # fmt: skip
            checks.insert(0, (title, self.prediction.view))
        grid = theme.grid(*(pn.Column(theme.heading(title), view, sizing_mode="stretch_width", margin=0)
                            for title, view in checks), columns=len(checks))  # fmt: skip
        grid.margin = (16, 0, 0, 0)
        return [*(section(*part) for part in parts), grid]
