# SPDX-License-Identifier: Apache-2.0
"""The network's tab: its tiles as a floor plan, and what one of them holds and does."""

from __future__ import annotations

import panel as pn
import xarray as xr
from bokeh.models import ColumnDataSource, DataRange1d, HoverTool, TapTool
from panel.viewable import Viewable, Viewer

from explorer.experiments.tile_map import TileMap
from explorer.labs.tile_state import MapState, TileState
from explorer.views import theme
from explorer.views.fields import KINDS
from explorer.views.framed_plot import put
from explorer.views.heat_map import ramp_markup
from explorer.views.job_bar import JobBar
from explorer.views.job_words import Runner
from explorer.views.live import LatestWins, in_one_message, refresh
from explorer.views.numbers import fixed, percent
from explorer.views.product_plots import BarPlot
from explorer.views.tile_map_data import COLORS, HEAD, Asked, Costed, Drawn, is_live, lay_out

_KNOBS = (("network", "max_input_size", "max_output_size"), ("weight_scaling_omega", "n_vectors", "epochs", "seed"))
_ARGUMENT = "tiles"  # of the page's address: the job whose result is shown
_TAKES_LONGER = (
    "{network} has {tiles} tiles and takes longer than a page can wait: Lay out starts it in the background. Its costs "
    "are below."
)
_AROUND_PX = 70  # of a plan, for its tools and the edge
_KEPT = 4  # results of jobs that a page remembers
_EMPTY = {n: [] for n in ("left", "top", "right", "bottom", "room_right", "room_bottom", "name", "size", "used",
                          "ratio", "fill")}  # fmt: skip


class PlanPlot:
    """The floor plan: an outline for each tile, filled where it holds weights."""

    def __init__(self):
        ranges = {name: DataRange1d(range_padding_units="absolute") for name in ("x_range", "y_range")}
        self.figure = theme.figure(("", "1"), ("", "1"), height=360, match_aspect=True, **ranges)
        self.figure.axis.visible = self.figure.grid.visible = False
        self.source, self.names = ColumnDataSource(dict(_EMPTY)), ColumnDataSource({"x": [], "y": [], "text": []})
        full = self.figure.quad(left="left", right="right", top="top", bottom="bottom", source=self.source,
                                fill_color="fill", line_color=None, nonselection_fill_alpha=1)  # fmt: skip
        self.figure.quad(left="left", right="room_right", top="top", bottom="room_bottom", source=self.source,
                         fill_color=None, line_color=theme.NEUTRAL, line_width=1, selection_line_color=theme.MEASURED,
                         selection_line_width=4, nonselection_line_alpha=1)  # fmt: skip
        self.figure.text("x", "y", "text", source=self.names, text_color=theme.NEUTRAL, text_font_size="13px",
                         text_baseline="alphabetic", y_offset=-7)  # fmt: skip
        tips = [("tile", "@name"), ("holds", "@size"), ("used", "@used"), ("product", "@ratio")]
        self.figure.add_tools(HoverTool(tooltips=tips, renderers=[full], visible=False), TapTool(visible=False))
        self.pane = theme.plot_pane(self.figure)

    def draw(self, found: Drawn, by: str) -> None:
        """Show a network, coloured by utilisation or error."""
        put(self.source, {**found.tiles, "fill": found.colors(by)})
        names = found.plan.names
        put(self.names, {"x": [x for _, x, _ in names], "y": [y for _, _, y in names],
                         "text": [name for name, *_ in names]})  # fmt: skip
        self.figure.x_range.range_padding = self.figure.y_range.range_padding = found.plan.name_lines
        self.figure.height = found.plan.height_px + _AROUND_PX

    def choose(self, index: int | None) -> None:
        """Mark a tile, or none."""
        wanted = [] if index is None else [index]
        if self.source.selected.indices != wanted:
            self.source.selected.indices = wanted


class TileDetail:
    """What one tile holds and does; a word where none is chosen."""

    def __init__(self):
        self.weights = BarPlot(("Weight", "w"), ("Crosspoints", "1"), 230, [], theme.MODEL)
        self.errors = BarPlot(("Error of an output", "out"), ("Outputs", "1"), 230, [], theme.MODEL)
        self.title, self.tiles = theme.html(), theme.html(margin=(8, 0))
        self.empty = theme.empty_box("No tile chosen", "Click a tile of the plan, or choose it in the list.")
        self.body: Viewable = pn.Column(
            self.title, self.tiles, theme.grid(self.weights.view, self.errors.view),
            sizing_mode="stretch_width", margin=0, visible=False,
        )  # fmt: skip
        self.panes = (self.weights.pane, self.errors.pane)

    def draw(self, found: Drawn, index: int | None) -> None:
        """Show a tile, or none."""
        self.empty.visible, self.body.visible = index is None, index is not None
        if index is None:
            return
        ds = found.ds.isel(tile=index)
        for plot, kind in ((self.weights, "weight"), (self.errors, "error")):
            edges, counts = ds[f"{kind}_edges"].values.tolist(), ds[f"{kind}_histogram"].values.tolist()
            plot.bars({"left": edges[:-1], "right": edges[1:], "count": counts})
        self.title.object = theme.caption_markup(found.name(index))
        self.tiles.object = theme.metrics_markup([
            ("Holds", f"{int(ds['rows'])} × {int(ds['columns'])}", "1", "Rows and columns with weights."),
            ("Used", percent(float(ds.utilisation)), "%", "Share of its crosspoints that hold weights."),
            ("SNR", fixed(float(ds.snr)), "dB", "Of its product on the network's own activations."),
            ("Relative error", percent(float(ds.relative_error)), "%", "Rms error over rms exact output."),
            ("Clipped out", percent(float(ds.clipped)), "%", "Outputs clipped by the ADC."),
        ])  # fmt: skip


class NetworkView(Viewer):
    """Knobs, floor plan, table of layers, and the chosen tile; computes only while it is on show.

    Small networks follow the knobs; those that take longer are laid out as a job, and the page tells what they cost.

    Parameters
    ----------
    state : TileState
        Device and periphery are those of its product.
    runner : JobRunner, optional
        Where jobs run; that of this process by default.
    """

    def __init__(self, state: TileState, runner: Runner | None = None):
        super().__init__()
        self._product, self._state = state, state.parts["network"]
        self.on_show, self.chosen = False, None
        self._stale, self._showing = True, False
        self._found: Drawn | None = None
        self._kept: dict[str, xr.Dataset] = {}  # results of jobs, by the experiment's content
        self.fields = {n: KINDS[MapState.made_of.describe(n)["kind"]](self._state, n, "") for n in sum(_KNOBS, ())}
        self.plan, self.detail = PlanPlot(), TileDetail()
        self.by = theme.select("Colour", options={text: name for name, text in COLORS.items()}, value="error")
        self.list = theme.select("Tile", options={"none": -1}, value=-1)
        self.ramp, self.tiles, self.table = theme.html(), theme.html(margin=(8, 0)), theme.html()
        self.problem = theme.error_box(visible=False)
        self.waiting = theme.busy_box("The network is laid out.")
        self.note = theme.info_box(visible=False, margin=(0, 0, 8, 0))
        self.job: JobBar[TileMap] = JobBar(
            TileMap, self._to_run, self._arrived, argument=_ARGUMENT, label="Lay out", runner=runner
        )
        self.body, self.layers = self._layout(), theme.card("Layers", self.table)
        self.layers.visible = False
        self.view: Viewable = pn.Column(
            self.problem, self._knobs(), self.waiting, self.body, self.layers, *self.job.carriers,
            sizing_mode="stretch_width", margin=0, styles={"gap": f"{theme.GAP}px"},
        )  # fmt: skip
        panes = (self.plan.pane, *self.detail.panes)
        self.worker: LatestWins[Asked, Drawn | Costed] = LatestWins(lay_out, self._draw, self._failed, panes)
        self._watch()

    def __panel__(self) -> Viewable:
        return self.view

    def show(self, on_show: bool) -> None:
        """Say whether the tab is on show; what has changed meanwhile is computed now."""
        self.on_show = on_show
        if on_show and self._stale:
            self._ask()

    def experiment(self) -> TileMap:
        """Return the experiment on show: the tab's own parameters with the product's device and periphery."""
        product = self._product.experiment
        return self._state.experiment.copy(forward=product.forward.copy(), device=product.device.copy())

    def choose(self, index: int | None) -> None:
        """Show a tile, or none."""
        if self._showing:
            return
        self.chosen = index
        if self._found is not None:
            self._show_chosen(self._found)
            refresh(self.plan.pane, *self.detail.panes)

    def _watch(self) -> None:
        for state in (self._product, self._state):
            state.param.watch(self._ask, "revision")
        self._state.param.watch(self._sync, ["revision", "problem", "problem_field"])
        self.by.param.watch(self._recolor, "value")
        self.list.param.watch(lambda event: self.choose(None if event.new < 0 else event.new), "value")
        self.plan.source.selected.on_change("indices", self._tapped)

    def _knobs(self) -> Viewable:
        columns = [
            pn.Column(*(self.fields[name].view for name in names), sizing_mode="stretch_width", margin=(8, 0, 0, 0))
            for names in _KNOBS
        ]
        subtitle = "Trained in floating point, then laid out; converters and noise are those of the sidebar"
        return theme.card("A network on tiles", theme.grid(*columns), self.note, self.job.view, subtitle=subtitle)

    def _layout(self) -> Viewable:
        row = theme.grid(pn.Column(self.by, self.ramp, sizing_mode="stretch_width", margin=0), self.list, min_width=220)
        subtitle = "Outlines to scale, filled where a tile holds weights; rows are outputs"
        plan = theme.card("Floor plan", self.tiles, row, self.plan.pane, subtitle=subtitle)
        detail = theme.card("Tile", self.detail.empty, self.detail.body)
        layout = {"sizing_mode": "stretch_width", "margin": 0, "styles": {"gap": f"{theme.GAP}px"}}
        return pn.Column(plan, detail, visible=False, **layout)

    # -- what is asked for -------------------------------------------------------------------------------------

    def _ask(self, *events) -> None:
        self._stale = not self.on_show
        if not self.on_show:
            return
        experiment = self.experiment()
        live = is_live(experiment)
        self.job.view.visible = not live or self.job.busy
        if self._found is None or self._found.experiment.network != experiment.network:
            self.waiting.visible = True  # the plan of another network must not stand under this one's name
            self.body.visible = self.layers.visible = False
        self.worker.request(Asked(experiment, None if live else self._kept.get(experiment.content_id)))

    def _to_run(self) -> tuple[TileMap, str]:
        experiment = self.experiment()
        return experiment, f"{experiment.network} on tiles"

    def _arrived(self, ds: xr.Dataset, experiment: TileMap) -> None:
        self._kept[experiment.content_id] = ds
        while len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        self._ask()

    def _sync(self, *events) -> None:
        for field in self.fields.values():
            field.sync()

    # -- what is shown -----------------------------------------------------------------------------------------

    def _tapped(self, attr: str, old: list[int], new: list[int]) -> None:
        self.choose(new[0] if new else None)

    @in_one_message
    def _recolor(self, event) -> None:
        if self._found is not None:
            self._paint(self._found)
            refresh(self.plan.pane)

    def _paint(self, found: Drawn) -> None:
        self.plan.draw(found, self.by.value)
        colors = found.colors(self.by.value)
        color, end = colors[0][:7], found.ends[self.by.value]
        self.ramp.object = ramp_markup("0", f"{percent(end)} %", [f"{color}1F", color])

    def _draw(self, found: Drawn | Costed) -> None:
        self.table.object = theme.table_markup(HEAD, found.rows)
        self.waiting.visible, self.layers.visible = False, True
        theme.say_error(self.problem, "")
        drawn = isinstance(found, Drawn)
        self.body.visible = drawn
        told = "" if drawn else _TAKES_LONGER.format(network=found.experiment.network, tiles=found.tiles)
        theme.say_error(self.note, told, kind="info")
        if drawn:
            self._draw_plan(found)

    def _draw_plan(self, found: Drawn) -> None:
        self._found = found
        self._paint(found)
        self.tiles.object = theme.metrics_markup(found.headline)
        count = found.ds.sizes["tile"]
        self.chosen = self.chosen if self.chosen is not None and self.chosen < count else None
        self._show_chosen(found)

    @in_one_message
    def _show_chosen(self, found: Drawn) -> None:
        self._showing = True
        try:
            options = {"none": -1} | {found.name(k): k for k in range(found.ds.sizes["tile"])}
            value = -1 if self.chosen is None else self.chosen
            self.list.param.update(options=options, value=value)
            self.plan.choose(self.chosen)
        finally:
            self._showing = False
        self.detail.draw(found, self.chosen)

    def _failed(self, problem: Exception) -> None:
        self.waiting.visible = False
        self.job.view.visible = self.job.busy  # what cannot be drawn is not started
        theme.say_error(self.problem, str(problem), "The network could not be laid out.")
