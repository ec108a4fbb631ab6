# SPDX-License-Identifier: Apache-2.0
"""Curves and weight distributions of a training, fed straight into Bokeh sources."""

from __future__ import annotations

import numpy as np
import panel as pn
from bokeh.models import BasicTicker, BasicTickFormatter, ColumnDataSource, HoverTool, LogColorMapper, Range1d
from bokeh.models.annotations import ColorBar, LegendItem, Span
from panel.viewable import Viewable, Viewer

from engine.devices import Device
from explorer.views import theme
from explorer.views.live import in_one_message, refresh
from explorer.views.training_data import Curve, Density, History

MAX_COMPARED = 4
_PERCENT = {"accuracy": 100.0, "train_accuracy": 100.0}
_LOOKS = {"analog": ("analog", theme.MODEL, "solid"), "baseline": ("floating point", theme.BASELINE, [6, 3])}
_COMPARED_COLORS = (theme.NOMINAL, theme.MEASURED, theme.DOWN, "#8A7AD6")
_MARKED = 60  # curves of more points show no markers
_FADED = 0.3
_LEAST_PERCENT = 0.05  # the palest colour; one weight in two thousand
# One hue, more or less opaque: reads the same on a light and on a dark surface.
_PALETTE = [f"{theme.MODEL}{alpha:02X}" for alpha in np.linspace(20, 255, 64).round().astype(int)]


class CurvePlot:
    """One quantity over the epochs: analog, baseline, earlier runs; mean over seeds, band to the extremes."""

    def __init__(self, quantity: str, label: str, unit: str, *, height: int = 300):
        self.quantity, self._factor = quantity, _PERCENT.get(quantity, 1.0)
        self.plot = theme.figure(("Epoch", "1"), (label, unit), height=height, x_range=Range1d(start=0.5, end=1.5))
        self.plot.xaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        self.sources: dict[str, ColumnDataSource] = {}
        self._renderers: dict[str, tuple] = {}
        self._items: dict[str, LegendItem] = {}
        self._legend = theme.legend(self.plot, [])
        digits = "0.0" if self._factor > 1 else "0.000"
        value = f"@mean{{{digits}}} {unit if unit != '1' else ''}"
        self.hover = HoverTool(tooltips=[("epoch", "@epoch"), (label, value), ("seeds", "@n")], mode="mouse")
        self.plot.add_tools(self.hover)
        for name in _LOOKS:
            self._add(name)

    def _add(self, name: str) -> None:
        title, color, dash = _LOOKS.get(name) or ("", _COMPARED_COLORS[int(name[-1])], "dotdash")
        source = ColumnDataSource({c: [] for c in ("epoch", "mean", "low", "high", "n")})
        band = self.plot.varea("epoch", "low", "high", source=source, fill_color=color, fill_alpha=theme.BAND_ALPHA)
        line = self.plot.line("epoch", "mean", source=source, line_color=color, line_width=2.5, line_dash=dash)
        dots = self.plot.scatter("epoch", "mean", source=source, size=5, fill_color=color, line_color=None)
        self.sources[name], self._renderers[name] = source, (band, line, dots)
        self._items[name] = LegendItem(label=title, renderers=[line, band, dots])
        self.hover.renderers = [renderers[1] for renderers in self._renderers.values()]

    def draw(self, name: str, curve: Curve) -> None:
        """Show a curve under one of the names ``analog``, ``baseline``, ``compared0``, ..."""
        if name not in self.sources:  # making one costs as much as a whole card; most pages compare nothing
            if not curve.epoch.size:
                return
            self._add(name)
        self.sources[name].data = {
            "epoch": curve.epoch,
            "mean": curve.mean * self._factor,
            "low": curve.low * self._factor,
            "high": curve.high * self._factor,
            "n": curve.n,
        }
        self._renderers[name][2].glyph.size = 5 if curve.epoch.size <= _MARKED else 0

    def name(self, names: dict[str, str]) -> None:
        """List only what is drawn in the legend; ``names`` overrides titles."""
        items = []
        for name, item in self._items.items():
            if len(self.sources[name].data["epoch"]):
                item.label = {"value": names.get(name, _LOOKS.get(name, (name,))[0])}
                items.append(item)
        self._legend.items = items

    def fade(self, faded: bool) -> None:
        """Draw the current run pale, because it belongs to another device than the one on show."""
        factor = _FADED if faded else 1.0
        for name in _LOOKS:
            band, line, dots = self._renderers[name]
            band.glyph.fill_alpha = theme.BAND_ALPHA * factor
            line.glyph.line_alpha = dots.glyph.fill_alpha = factor


class WeightPlot:
    """Distribution of a layer's weights over the epochs, as an image; the nominal bounds are marked."""

    def __init__(self, layer: str, *, height: int = 240):
        self.layer = layer
        self.plot = theme.figure(("Epoch", "1"), ("Weight", "w"), height=height, x_range=Range1d(start=0.5, end=1.5),
                                 y_range=Range1d(start=-1, end=1))  # fmt: skip
        self.plot.xaxis.ticker = BasicTicker(min_interval=1, num_minor_ticks=0)
        self.source = ColumnDataSource({n: [] for n in ("image", "x", "y", "dw", "dh")})
        self.mapper = LogColorMapper(palette=_PALETTE, low=_LEAST_PERCENT, high=100, nan_color="#00000000",
                                     low_color="#00000000")  # fmt: skip
        self.image = self.plot.image("image", "x", "y", "dw", "dh", source=self.source, color_mapper=self.mapper)
        bar = ColorBar(color_mapper=self.mapper, width=8, padding=4, border_line_color=None, bar_line_color=None,
                       background_fill_color=None, formatter=BasicTickFormatter(use_scientific=False))  # fmt: skip
        self.plot.add_layout(bar, "right")
        self.plot.grid.visible = False
        self.bounds = [
            Span(dimension="width", line_color=theme.NOMINAL, line_dash=[6, 3], line_width=1.5) for _ in "lh"
        ]
        for span in self.bounds:
            self.plot.add_layout(span)
        self.plot.add_tools(HoverTool(tooltips=[("epoch", "$x{0}"), ("weight", "$y{0.000} w"),
                                                ("weights", "@image{0.00} %")]))  # fmt: skip

    def draw(self, density: Density | None) -> None:
        """Show a distribution; None empties the plot."""
        if density is None:
            self.source.data = {n: [] for n in self.source.data}
            return
        edges, width = density.edges, density.last - density.first + 1
        self.source.data = {
            "image": [density.percent.astype(np.float32)],
            "x": [density.first - 0.5],
            "y": [edges[0]],
            "dw": [width],
            "dh": [edges[-1] - edges[0]],
        }
        self.mapper.high = float(max(np.nanmax(density.percent), 2 * _LEAST_PERCENT))
        self.plot.y_range.update(start=float(edges[0]), end=float(edges[-1]))

    def mark(self, device: Device) -> None:
        """Mark the nominal bounds of a device; none where it has none."""
        for span, bound in zip(self.bounds, device.range, strict=True):
            finite = bool(np.isfinite(bound))
            span.update(location=float(bound) if finite else 0.0, visible=finite)

    def fade(self, faded: bool) -> None:
        """Draw pale; see `CurvePlot.fade`."""
        self.image.glyph.global_alpha = _FADED if faded else 1.0


class TrainingPlots(Viewer):
    """Loss, accuracy and the weight distribution of each layer, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.accuracy = CurvePlot("accuracy", "Test accuracy", "%")
        self.loss = CurvePlot("loss", "Training loss", "1")
        self._curves = (self.accuracy, self.loss)
        self.weights: dict[str, WeightPlot] = {}
        self._weight_panes: list[Viewable] = []
        self._panes = [theme.plot_pane(c.plot) for c in self._curves]
        self._layers = pn.Column(sizing_mode="stretch_width", margin=0)
        self._view = pn.Column(
            theme.grid(*self._panes, min_width=320), self._layers, sizing_mode="stretch_width", margin=0,
            styles={"gap": f"{theme.GAP}px"},
        )  # fmt: skip
        self._faded = False

    def __panel__(self) -> Viewable:
        return self._view

    @in_one_message
    def draw(self, history: History, device: Device | None) -> None:
        """Draw all there is of a run on ``device``."""
        for curve in self._curves:
            for kind in _LOOKS:
                curve.draw(kind, history.curve(curve.quantity, kind))
        self._lay_out(list(history.weights))
        for layer, plot in self.weights.items():
            plot.draw(history.density(layer))
            if device is not None:
                plot.mark(device)
        self._reach(history.epochs)
        self.refresh()

    @in_one_message
    def compare(self, runs: list[tuple[str, History]], names: dict[str, str] | None = None) -> None:
        """Lay the analog curves of up to `MAX_COMPARED` other runs over this one."""
        names = dict(names or {})
        for k in range(MAX_COMPARED):
            title, history = runs[k] if k < len(runs) else ("", History())
            names[f"compared{k}"] = title
            for curve in self._curves:
                curve.draw(f"compared{k}", history.curve(curve.quantity, "analog"))
        for curve in self._curves:
            curve.name(names)
        self.refresh()

    def fade(self, faded: bool) -> None:
        """Draw the current run pale."""
        if faded is not self._faded:  # asked at every move of a slider
            self._fade(faded)

    @in_one_message
    def _fade(self, faded: bool) -> None:
        self._faded = faded
        for curve in self._curves:
            curve.fade(faded)
        for plot in self.weights.values():
            plot.fade(faded)
        self.refresh()

    def refresh(self) -> None:
        """Push to a notebook."""
        refresh(*self._panes, *self._weight_panes)

    def _reach(self, epochs: int) -> None:
        last = max(1, epochs, *(int(e) for c in self._curves for s in c.sources.values() for e in s.data["epoch"][-1:]))
        for plot in (self.accuracy.plot, self.loss.plot, *(w.plot for w in self.weights.values())):
            plot.x_range.end = last + 0.5

    def _lay_out(self, layers: list[str]) -> None:
        if layers == list(self.weights):
            return
        self.weights = {layer: WeightPlot(layer) for layer in layers}
        for plot in self.weights.values():
            plot.fade(self._faded)
        self._weight_panes = [theme.plot_pane(plot.plot) for plot in self.weights.values()]
        cells = [
            pn.Column(theme.caption(f"Weights of layer {layer}: % of all in a bin; dashed: nominal bounds"), pane,
                      sizing_mode="stretch_width", margin=0)
            for layer, pane in zip(self.weights, self._weight_panes, strict=True)
        ]  # fmt: skip
        # as a whole: the page gives its colours to what is put into a column, not into a grid
        self._layers.objects = [theme.grid(*cells, min_width=300)] if cells else []
