# SPDX-License-Identifier: Apache-2.0
"""The plots of the live product; each draws a `Product` into its own sources."""

from __future__ import annotations

import numpy as np
import panel as pn
from bokeh.models import BasicTicker, ColumnDataSource

from explorer.views import theme
from explorer.views.framed_plot import FramedPlot, put
from explorer.views.product_data import Columns, Ends, Product
from explorer.views.ranges import round_out, set_range

_TALL, HEIGHT = 320, 230
_BARS = {"left": [], "right": [], "count": []}


class TransferPlot(FramedPlot):
    """Analog against exact output: points where there are few, a picture of their density where there are many."""

    def __init__(self):
        super().__init__(("Exact output", "out"), ("Analog output", "out"), _TALL, [
            ("outputs", theme.MODEL, "dot"), ("identity", theme.NOMINAL, "dashed"),
        ])  # fmt: skip
        self.points = ColumnDataSource({"ideal": [], "analog": []})
        self.density = ColumnDataSource({"image": [], "low": [], "size": []})
        self.identity = ColumnDataSource({"low": [], "high": []})
        self.figure.segment("low", "low", "high", "high", source=self.identity, line_color=theme.NOMINAL, line_width=2,
                            line_dash=[6, 3])  # fmt: skip
        self.figure.image_rgba("image", x="low", y="low", dw="size", dh="size", source=self.density)
        self.figure.scatter("ideal", "analog", source=self.points, size=4, line_color=None, fill_color=theme.MODEL,
                            fill_alpha=0.5)  # fmt: skip

    def draw(self, found: Product) -> None:
        """Show a product."""
        low, high = round_out(-found.reach, found.reach)
        put(self.points, found.points)
        put(self.density, {**found.density, "image": [tinted(alpha) for alpha in found.density["image"]]})
        put(self.identity, {"low": [low], "high": [high]})
        set_range(self.x_range, low, high)
        set_range(self.y_range, low, high)


def tinted(alpha: np.ndarray, color: str = theme.MODEL) -> np.ndarray:
    """Return a picture of one colour, ``(rows, columns)`` uint32, from its opacity: it fits a light and a dark page."""
    pixels = np.empty((*alpha.shape, 4), np.uint8)
    pixels[..., :3] = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
    pixels[..., 3] = np.rint(255 * alpha)
    return np.ascontiguousarray(pixels).view(np.uint32)[..., 0]


class BarPlot(FramedPlot):
    """A histogram, and further ones laid over it."""

    def __init__(self, x: tuple[str, str], y: tuple[str, str], height: int, legend: list, *colors: str):
        super().__init__(x, y, height, legend)
        self.sources = [ColumnDataSource(dict(_BARS)) for _ in colors]
        for k, (source, color) in enumerate(zip(self.sources, colors, strict=True)):
            self.figure.quad(left="left", right="right", top="count", bottom=0, source=source, fill_color=color,
                             fill_alpha=1.0 if k else 0.6, line_color=None)  # fmt: skip

    def bars(self, *columns: Columns, ends: tuple[float, float] | None = None) -> None:
        """Show histograms, all on the axis of the first."""
        for source, one in zip(self.sources, columns, strict=True):
            put(source, one)
        first = columns[0]
        if not first["left"]:
            return
        low, high = (first["left"][0], first["right"][-1]) if ends is None else ends
        set_range(self.x_range, *round_out(low, high))
        set_range(self.y_range, 0, round_out(0, max(max(one["count"], default=0) for one in columns))[1])


class ErrorPlot(BarPlot):
    """Histogram of the error and the gaussian of the same spread; a word where there is no error."""

    def __init__(self):
        super().__init__(("Error of an output", "out"), ("Outputs", "1"), _TALL, [
            ("measured", theme.MODEL, "block"), ("gaussian of the same spread", theme.NOMINAL, "line"),
        ], theme.MODEL)  # fmt: skip
        self.curve = ColumnDataSource({"error": [], "count": []})
        self.figure.line("error", "count", source=self.curve, line_color=theme.NOMINAL, line_width=2)
        self.plot, self.empty = (
            self.view,
            theme.empty_box("No error", "Every analog output equals the exact one.", visible=False),
        )
        self.view = pn.Column(self.plot, self.empty, sizing_mode="stretch_width", margin=0)

    def draw(self, found: Product) -> None:
        """Show a product."""
        some = bool(found.errors["left"])
        self.plot.visible, self.empty.visible = some, not some
        if some:
            reach = max(-found.errors["left"][0], found.errors["right"][-1])
            self.bars(found.errors, ends=(-reach, reach))
            put(self.curve, found.curve)


class CodePlot(BarPlot):
    """How often each code of a converter was given; why there are none where it is off."""

    def __init__(self, name: str, counted: str):
        super().__init__((f"{name} code", "1"), (counted, "1"), HEIGHT, [
            ("codes", theme.MODEL, "block"), ("clipped", theme.NOMINAL, "block"),
        ], theme.MODEL, theme.NOMINAL)  # fmt: skip
        self.name = name
        self.plot, self.empty = self.view, theme.empty_box("", "", visible=False)
        self.view = pn.Column(self.plot, self.empty, sizing_mode="stretch_width", margin=0)

    def draw(self, found: Ends) -> None:
        """Show what a converter did."""
        self.plot.visible, self.empty.visible = not found.why, bool(found.why)
        if found.why:
            self.empty.object = theme.empty_markup(f"No codes of the {self.name}", found.why)
        else:
            self.bars(found.bars, found.clipped, ends=(-found.limit, found.limit))


class RoundsPlot(BarPlot):
    """How many products each vector took."""

    def __init__(self):
        super().__init__(("Products made for a vector", "1"), ("Vectors", "1"), HEIGHT, [], theme.MODEL)
        self.figure.xaxis.ticker = BasicTicker(min_interval=1)  # there are no halves of a product

    def draw(self, found: Product) -> None:
        """Show a product."""
        self.bars(found.rounds, ends=(min(0.0, found.rounds["left"][0]), max(4.0, found.rounds["right"][-1])))


class WeightPlot(BarPlot):
    """The weights as stored, and as they were asked for where a device could not hold them."""

    _LEGEND = [("stored", theme.MODEL, "block"), ("asked for", theme.NOMINAL, "line")]

    def __init__(self):
        super().__init__(("Weight", "w"), ("Crosspoints", "1"), HEIGHT, self._LEGEND[:1], theme.MODEL)
        self.targets = ColumnDataSource({"w": [], "count": []})
        self.figure.step("w", "count", source=self.targets, line_color=theme.NOMINAL, line_width=1.5, mode="after")

    def draw(self, found: Product) -> None:
        """Show a product."""
        self.bars(found.weights)
        some = bool(found.targets["left"])
        put(self.targets, {"w": found.targets["left"], "count": found.targets["count"]})
        if some:
            set_range(self.y_range, 0, round_out(0, max(*found.weights["count"], *found.targets["count"]))[1])
        self.legend.object = theme.legend_markup(self._LEGEND if some else self._LEGEND[:1])
