# SPDX-License-Identifier: Apache-2.0
"""The drift lab: what becomes of a network's accuracy over seconds to years; the same in a page and in a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from explorer.labs.drift_state import DriftState
from explorer.views import theme
from explorer.views.bits_field import BitsField
from explorer.views.blame_view import BlameView
from explorer.views.cell import Gate, cell, in_notebook, prepare_notebook
from explorer.views.drift_runs import DriftRuns
from explorer.views.drift_share import DriftShare
from explorer.views.drift_view import DriftView
from explorer.views.navigation import links
from explorer.views.parameters import ParameterPanel
from explorer.views.scenario_list import ScenarioList
from explorer.views.times_field import TimesField

TITLE = "Ohmscape drift lab"
_NOTEBOOK_SIDE_PX = 330
_ROWS = {"inp_res": BitsField, "out_res": BitsField}
_OPEN = (0, 2)  # network, devices
_RUNS = 2


class DriftLab(Viewer):
    """A network on drifting chips, on one page.

    Parameters
    ----------
    state : DriftState, optional
        Show this state instead of a new one.
    **values
        Parameters of `explorer.experiments.drift_accuracy.DriftAccuracy`, such as ``network`` or ``n_chips``.

    Raises
    ------
    ParameterError
        If there is no such network, or a value breaks its rule.
    """

    def __init__(self, state: DriftState | None = None, **values: Any):
        super().__init__()
        prepare_notebook()
        self.state = DriftState(**values) if state is None else state
        self._gate = Gate(self.state)

    def __panel__(self) -> Viewable:
        return cell(self._body(), self._gate) if in_notebook() else theme.root(self._body())

    def _body(self) -> Viewable:
        side = pn.Column(*self._side(), width=_NOTEBOOK_SIDE_PX, margin=(0, theme.GAP, 0, 0))
        return pn.Row(side, self._main(), sizing_mode="stretch_width")

    def page(self, problem: str = "", apps: Iterable[str] = ()) -> Viewable:
        """Return the served page: header, sidebar with scenarios and parameters, main area with the plots.

        Parameters
        ----------
        problem : str
            What went wrong on the way here, such as a link that cannot be read; shown above the plots.
        apps : iterable of str
            Names of the apps that the header links to.
        """
        side = pn.Column(*self._side(), sizing_mode="stretch_width", margin=(12, theme.GAP))
        main = self._main()
        if problem:
            main.insert(0, theme.error_box(problem, "The link could not be restored."))
        return theme.page(TITLE, sidebar=[side], main=[main], header=links(apps, "drift_lab"))

    def _side(self) -> list[Viewer]:
        panel = ParameterPanel(self.state, rows=_ROWS, open_groups=_OPEN)
        return [ScenarioList(self.state), TimesField(self.state), panel]

    def _main(self) -> pn.Column:
        view, blame = DriftView(self.state), BlameView(self.state)
        share, runs = DriftShare(self.state, lambda: view.shown), DriftRuns(view.open_run)
        told = "Mean over chips ± half of its 95 % interval, %"
        table = theme.card("Accuracy by scenario", view.table, subtitle=told)
        sections = theme.tabs(
            ("Table", table), ("Blame", blame.view), ("Runs", runs.view), ("Share", share.view),
            dynamic=False,  # Bokeh fails on a plot that is taken out of the page while it waits to be painted
        )  # fmt: skip

        def turned(event: param.parameterized.Event) -> None:
            if event.new == _RUNS:
                runs.update()

        sections.param.watch(turned, "active")
        layout = {"sizing_mode": "stretch_width", "styles": {"gap": f"{theme.GAP}px"}, "margin": 0}
        carriers = [*view.carriers, *blame.carriers, *share.carriers]
        return pn.Column(view.overview, view.details, sections, *carriers, **layout)
