# SPDX-License-Identifier: Apache-2.0
"""A matrix as a picture in the page's own colours: from nothing to the model's, or between two through nothing."""

from __future__ import annotations

from html import escape

import numpy as np
from bokeh.models import BasicTicker, ColumnDataSource, HoverTool, LinearColorMapper

from explorer.views import theme
from explorer.views.framed_plot import FramedPlot, put
from explorer.views.ranges import set_range

_STEPS = 128


def _faded(color: str, count: int = _STEPS) -> list[str]:
    """Return ``count`` colours from transparent to ``color``: they fit a light and a dark page."""
    return [f"{color}{round(255 * k / (count - 1)):02X}" for k in range(count)]


SEQUENTIAL = _faded(theme.MODEL)
DIVERGING = [*reversed(_faded(theme.NOMINAL)), *_faded(theme.MODEL)]


class HeatMap(FramedPlot):
    """A matrix ``(rows, columns)``; its first row lies at the bottom.

    Parameters
    ----------
    rows, columns : str
        What they are.
    palette : list of str
        `SEQUENTIAL` for values from zero up, `DIVERGING` for those of both signs.
    value : (str, str)
        What a pixel is, and how it is written, as a Bokeh number format.
    """

    def __init__(self, rows: str, columns: str, palette: list[str], value: tuple[str, str], height: int = 300):
        super().__init__((columns, "1"), (rows, "1"), height, [])
        self.source = ColumnDataSource({"image": [], "width": [], "height": []})
        self.mapper = LinearColorMapper(palette=palette, low=0, high=1)
        self.figure.image("image", x=-0.5, y=-0.5, dw="width", dh="height", source=self.source,
                          color_mapper=self.mapper)  # fmt: skip
        self.figure.grid.visible = False
        for axis in self.figure.axis:
            axis.ticker = BasicTicker(min_interval=1)
        name, form = value
        self.figure.add_tools(
            HoverTool(tooltips=[(columns, "$x{0}"), (rows, "$y{0}"), (name, f"@image{{{form}}}")], visible=False)
        )

    def draw(self, matrix: np.ndarray, low: float, high: float) -> None:
        """Show a matrix whose colours go from ``low`` to ``high``."""
        rows, columns = matrix.shape
        put(self.source, {"image": [np.ascontiguousarray(matrix, np.float32)], "width": [columns], "height": [rows]})
        if (self.mapper.low, self.mapper.high) != (low, high):
            self.mapper.update(low=low, high=high)
        set_range(self.x_range, -0.5, columns - 0.5)
        set_range(self.y_range, -0.5, rows - 0.5)


def ramp_markup(low: str, high: str, colors: list[str]) -> str:
    """Return the HTML of a colour scale from ``low`` to ``high`` through ``colors``."""
    bar = f'<span class="bar" style="background: linear-gradient(to right, {", ".join(colors)})"></span>'
    return f'<div class="ramp"><span>{escape(low)}</span>{bar}<span>{escape(high)}</span></div>'
