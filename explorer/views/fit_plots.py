# SPDX-License-Identifier: Apache-2.0
"""Plots of a likelihood fit: data under simulated devices, and what the model leaves over. For pages and reports."""

from __future__ import annotations

import math

import numpy as np
import xarray as xr
from bokeh.models import ColumnDataSource, Range1d
from bokeh.models.annotations import Span

from explorer.fitting import ResponseFit
from explorer.fitting.units import engineering
from explorer.views import theme
from explorer.views.framed_plot import put

MAX_POINTS = 1500
"""Points drawn of one curve; more are not seen."""

_EDGE = 0.05
_PREFIX = {"m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12}


def scale_of(values: np.ndarray, unit: str) -> tuple[float, str]:
    """Return what one shown unit is in ``unit``, and its name: conductances are shown in mS, uS, nS."""
    if unit == "1":
        return 1.0, "1"
    word = engineering([float(np.nanmax(np.abs(values)))], unit).rpartition(" ")[2]
    return _PREFIX.get(word[:1], 1.0) if len(word) > len(unit) else 1.0, word.replace("u", "µ")


class OverlayPlot:
    """Readings along the first measured trace, and bands of devices simulated from the fit."""

    LEGEND = [
        ("measured", theme.MEASURED, "dot"), ("95 % of devices", theme.MODEL, "band"), ("mean", theme.NOMINAL, "line"),
    ]  # fmt: skip

    def __init__(self, height: int = 320):
        self.bands = ColumnDataSource({n: [] for n in ("pulse", "low", "high", "inner_low", "inner_high", "mean")})
        self.points = ColumnDataSource({"pulse": [], "value": []})
        self.y_range = Range1d(start=0, end=1)
        self.figure = theme.figure(("Pulse number", "1"), ("Reading", "1"), height=height, y_range=self.y_range)
        for low, high in (("low", "high"), ("inner_low", "inner_high")):
            self.figure.varea("pulse", low, high, source=self.bands, fill_color=theme.MODEL,
                              fill_alpha=theme.BAND_ALPHA)  # fmt: skip
        self.figure.scatter("pulse", "value", source=self.points, size=3, fill_color=theme.MEASURED, line_color=None,
                            fill_alpha=0.7)  # fmt: skip
        self.figure.line("pulse", "mean", source=self.bands, line_color=theme.NOMINAL, line_width=2)

    def draw(self, fit: ResponseFit, ds: xr.Dataset) -> None:
        """Show a fit with the bands of its dataset."""
        every = slice(None, None, max(1, math.ceil(ds.sizes["pulse"] / MAX_POINTS)))
        band, value = ds["band_value"].values[:, every], ds["measured_value"].values[every]
        size, unit = scale_of(ds["measured_value"].values, str(fit.mapping["unit"]))
        middle = _readings(fit, ds["mean"].values[every])
        pulse, band, value, middle = ds["pulse"].values[every], band / size, value / size, middle / size
        put(self.bands, {"pulse": pulse, "low": band[0], "high": band[-1], "inner_low": band[1],
                         "inner_high": band[-2], "mean": middle})  # fmt: skip
        put(self.points, {"pulse": pulse, "value": value})
        ends = np.nanmin([band[0], value]), np.nanmax([band[-1], value])
        edge = _EDGE * (ends[1] - ends[0]) or 1.0
        self.y_range.update(start=ends[0] - edge, end=ends[1] + edge)
        self.figure.yaxis[0].axis_label = theme.axis_label("Reading", unit)


def _readings(fit: ResponseFit, weight: np.ndarray) -> np.ndarray:
    m = fit.mapping
    return m["g_lo"] + (weight - m["w_lo"]) * (m["g_hi"] - m["g_lo"]) / (m["w_hi"] - m["w_lo"])


class ResidualPlot:
    """Standardised innovations over the weight before the pulse; structure shows where the model is wrong."""

    LEGEND = [("after up pulses", theme.UP, "dot"), ("after down pulses", theme.DOWN, "dot")]

    def __init__(self, height: int = 240):
        self.source = ColumnDataSource({"weight": [], "value": [], "color": []})
        self.figure = theme.figure(("Weight before the pulse", "w"), ("Residual", "σ"), height=height)
        self.figure.scatter("weight", "value", source=self.source, size=3, fill_color="color", line_color=None,
                            fill_alpha=0.5)  # fmt: skip
        for at, dash in ((0, "solid"), (-1.96, "dashed"), (1.96, "dashed")):
            self.figure.add_layout(Span(dimension="width", location=at, line_color=theme.NEUTRAL, line_dash=dash))

    def draw(self, fit: ResponseFit) -> None:
        """Show a fit."""
        r = fit.residuals
        colors = [theme.UP if d > 0 else theme.DOWN for d in r.direction]
        put(self.source, {"weight": np.array(r.weight), "value": np.array(r.value), "color": colors})


class QqPlot:
    """Percentiles of the residuals over those of a normal distribution: on the line where the noise is normal."""

    LEGEND = [("residuals", theme.MODEL, "dot"), ("normal", theme.NEUTRAL, "line")]

    def __init__(self, height: int = 240):
        self.source = ColumnDataSource({"normal": [], "measured": []})
        self.figure = theme.figure(("Normal percentile", "σ"), ("Residual percentile", "σ"), height=height)
        self.figure.line([-3, 3], [-3, 3], line_color=theme.NEUTRAL)
        self.figure.scatter("normal", "measured", source=self.source, size=5, fill_color=theme.MODEL, line_color=None)

    def draw(self, fit: ResponseFit) -> None:
        """Show a fit."""
        put(self.source, {"normal": np.array(fit.residuals.normal), "measured": np.array(fit.residuals.quantiles)})


class AutocorrelationPlot:
    """Autocorrelation of the residuals: inside the lines where they are white."""

    LEGEND = [("autocorrelation", theme.MODEL, "block"), ("95 % of white noise", theme.NEUTRAL, "dashed")]

    def __init__(self, height: int = 240):
        self.source = ColumnDataSource({"lag": [], "value": []})
        self.figure = theme.figure(("Lag", "readings"), ("Autocorrelation", "1"), height=height)
        self.figure.vbar("lag", 0.7, "value", source=self.source, fill_color=theme.MODEL, line_color=None)
        self.limits = [Span(dimension="width", location=0, line_color=theme.NEUTRAL, line_dash="dashed")
                       for _ in range(2)]  # fmt: skip
        for limit in self.limits:
            self.figure.add_layout(limit)

    def draw(self, fit: ResponseFit) -> None:
        """Show a fit."""
        rho = np.array(fit.residuals.autocorrelation)
        put(self.source, {"lag": np.arange(1, rho.size + 1), "value": rho})
        for limit, sign in zip(self.limits, (1, -1), strict=True):
            limit.location = sign * fit.residuals.white_limit


RANKING_HEAD = [
    ("Class", "A class of devices; best first."),
    ("k", "Number of fitted parameters of all devices."),
    ("ΔAICc", "Akaike's criterion above the best; a difference of 6 tells two classes apart (odds of 20 to 1)."),
    ("ΔBIC", "Bayes' criterion against that class; it punishes parameters more."),
    ("Weight", "Akaike weight: probability of being the best of these, given the data."),
    ("Held out", "Log density of a reading in cycles that the fit did not see; larger is better."),
    ("", "Why it is not the first."),
]
PARAMETER_HEAD = [
    ("Parameter", "Name in the device class."),
    ("Estimate", "Most likely value."),
    ("± error", "Standard error."),
    ("95 % interval", "Holds the true value with this probability."),
    ("Unit", "w is normalised weight, 1 a pure number."),
    ("Meaning", "What it is, and why to take it with care."),
]


def parameter_rows(fit: ResponseFit) -> list[list[str]]:
    """Return rows under `PARAMETER_HEAD`."""
    rows = []
    for p in fit.parameters.values():
        known = math.isfinite(p.stderr)
        doubt = p.note or ("" if p.determined else "not determined by these data")
        interval = f"{p.low:.4g} … {p.high:.4g}" if math.isfinite(p.low) else ""
        interval = interval or (f"below {p.high:.2g}" if math.isfinite(p.high) else "held")
        rows.append([p.name, f"{p.value:.4g}", f"{p.stderr:.2g}" if known else "–", interval, p.unit,
                     f"{p.meaning}; {doubt}" if doubt else p.meaning])  # fmt: skip
    return rows


def residual_words(fit: ResponseFit) -> str:
    """Return in a line how normal and how white the residuals are."""
    r = fit.residuals
    white = "white" if r.p_white > 0.01 else "not white"
    return (
        f"{r.n} residuals: mean {r.mean:+.2f}, standard deviation {r.std:.2f}, skewness {r.skewness:+.2f}, excess "
        f"kurtosis {r.kurtosis:+.2f}; {white} (Ljung-Box {r.ljung_box:.0f} over {len(r.autocorrelation)} lags, "
        f"p = {r.p_white:.2g})"
    )
