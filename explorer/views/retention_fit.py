# SPDX-License-Identifier: Apache-2.0
"""The retention page's second and third step: fit as a job; laws, curves over time, predictions, what is left over."""

from __future__ import annotations

import math

import numpy as np
import panel as pn
import param
import xarray as xr
from panel.viewable import Viewable, Viewer

from explorer import jobs
from explorer.experiments.base import Experiment
from explorer.experiments.fit_retention import FitRetention
from explorer.fitting.retention import Data, Relaxation
from explorer.fitting.retention.analysis import laws_of
from explorer.fitting.retention.packed import pack
from explorer.fitting.retention.report import Law, Report
from explorer.views import theme
from explorer.views.job_box import JobBox
from explorer.views.job_words import Runner
from explorer.views.live import LatestWins, in_one_message, refresh
from explorer.views.retention_plots import (
    CurvesPlot,
    PredictionPlot,
    ResidualPlot,
    chosen_levels,
    curves_over,
    levels_offered,
    spectra,
)

ARGUMENT = "retention"
_SUBTITLE = "Means and spreads by level, weighted by their errors; in a background job that the page's address names"
_HINT = "Once there are data, press Fit: it takes a few seconds."
_LAWS = [
    ("Law", "Best first."), ("AIC", "Akaike's criterion; the smaller, the better."),
    ("ΔAIC", "Above the best law; 10 and more is clear."),
    ("Chi-square", "Per degree of freedom; 1 where the law describes the data within their errors."),
    ("", "What a fit to a part of the data predicts of the rest."),
]  # fmt: skip
_PARAMETERS = [
    ("Parameter", "Name in the law."), ("Estimate", "Least-squares value."), ("± error", "Standard error."),
    ("95 % interval", "Holds the true value with this probability."), ("Unit", "1 is a pure number."),
    ("Meaning", "What it is, and why to take it with care."),
]  # fmt: skip
_DEVICES = [
    ("Conductance (µS)", "Mean of all reads."), ("Noise", "Standard deviation over mean."),
    ("Slope", "Exponent of 1/f^slope; 1 is 1/f noise."), ("Q", "Of sigma² = Q² ln(f_high / f_low)."),
    ("States", "Values that the readings gather around."),
]  # fmt: skip


class RetentionFitView(Viewer):
    """Fits what it is given; sets ``law``.

    Attributes
    ----------
    report : Report or None
        The result on show.
    law : Law or None
        The law of it on show: the best, or the one chosen.
    restored : Relaxation, Bake, TimeSeries or None
        Data of a job that was come back to.
    """

    law = param.ClassSelector(class_=Law, default=None, allow_None=True, doc="The law on show.")
    restored = param.Parameter(None, doc="Data of a job that was come back to.")

    def __init__(self, runner: Runner | None = None):
        super().__init__()
        self.report: Report | None = None
        self.dataset: xr.Dataset | None = None
        self._data: Data | None = None
        self._fitted: Data | None = None
        self.model = theme.select("Law", options=laws_of(Relaxation.kind), margin=(12, 0, 6, 0))
        self.start = theme.button("Fit", icon="play_arrow", primary=True, disabled=True)
        self.start.on_click(lambda _: self.run())
        self.box = JobBox(runner or jobs.runner(), self._done, ARGUMENT, changed=self._show)
        self.writer: LatestWins[tuple[Data, str], tuple[Data, FitRetention]] = LatestWins(
            _handed_over, self._submit, self._refused
        )
        self.stale = theme.warning_box(visible=False)
        self.verdict, self.notes = theme.info_box(visible=False), theme.html(visible=False)
        self.laws, self.parameters, self.devices = (theme.html() for _ in range(3))
        self.chosen = theme.select("Show law", options={}, visible=False, margin=(16, 0, 6, 0))
        self.chosen.param.watch(self._choose, "value")
        self.levels = theme.select("Levels", options={}, sizing_mode=None, width=240, margin=(12, 0, 6, 0))
        self.levels.param.watch(lambda _: self._draw_curves(), "value")
        self.empty = theme.empty_box("No fit yet", _HINT)
        time, spread = ("Time after programming", "s"), ("Spread of the change", "µS")
        self.shift = CurvesPlot(time, ("Mean change", "µS"), x_axis_type="log")
        self.spread = CurvesPlot(time, spread, x_axis_type="log")
        self.heat = CurvesPlot(("Temperature of the bake", "°C"), spread)
        self.spectra = CurvesPlot(("Frequency", "Hz"), ("Spectral density", "1/Hz"), x_axis_type="log",
                                  y_axis_type="log", size=3)  # fmt: skip
        self.prediction, self.residuals = PredictionPlot(), ResidualPlot()
        self.found = pn.Column(sizing_mode="stretch_width", margin=0)  # Bokeh complains of plots without a point
        self.view: Viewable = theme.card(
            "Fit", self.model, theme.row(self.start, margin=(8, 0)), self.box, self.stale, self.empty, self.verdict,
            self.notes, self.found, subtitle=_SUBTITLE,
        )  # fmt: skip
        self._show()

    def __panel__(self) -> Viewable:
        return self.view

    def come_back(self) -> None:
        """Follow again the job that the page's address names."""
        self.box.come_back()

    def take(self, data: Data | None) -> None:
        """Fit this from now on; an older result is marked."""
        self._data = data
        if data is not None:
            options = laws_of(data.kind)
            if self.model.options != options:
                self.model.param.update(options=options, value=next(iter(options.values())))
        self._show()

    def run(self) -> None:
        """Start a fit; the data are handed over beside the event loop."""
        if self._data is not None:
            self.start.param.update(disabled=True, label="Handing over the readings …")
            self.writer.request((self._data, str(self.model.value)))

    def _submit(self, asked: tuple[Data, FitRetention]) -> None:
        self._fitted, experiment = asked
        self.box.submit(experiment, f"fit {self._fitted.source}")
        self._show()

    def _refused(self, problem: Exception) -> None:
        theme.say_error(self.box.problem, str(problem))
        self._show()

    def _done(self, ds: xr.Dataset, experiment: Experiment) -> None:
        """Show a result."""
        if not isinstance(experiment, FitRetention):
            problem = f"job = {type(experiment).__name__}: is no fit of retention. Open it where it started."
            theme.say_error(self.box.problem, problem)
            return
        if self._data is None:  # come back to
            self._data = self._fitted = self.restored = experiment.data()
        self.dataset, self.report = ds, FitRetention.report_of(ds)
        report = self.report
        best = report.best
        rows = [[law.title, f"{law.aic:.1f}", f"{law.aic - best.aic:.1f}", f"{law.reduced_chi_square:.2f}",
                 _sentence(law.prediction)] for law in report.laws if math.isfinite(law.aic)]  # fmt: skip
        self.laws.object = _worded(_LAWS, rows) if rows else ""
        self.devices.object = theme.table_markup(_DEVICES, [
            [f"{g:.4g}", f"{noise:.2%}", f"{slope:.2f} ± {se:.2g}", f"{q:.3g} ± {qe:.1g}", f"{n:.0f}"]
            for g, noise, slope, se, q, qe, n in report.devices
        ]) if report.devices else ""  # fmt: skip
        self.verdict.param.update(object=theme.info_box(report.verdict, "Verdict.").object, visible=True)
        told = [note.replace("uS", "µS") for note in report.notes]
        self.notes.param.update(object=theme.list_markup(told), visible=bool(told))
        if "level_start" in ds:
            self.levels.param.update(options=(offered := levels_offered(ds)), value=next(iter(offered.values())))
        options = {law.title: law.stem for law in report.laws}
        self.chosen.param.update(options=options, value=best.stem, visible=len(options) > 1)
        self.found.objects = self._results(report.kind)
        self._draw(best)

    def _choose(self, event: param.parameterized.Event) -> None:
        if self.report is not None and event.new and self.law is not None and event.new != self.law.stem:
            self._draw(self.report.law(event.new))

    @in_one_message
    def _draw(self, law: Law) -> None:
        self.parameters.object = _worded(_PARAMETERS, [_parameter(p) for p in law.parameters])
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
            return [_section(*part) for part in (("Spectra and fitted powers", self.spectra.view),
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
        return [*(_section(*part) for part in parts), grid]

    def _show(self) -> None:
        """Bring buttons and boxes in line with data and job."""
        busy = self.box.busy
        self.start.param.update(disabled=self._data is None, label="Fit anew" if busy else "Fit")
        self.empty.visible = self.report is None and not busy
        stale = self.report is not None and self._fitted is not self._data
        theme.say_warning(self.stale, "Press Fit to bring it up to date." if stale else "",
                          "This result belongs to other readings.")  # fmt: skip


def _handed_over(asked: tuple[Data, str]) -> tuple[Data, FitRetention]:
    data, law = asked
    return data, FitRetention(readings=pack(data), law=law)


def _section(title: str, body: Viewable) -> Viewable:
    return pn.Column(theme.heading(title), body, sizing_mode="stretch_width", margin=(16, 0, 0, 0))


def _parameter(p) -> list[str]:
    known = math.isfinite(p.stderr)
    interval = f"{p.low:.4g} … {p.high:.4g}" if known and math.isfinite(p.low) else ""
    doubt = "" if p.determined or "normal" in p.meaning else "; not determined by these data"
    return [p.name, f"{p.value:.4g}", f"{p.stderr:.2g}" if known else "–", interval, p.unit.replace("uS", "µS"),
            p.meaning.replace("uS", "µS") + doubt]  # fmt: skip


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def _worded(columns: list[tuple[str, str]], rows: list[list[str]]) -> str:
    """Return a table whose last column is text."""
    return f'<div class="words">{theme.table_markup(columns, rows)}</div>'
