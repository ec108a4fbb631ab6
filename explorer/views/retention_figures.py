# SPDX-License-Identifier: Apache-2.0
"""All plots of a retention fit, and which of them a kind of measurement has. For pages and reports."""

from __future__ import annotations

import numpy as np
import xarray as xr

from explorer.fitting.retention.report import Law
from explorer.views.live import in_one_message, refresh
from explorer.views.retention_plots import (
    EVERY,
    CurvesPlot,
    PredictionPlot,
    ResidualPlot,
    chosen_levels,
    curves_over,
    spectra,
)

Plot = CurvesPlot | PredictionPlot | ResidualPlot


class RetentionFigures:
    """Measured and fitted curves, the prediction of what a fit did not see, residuals."""

    def __init__(self) -> None:
        time, spread = ("Time after programming", "s"), ("Spread of the change", "µS")
        self.shift = CurvesPlot(time, ("Mean change", "µS"), x_axis_type="log")
        self.spread = CurvesPlot(time, spread, x_axis_type="log")
        self.heat = CurvesPlot(("Temperature of the bake", "°C"), spread)
        self.spectra = CurvesPlot(("Frequency", "Hz"), ("Spectral density", "1/Hz"), x_axis_type="log",
                                  y_axis_type="log", size=3)  # fmt: skip
        self.prediction, self.residuals = PredictionPlot(), ResidualPlot()

    def curves(self, ds: xr.Dataset) -> tuple[str, list[Plot]]:
        """Return the heading of the curves of a result, and their plots."""
        if "level_start" not in ds:
            return "Spectra and fitted powers", [self.spectra]
        if "time" in ds.dims:
            return "Measured and fitted over time", [self.shift, self.spread]
        return "Measured and fitted over temperature", [self.heat]

    def checks(self, ds: xr.Dataset) -> list[tuple[str, Plot]]:
        """Return heading and plot of what tells whether a law holds; read noise has none."""
        if "level_start" not in ds:
            return []
        made: list[tuple[str, Plot]] = [("Residuals by level", self.residuals)]
        if np.isfinite(ds["predicted"].values).any():
            title = "Lowest temperature, predicted from the hotter ones"
            if "time" in ds.dims:
                title = "Last time, predicted from the earlier ones"
            made.insert(0, (title, self.prediction))
        return made

    @in_one_message
    def draw_curves(self, ds: xr.Dataset, law: Law, level: int = EVERY) -> None:
        """Show measured and fitted curves of a law, for one level or some over the range."""
        if "level_start" not in ds:
            self.spectra.draw(spectra(ds))
        elif "time" in ds.dims:
            levels = chosen_levels(ds, level)
            self.shift.draw(curves_over(ds, "shift", levels, "time", law.stem))
            self.spread.draw(curves_over(ds, "spread", levels, "time", law.stem))
        else:
            self.heat.draw(curves_over(ds, "spread", chosen_levels(ds, level), "temperature"))
        refresh(self.shift.pane, self.spread.pane, self.heat.pane, self.spectra.pane)

    @in_one_message
    def draw_checks(self, ds: xr.Dataset, law: Law) -> None:
        """Show residuals of a law, and what it predicts."""
        if "level_start" not in ds:
            return
        one = ds.sel(law=law.stem) if "law" in ds.dims else ds
        g, mean = ds["level_start"].values, one.get("shift_residual")
        self.residuals.draw(g, one["spread_residual"].values, None if mean is None else mean.values)
        last = -1 if "time" in ds.dims else 0
        predicted = one["predicted"].values
        if np.isfinite(predicted).any():
            self.prediction.draw(g, ds["spread"].values[:, last], ds["spread_se"].values[:, last], predicted)
        refresh(self.prediction.pane, self.residuals.pane)
