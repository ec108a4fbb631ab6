# SPDX-License-Identifier: Apache-2.0
"""Plots of a retention fit: measured values under fitted curves with bands, predictions, residuals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource, LogScale, LogTicker
from bokeh.models.annotations import Span
from bokeh.models.formatters import LogTickFormatter
from panel.viewable import Viewable

from explorer.fitting.retention.report import NORMAL_95
from explorer.views import theme
from explorer.views.framed_plot import put

MAX_CURVES = len(theme.SERIES)
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle")
EVERY = -1
"""Choice of some levels over the range, rather than of one."""


@dataclass(frozen=True, eq=False)
class Curve:
    """Measured points with half intervals, and what was fitted to them with half of its band."""

    label: str
    x: np.ndarray
    y: np.ndarray
    half: np.ndarray | None
    fitted_x: np.ndarray
    fitted: np.ndarray
    band: np.ndarray | None = None


class CurvesPlot:
    """A few curves with points: colour and marker tell them apart."""

    def __init__(self, x: tuple[str, str], y: tuple[str, str], *, height: int = 320, size: int = 7, **axes):
        self.figure = theme.figure(x, y, height=height, **axes)
        _dress(self.figure)
        self.points, self.lines = [], []
        for color, marker in zip(theme.SERIES, MARKERS, strict=True):
            points = ColumnDataSource({n: [] for n in ("x", "y", "low", "high")})
            line = ColumnDataSource({n: [] for n in ("x", "y", "low", "high")})
            self.figure.varea("x", "low", "high", source=line, fill_color=color, fill_alpha=theme.BAND_ALPHA)
            self.figure.line("x", "y", source=line, line_color=color, line_width=2)
            self.figure.segment("x", "low", "x", "high", source=points, line_color=color, line_width=1.5)
            self.figure.scatter("x", "y", source=points, marker=marker, size=size, fill_color=color, line_color=None)
            self.points.append(points)
            self.lines.append(line)
        self.legend = theme.html(margin=(4, 0, 0, 0))
        self.pane = theme.plot_pane(self.figure)
        self.view: Viewable = pn.Column(self.legend, self.pane, sizing_mode="stretch_width", margin=0)

    def draw(self, curves: list[Curve]) -> None:
        """Show curves, `MAX_CURVES` at most."""
        for k, (points, line) in enumerate(zip(self.points, self.lines, strict=True)):
            curve = curves[k] if k < len(curves) else None
            put(points, _ends(curve.x, curve.y, curve.half) if curve else _ends([], [], None))
            put(line, _ends(curve.fitted_x, curve.fitted, curve.band) if curve else _ends([], [], None))
        entries = [(c.label, theme.SERIES[k], "dot") for k, c in enumerate(curves)]
        self.legend.object = theme.legend_markup(entries)


def _dress(figure) -> None:
    """Give logarithmic axes ticks at powers of ten only, written as such."""
    for axis, scale in ((figure.xaxis[0], figure.x_scale), (figure.yaxis[0], figure.y_scale)):
        if isinstance(scale, LogScale):
            axis.update(ticker=LogTicker(mantissas=[1], desired_num_ticks=7), formatter=LogTickFormatter())


def _ends(x, y, half) -> dict[str, np.ndarray]:
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    half = np.zeros(y.shape) if half is None else np.nan_to_num(half)
    good = np.isfinite(y)
    return {"x": x[good], "y": y[good], "low": (y - half)[good], "high": (y + half)[good]}


class PredictionPlot:
    """Spread at the last time (or the lowest temperature) by level: measured, and predicted from the rest."""

    LEGEND = [("measured, 95 %", theme.MEASURED, "dot"), ("predicted", theme.MODEL, "line"),
              ("± 15 %", theme.MODEL, "band")]  # fmt: skip

    def __init__(self, height: int = 280):
        self.measured = ColumnDataSource({n: [] for n in ("x", "y", "low", "high")})
        self.predicted = ColumnDataSource({n: [] for n in ("x", "y", "low", "high")})
        self.figure = theme.figure(("First reading", "µS"), ("Spread of the change", "µS"), height=height)
        self.figure.varea("x", "low", "high", source=self.predicted, fill_color=theme.MODEL,
                          fill_alpha=theme.BAND_ALPHA)  # fmt: skip
        self.figure.line("x", "y", source=self.predicted, line_color=theme.MODEL, line_width=2)
        self.figure.segment("x", "low", "x", "high", source=self.measured, line_color=theme.MEASURED, line_width=1.5)
        self.figure.scatter("x", "y", source=self.measured, size=7, fill_color=theme.MEASURED, line_color=None)
        self.pane = theme.plot_pane(self.figure)
        self.legend = theme.html(theme.legend_markup(self.LEGEND), margin=(4, 0, 0, 0))
        self.view: Viewable = pn.Column(self.legend, self.pane, sizing_mode="stretch_width", margin=0)

    def draw(self, g_us: np.ndarray, measured: np.ndarray, error: np.ndarray, predicted: np.ndarray) -> None:
        """Show values by level, all (level,) uS."""
        order = np.argsort(g_us)
        put(self.measured, _ends(g_us[order], measured[order], NORMAL_95 * error[order]))
        put(self.predicted, _ends(g_us[order], predicted[order], 0.15 * predicted[order]))


class ResidualPlot:
    """Measured less fitted over the standard error, by level; what lies outside the lines the law misses."""

    LEGEND = [("spread", theme.MODEL, "dot"), ("mean", theme.NOMINAL, "dot")]
    LIMITS = ("95 %", theme.NEUTRAL, "dashed")

    def __init__(self, height: int = 280):
        self.source = ColumnDataSource({"x": [], "y": [], "color": []})
        self.figure = theme.figure(("First reading", "µS"), ("Residual", "σ"), height=height)
        self.figure.scatter("x", "y", source=self.source, size=5, fill_color="color", line_color=None, fill_alpha=0.7)
        for at, dash in ((0, "solid"), (-NORMAL_95, "dashed"), (NORMAL_95, "dashed")):
            self.figure.add_layout(Span(dimension="width", location=at, line_color=theme.NEUTRAL, line_dash=dash))
        self.pane = theme.plot_pane(self.figure)
        self.legend = theme.html(margin=(4, 0, 0, 0))
        self.view: Viewable = pn.Column(self.legend, self.pane, sizing_mode="stretch_width", margin=0)

    def draw(self, g_us: np.ndarray, spread: np.ndarray, mean: np.ndarray | None = None) -> None:
        """Show residuals, (level, time) or (level, temperature)."""
        parts = [(spread, theme.MODEL)] + ([(mean, theme.NOMINAL)] if mean is not None else [])
        self.legend.object = theme.legend_markup([*self.LEGEND[: len(parts)], self.LIMITS])
        x = np.concatenate([np.repeat(g_us, part.shape[1]) for part, _ in parts])
        y = np.concatenate([part.ravel() for part, _ in parts])
        color = np.concatenate([np.full(part.size, c, dtype=object) for part, c in parts])
        good = np.isfinite(y)
        put(self.source, {"x": x[good], "y": y[good], "color": color[good].tolist()})


def levels_offered(ds: xr.Dataset) -> dict[str, int]:
    """Return words to number of the levels that can be looked at alone; the first entry is a choice of all."""
    g = ds["level_start"].values
    return {"five over the range": EVERY} | {f"{v:.4g} µS": k for k, v in enumerate(g)}


def chosen_levels(ds: xr.Dataset, chosen: int) -> list[int]:
    """Return the levels to draw."""
    n = ds.sizes["level"]
    if chosen != EVERY and 0 <= chosen < n:
        return [chosen]
    return np.unique(np.linspace(0, n - 1, min(MAX_CURVES, n)).round().astype(int)).tolist()


def curves_over(ds: xr.Dataset, name: str, levels: list[int], along: str, law: str = "") -> list[Curve]:
    """Return measured and fitted ``shift`` or ``spread`` of some levels over ``time`` or ``temperature``."""
    one = ds.sel(law=law) if law else ds
    return [
        Curve(
            f"{float(ds['level_start'][k]):.3g} µS", ds[along].values, ds[name].values[k],
            NORMAL_95 * ds[f"{name}_se"].values[k], ds[f"curve_{along}"].values, one[f"{name}_fit"].values[k],
            one[f"{name}_error"].values[k],
        )
        for k in levels
    ]  # fmt: skip


def spectra(ds: xr.Dataset) -> list[Curve]:
    """Return the spectra of up to `MAX_CURVES` devices."""
    f = ds["frequency"].values
    return [
        Curve(f"{float(ds['conductance'][k]):.3g} µS", f, ds["spectrum"].values[k], None, f,
              ds["spectrum_fit"].values[k])
        for k in range(min(MAX_CURVES, ds.sizes["device"]))
    ]  # fmt: skip
