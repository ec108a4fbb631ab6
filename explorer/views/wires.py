# SPDX-License-Identifier: Apache-2.0
"""What the wires of a small array take: exact in two dimensions beside the fast model, live."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import panel as pn
from bokeh.models import ColumnDataSource
from panel.viewable import Viewable, Viewer

from engine.tiles.irdrop import FAST_LIMIT
from explorer.experiments.wire_loss import WireLoss, worst_error
from explorer.labs.tile_state import WireState
from explorer.views import theme
from explorer.views.fields import KINDS
from explorer.views.framed_plot import FramedPlot, put
from explorer.views.heat_map import DIVERGING, SEQUENTIAL, HeatMap, ramp_markup
from explorer.views.live import LatestWins
from explorer.views.numbers import four_digits, percent
from explorer.views.ranges import round_out, set_range

_GOOD = 0.05  # relative error up to which the fast model counts as close
_KNOBS = (("n_rows", "n_columns", "g_max", "conductances"), ("wire_resistance", "row_resistance", "seed", "inputs"))
_LINES = (("exact", "both wires, exact", theme.MODEL, "solid"),
          ("exact_columns", "ideal rows, exact", theme.MEASURED, "dashed"),
          ("fast", "fast model", theme.NOMINAL, "solid"))  # fmt: skip


@dataclass(frozen=True)
class WirePicture:
    """What is drawn of an array.

    Attributes
    ----------
    exact, fast : numpy.ndarray
        ``(row, column)``, share of the read voltage that a device does not get.
    high, apart : float
        Ends of the colour scales: of both, and of their difference.
    losses : dict
        Columns of the curves: share of each column's current that is lost.
    worst : (float, int)
        Largest relative error of the fast model's currents, and its column.
    worst_ideal_rows : float
        The same, were the rows ideal.
    load : float
        Largest load of a column.
    """

    exact: np.ndarray
    fast: np.ndarray
    high: float
    apart: float
    losses: dict[str, list[float]]
    worst: tuple[float, int]
    worst_ideal_rows: float
    load: float
    valid: bool

    @property
    def tiles(self) -> list[tuple[str, str, str, str]]:
        """The numbers above the pictures: label, value, unit, explanation."""
        return [
            ("Voltage lost", percent(float(self.exact.max())), "%", "Largest share of the read voltage that a device "
             "does not get, exact."),
            ("Current lost", percent(max(self.losses["exact"], default=0.0)), "%", "Largest share of a column's "
             "current, exact."),
            ("Error of the fast model", percent(self.worst[0]), "%", "Largest error of a column's current, relative to "
             "the exact one."),
            ("with ideal rows", percent(self.worst_ideal_rows), "%", "The same against exact columns, the rows without "
             "resistance: what the fast model is made for."),
            ("Load", four_digits(self.load), "1", f"Largest of the columns; the fast model holds below {FAST_LIMIT:g}. "
             "Rows times resistance times the sum of the driven conductances."),
        ]  # fmt: skip


def solve(array: WireLoss) -> WirePicture:
    """Run the experiment and arrange what it found."""
    ds = array.run()
    exact, fast = ds["lost_exact"].values, ds["lost_fast"].values
    ideal = ds["ideal"].values
    some = ideal != 0
    lost = {name: (1 - ds[name].values[some] / ideal[some]).tolist() for name, *_ in _LINES}
    return WirePicture(
        exact=exact,
        fast=fast,
        high=round_out(0, float(max(exact.max(), fast.max(), 1e-9)))[1],
        apart=round_out(0, float(max(np.abs(fast - exact).max(), 1e-9)))[1],
        losses={"column": np.flatnonzero(some).tolist(), **lost},
        worst=worst_error(ds["fast"].values, ds["exact"].values),
        worst_ideal_rows=worst_error(ds["fast"].values, ds["exact_columns"].values)[0],
        load=float(ds["column_load"].max()),
        valid=bool(ds["valid"].all()),
    )


class WireView(Viewer):
    """Knobs, verdict, three maps and the loss of each column."""

    def __init__(self, state: WireState):
        super().__init__()
        self._state = state
        self.fields = {n: KINDS[state.model.describe(n)["kind"]](state, n, "") for n in state.model.fields()}
        shown = ("Lost", "0.00%")
        self.exact = HeatMap("Row", "Column", SEQUENTIAL, shown)
        self.fast = HeatMap("Row", "Column", SEQUENTIAL, shown)
        self.apart = HeatMap("Row", "Column", DIVERGING, shown)
        self.ramps = {name: theme.html(margin=(0, 0, 4, 0)) for name in ("exact", "fast", "apart")}
        self.losses = LossPlot()
        self.verdict, self.tiles = theme.html(margin=(4, 0, 12, 0)), theme.html(margin=(0, 0, 8, 0))
        self.problem = theme.error_box(visible=False)
        panes = tuple(plot.pane for plot in (self.exact, self.fast, self.apart, self.losses))
        self.worker: LatestWins[WireLoss, WirePicture] = LatestWins(solve, self._draw, self._failed, panes)
        self.view: Viewable = pn.Column(
            self.problem, self._knobs(), self._maps(), self._columns(), sizing_mode="stretch_width", margin=0,
            styles={"gap": f"{theme.GAP}px"},
        )  # fmt: skip
        self.worker.now(state.experiment)
        state.param.watch(lambda *events: self.worker.request(state.experiment), "revision")
        state.param.watch(self._sync, ["revision", "problem", "problem_field"])

    def __panel__(self) -> Viewable:
        return self.view

    def _knobs(self) -> Viewable:
        columns = [
            pn.Column(*(self.fields[name].view for name in names), sizing_mode="stretch_width", margin=(8, 0, 0, 0))
            for names in _KNOBS
        ]
        subtitle = "Its devices, wires and inputs; independent of the product"
        return theme.card("A small array", theme.grid(*columns), subtitle=subtitle)

    def _maps(self) -> Viewable:
        maps = theme.grid(
            *(pn.Column(theme.heading(title), self.ramps[name], getattr(self, name).view, sizing_mode="stretch_width",
                        margin=0)
              for name, title in (("exact", "Exact"), ("fast", "Fast model"), ("apart", "Fast less exact"))),
            columns=3, min_width=240,
        )  # fmt: skip
        subtitle = "Share of the read voltage that each device does not get. Sense nodes at row 0, drivers at column 0."
        return theme.card("Voltage lost", self.verdict, self.tiles, maps, subtitle=subtitle)

    def _columns(self) -> Viewable:
        return theme.card("Loss of each column", self.losses.view, subtitle="Share of the column's current")

    def _sync(self, *events) -> None:
        for field in self.fields.values():
            field.sync()

    def _draw(self, found: WirePicture) -> None:
        self.exact.draw(found.exact, 0.0, found.high)
        self.fast.draw(found.fast, 0.0, found.high)
        self.apart.draw(found.fast - found.exact, -found.apart, found.apart)
        full, less = f"{percent(found.high)} %", f"{percent(found.apart)} %"
        for name in ("exact", "fast"):
            self.ramps[name].object = ramp_markup("0", full, SEQUENTIAL[:: len(SEQUENTIAL) - 1])
        ends = [DIVERGING[0], DIVERGING[len(DIVERGING) // 2], DIVERGING[-1]]
        self.ramps["apart"].object = ramp_markup(f"−{less}", less, ends)
        self.losses.draw(found)
        self.tiles.object = theme.metrics_markup(found.tiles)
        self.verdict.object = verdict_markup(found)
        theme.say_error(self.problem, "")

    def _failed(self, problem: Exception) -> None:
        theme.say_error(self.problem, str(problem), "The array could not be solved.")


class LossPlot(FramedPlot):
    """Share of the current that each column loses: exact, with ideal rows, by the fast model."""

    def __init__(self):
        legend = [(label, color, "line" if dash == "solid" else "dashed") for _, label, color, dash in _LINES]
        super().__init__(("Column", "1"), ("Current lost", "%"), 240, legend)
        self.source = ColumnDataSource({"column": [], **{name: [] for name, *_ in _LINES}})
        for name, _, color, dash in _LINES:
            self.figure.line("column", name, source=self.source, line_color=color, line_width=2, line_dash=dash)

    def draw(self, found: WirePicture) -> None:
        """Show the losses of the columns."""
        columns = found.losses["column"]
        lost = {name: [100 * v for v in found.losses[name]] for name, *_ in _LINES}
        put(self.source, {"column": columns, **lost})
        if columns:
            ends = [0.0, *(v for values in lost.values() for v in values)]
            set_range(self.x_range, columns[0] - 0.5, columns[-1] + 0.5)
            set_range(self.y_range, *round_out(min(ends), max(ends)))


def verdict_markup(found: WirePicture) -> str:
    """Return a sentence with the worst error of the fast model and whether it may be used."""
    error, column = found.worst
    off = f"The fast model is off by at most {percent(error)} % of a column's current (column {column})."
    load = f"{four_digits(found.load)}"
    if not found.valid:
        kind, text = "fail", f"Outside its validity: a load of {load}, and it holds below {FAST_LIMIT:g}."
    elif error > _GOOD:
        rest = f"with ideal rows it is off by {percent(found.worst_ideal_rows)} %."
        kind, text = "marginal", f"Inside its validity (load {load} of {FAST_LIMIT:g}), but it has no rows: {rest}"
    else:
        kind, text = "pass", f"Inside its validity: a load of {load}, and it holds below {FAST_LIMIT:g}."
    return f'<div class="verdict {kind}" role="status">{escape(off)} {escape(text)}</div>'
