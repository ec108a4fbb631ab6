# SPDX-License-Identifier: Apache-2.0
"""What plots under a slider share: ranges of ours, a legend above, data sent only where they have changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource, Range1d
from panel.viewable import Viewable

from explorer.views import theme


class FramedPlot:
    """A figure with ranges of ours and a legend above it.

    Parameters
    ----------
    x, y : (str, str)
        Axis label and unit.
    height : int
        Pixels.
    legend : list
        Entries of `theme.legend_markup`; none leaves no room for one.
    **figure
        For `theme.figure`.
    """

    def __init__(
        self, x: tuple[str, str], y: tuple[str, str], height: int, legend: list[tuple[str, str, str]], **figure: Any
    ):
        self.x_range, self.y_range = Range1d(start=0, end=1), Range1d(start=0, end=1)
        self.figure = theme.figure(x, y, height=height, x_range=self.x_range, y_range=self.y_range, **figure)
        self.pane = theme.plot_pane(self.figure)
        self.legend = theme.html(theme.legend_markup(legend), margin=(4, 0, 0, 0), visible=bool(legend))
        self.view: Viewable = pn.Column(self.legend, self.pane, sizing_mode="stretch_width", margin=0)


def put(source: ColumnDataSource, columns: dict[str, Any]) -> bool:
    """Set a source's columns unless they are those it has; return whether they were set."""
    if source.data.keys() == columns.keys() and all(_same(source.data[n], columns[n]) for n in columns):
        return False
    source.data = columns
    return True


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return one is other or np.array_equal(one, other)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(_same(a, b) for a, b in zip(one, other, strict=True))
    return one == other
