# SPDX-License-Identifier: Apache-2.0
"""The drift lab: what becomes of a network's accuracy over seconds to years; the same in a page and in a notebook."""

from __future__ import annotations

from typing import Any

import param
from panel.viewable import Viewable, Viewer

from explorer.labs.drift_state import DriftState
from explorer.labs.lab import Lab
from explorer.views import theme
from explorer.views.bits_field import BitsField
from explorer.views.blame_view import BlameView
from explorer.views.drift_runs import DriftRuns
from explorer.views.drift_share import DriftShare
from explorer.views.drift_view import DriftView
from explorer.views.parameters import ParameterPanel
from explorer.views.scenario_list import ScenarioList
from explorer.views.times_field import TimesField

_ROWS = {"inp_res": BitsField, "out_res": BitsField}
_OPEN = (0, 2)  # network, devices
_RUNS = 2


class DriftLab(Lab):
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

    state_class = DriftState

    def __init__(self, state: DriftState | None = None, **values: Any):
        super().__init__()
        self.state = DriftState(**values) if state is None else state

    def _side(self) -> list[Viewer]:
        panel = ParameterPanel(self.state, rows=_ROWS, open_groups=_OPEN)
        return [ScenarioList(self.state), TimesField(self.state), panel]

    def _main(self) -> list[Viewable | Viewer]:
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
        carriers = [*view.carriers, *blame.carriers, *share.carriers]
        return [view.overview, view.details, sections, *carriers]
