# SPDX-License-Identifier: Apache-2.0
"""The live product of a tile: headline, analog against exact, error and where it comes from, codes, weights."""

from __future__ import annotations

from html import escape

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.experiments.mvm_error import MvmError
from explorer.labs.tile_state import TileState
from explorer.views import theme
from explorer.views.live import LatestWins
from explorer.views.matrix_entry import MatrixEntry
from explorer.views.numbers import fixed, percent
from explorer.views.product_data import Product, multiply
from explorer.views.product_plots import HEIGHT, CodePlot, ErrorPlot, RoundsPlot, TransferPlot, WeightPlot

_EXACT = "The product is exact but for single precision."


class ProductView(Viewer):
    """What the state's periphery does to a product.

    Attributes
    ----------
    worker : LatestWins
        Computes what is drawn.
    """

    def __init__(self, state: TileState):
        super().__init__()
        self._state = state
        self.transfer, self.errors = TransferPlot(), ErrorPlot()
        self.dac, self.adc = CodePlot("DAC", "Inputs"), CodePlot("ADC", "Outputs")
        self.rounds, self.weights = RoundsPlot(), WeightPlot()
        self.matrix = MatrixEntry(state)
        self.tiles = theme.html(margin=(12, 0, 4, 0))
        self.sources = theme.html(min_height=HEIGHT)
        self.problem = theme.error_box(visible=False)
        self.note = theme.caption("")
        panes = tuple(plot.pane for plot in self._plots())
        self.worker: LatestWins[MvmError, Product] = LatestWins(multiply, self._draw, self._failed, panes)
        self.view: Viewable = pn.Column(
            self.problem, self._overview(), self._details(), sizing_mode="stretch_width", margin=0,
            styles={"gap": f"{theme.GAP}px"},
        )  # fmt: skip
        self.worker.now(state.experiment)
        state.param.watch(lambda *events: self.worker.request(state.experiment), "revision")

    def __panel__(self) -> Viewable:
        return self.view

    def _plots(self) -> list:
        return [self.transfer, self.errors, self.dac, self.adc, self.rounds, self.weights]

    def _overview(self) -> Viewable:
        plots = theme.grid(self.transfer.view, self.errors.view)
        return theme.card("What the periphery does to a product", self.note, self.tiles, plots)

    def _details(self) -> Viewable:
        return theme.grid(
            theme.card("Where the error comes from", self.sources,
                       subtitle="Estimated share of each source, and the ratio it alone would allow"),
            theme.card("Repetitions", self.rounds.view,
                       subtitle="Bound management: again with smaller inputs while an output clips"),
            theme.card("Input converter", self.dac.view, subtitle="How often the DAC gave each code"),
            theme.card("Output converter", self.adc.view, subtitle="How often the ADC gave each code, last round"),
            theme.card("Weights", self.weights.view, self.matrix),
        )  # fmt: skip

    def _draw(self, found: Product) -> None:
        self.transfer.draw(found)
        self.errors.draw(found)
        self.dac.draw(found.dac)
        self.adc.draw(found.adc)
        self.rounds.draw(found)
        self.weights.draw(found)
        self.tiles.object = theme.metrics_markup(found.tiles)
        self.sources.object = sources_markup(found)
        self.note.object = theme.caption_markup(describe(found.experiment))
        theme.say_error(self.problem, "")

    def _failed(self, problem: Exception) -> None:
        theme.say_error(self.problem, str(problem), "The product could not be computed.")


def describe(experiment: MvmError) -> str:
    """Return one line on what was multiplied."""
    rows, columns = experiment.shape
    inputs = {"gaussian": "standard normal", "uniform": "uniform", "one_hot": "one-hot",
              "sparse": f"sparse ({percent(experiment.density)} % not zero)"}[experiment.inputs]  # fmt: skip
    return f"{rows} × {columns} weights, {int(experiment.n_vectors)} {inputs} vectors. Seed {int(experiment.seed)}."


def sources_markup(found: Product) -> str:
    """Return the sources of error as bars, the largest first."""
    if found.experiment.forward.is_perfect or not found.shares:
        return theme.empty_markup("No source of error", _EXACT)
    rows = [
        f'<div class="source"><span class="name">{escape(name)}</span>'
        f'<span class="track"><span class="fill" style="width: {100 * share:.1f}%"></span></span>'
        f'<span class="figure">{percent(share)}&nbsp;%</span><span class="figure">{fixed(ratio)}&nbsp;dB</span></div>'
        for name, share, ratio in found.shares
    ]
    return f'<div class="sources">{"".join(rows)}</div>'
