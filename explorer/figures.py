# SPDX-License-Identifier: Apache-2.0
"""Printed figures of results (matplotlib), for reports and for the command line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer import palette

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from explorer.views.drift_data import Curve

_TRACES = 5  # more would hide the band
_FEW = 30  # a bin with fewer steps has a mean that says little
_BINS = 40
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "savefig.dpi": 160,
}


def pulse_response(ds: xr.Dataset, title: str) -> Figure:
    """Draw a pulse response: band, traces and noise-free curve; steps against weight; symmetry points.

    Parameters
    ----------
    ds : xarray.Dataset
        Result of `explorer.experiments.PulseResponse`.
    title : str
        What was measured; the numbers of devices, pulses and the seed are added.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.6, 6.2), layout="constrained")
        grid = figure.add_gridspec(2, 2, height_ratios=(1.25, 1))
        _draw_response(figure.add_subplot(grid[0, :]), ds)
        _draw_steps(figure.add_subplot(grid[1, 0]), ds)
        _draw_symmetry(figure.add_subplot(grid[1, 1]), ds)
        counts = f"{ds.sizes['device']} devices, {ds.sizes['pulse'] - 1} pulses, seed {ds.attrs['seed']}"
        figure.suptitle(f"{title} ({counts})", fontsize=10)
    return figure


def _draw_response(axes: Axes, ds: xr.Dataset) -> None:
    pulse, quantiles = ds.pulse, ds["quantile"].values
    low, high = ds.band.values[0], ds.band.values[-1]
    band = f"{quantiles[0]:.0%} to {quantiles[-1]:.0%} of devices"
    axes.fill_between(pulse, low, high, color=palette.MODEL, alpha=palette.BAND_ALPHA, linewidth=0, label=band)
    inner = f"{quantiles[1]:.0%} to {quantiles[-2]:.0%}"
    axes.fill_between(pulse, ds.band.values[1], ds.band.values[-2], color=palette.MODEL, alpha=palette.BAND_ALPHA,
                      linewidth=0, label=inner)  # fmt: skip
    shown = ds.apparent.values[:, :: max(ds.sizes["device"] // _TRACES, 1)][:, :_TRACES]
    lines = axes.plot(pulse, shown, color=palette.NEUTRAL, alpha=palette.TRACE_ALPHA, linewidth=0.7)
    lines[0].set_label("single devices")
    axes.plot(pulse, ds.nominal, color=palette.NOMINAL, linewidth=1.8, label="nominal device, no noise")
    axes.set(xlabel="pulses", ylabel="weight [w]", xlim=(0, pulse.values[-1]))
    axes.legend(loc="upper right", ncols=4, bbox_to_anchor=(1, 1.14), fontsize=8)


def _draw_steps(axes: Axes, ds: xr.Dataset) -> None:
    styles = (("up", 1, palette.UP, "-"), ("down", -1, palette.DOWN, "--"))
    for index, (name, sign, color, dash) in enumerate(styles):
        enough = ds.step_count.values[index] >= _FEW
        node, mean, spread, count = (
            ds[part].values[index][enough] for part in ("node_weight", "step_mean", "step_std", "step_count")
        )
        axes.errorbar(node, sign * mean, spread / np.sqrt(count), color=color, fmt=".", markersize=4, linewidth=0.8)
        axes.plot(ds.node, sign * ds.step_nominal.values[index], dash, color=color, label=f"{name}, nominal")
    axes.axhline(0, color=palette.NEUTRAL, linewidth=0.8)
    axes.set(xlabel="weight before the step [w]", ylabel="step along the pulse [w]")
    axes.legend(fontsize=8, title=f"points: mean ± standard error, bins of {_FEW} or more steps", title_fontsize=7)


def _draw_symmetry(axes: Axes, ds: xr.Dataset) -> None:
    points = ds.symmetry_point.values[np.isfinite(ds.symmetry_point.values)]
    axes.set(xlabel="symmetry point [w]", ylabel="devices")
    if points.size == 0:
        axes.text(0.5, 0.5, "no device has a symmetry point", ha="center", va="center", transform=axes.transAxes)
        return
    axes.hist(points, _BINS, color=palette.MODEL, alpha=0.6)
    nominal = ds.attrs["nominal_symmetry_point"]
    if np.isfinite(nominal):
        axes.axvline(nominal, color=palette.NOMINAL, linewidth=1.8, label="nominal device")
        axes.legend(fontsize=8)


def drift_accuracy(curves: list[Curve], title: str, measure: str = "accuracy") -> Figure:
    """Draw accuracy against the logarithm of time: mean, its interval, band over chips, floating point.

    Parameters
    ----------
    curves : list of Curve
        One for each scenario (`explorer.views.drift_data.curves`).
    title : str
        What was measured.
    measure : str
        What the score is.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from explorer import durations
    from explorer.views import time_axis

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8.2, 4.6), layout="constrained")
        axes = figure.add_subplot()
        for curve, (color, dash, marker) in zip(curves, _DRIFT_LOOKS, strict=False):
            x, mean = time_axis.places(curve.times.tolist()), 100 * curve.mean
            axes.fill_between(x, 100 * curve.low, 100 * curve.high, color=color, alpha=palette.BAND_ALPHA, linewidth=0)
            axes.errorbar(x, mean, 100 * np.nan_to_num(curve.half_width), color=color, linestyle=dash, marker=marker,
                          markersize=5, linewidth=1.8, label=f"{curve.title} ({curve.chips} chips)")  # fmt: skip
        if curves:
            level = 100 * curves[0].digital
            axes.axhline(level, color=palette.NEUTRAL, linestyle=":", label=f"floating point, {level:.1f} %")
        axes.axvline(time_axis.ZERO / 2, color=palette.NEUTRAL, linewidth=0.6, alpha=0.6)
        ticks = time_axis.NAMED
        axes.set_xticks(time_axis.places(ticks), [durations.worded(t) for t in ticks])
        axes.set(xlim=(time_axis.START, time_axis.END), xlabel="time since the reference read", ylabel=f"{measure} [%]")
        axes.set_title(f"{title}: mean and 95 % interval, band 10 to 90 % of chips", fontsize=10)
        axes.legend(fontsize=8)
    return figure


_DRIFT_LOOKS = tuple(zip((palette.MODEL, *palette.PINNED), ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2))),
                         "os^Dvh", strict=True))  # fmt: skip
"""As on the page: colour, dash and marker."""


def svg(figure: Figure) -> bytes:
    """Return a figure as the bytes of an SVG file."""
    target = io.BytesIO()
    figure.savefig(target, format="svg")
    return target.getvalue()


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return target.getvalue()
