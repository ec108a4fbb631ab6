# SPDX-License-Identifier: Apache-2.0
"""The device lab: one device, its parameters, its response, live; the same in a page and in a notebook cell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.cell import Gate, cell, in_notebook, prepare_notebook
from explorer.views.measured_panel import MeasuredPanel
from explorer.views.navigation import links
from explorer.views.parameters import ParameterPanel
from explorer.views.picker import DevicePicker
from explorer.views.response import ResponseView
from explorer.views.share import SharePanel
from explorer.views.simulation import SimulationPanel
from explorer.views.temporal import TemporalView
from explorer.views.training_panel import TrainingPanel

TITLE = "Ohmscape device lab"
_NOTEBOOK_SIDE_PX = 330


class DeviceLab(Viewer):
    """Everything about one device on one page.

    Parameters
    ----------
    preset : str
        Name of the preset to begin with (``engine.presets.names()``).
    state : DeviceState, optional
        Show this state instead of a new one.
    **values
        Values of `DeviceState`: ``seed``, ``n_devices``, ``n_pulses``.

    Raises
    ------
    ParameterError
        If there is no such preset.

    Examples
    --------
    >>> from explorer import DeviceLab
    >>> lab = DeviceLab(preset="capacitor_14nm_2018", n_devices=50)
    >>> lab.state.set(dw_min=0.01)
    True
    """

    def __init__(self, preset: str = "reram_exp_hfo2_2018", state: DeviceState | None = None, **values: Any):
        super().__init__()
        prepare_notebook()
        self.state = DeviceState(preset, **values) if state is None else state
        self._gate = Gate(self.state)

    def __panel__(self) -> Viewable:
        return cell(self._body(), self._gate) if in_notebook() else theme.root(self._body())

    def _body(self) -> Viewable:
        side = pn.Column(*self._side(), width=_NOTEBOOK_SIDE_PX, margin=(0, theme.GAP, 0, 0))
        main = pn.Column(*self._main(), sizing_mode="stretch_width", styles={"gap": f"{theme.GAP}px"}, margin=0)
        return pn.Row(side, main, sizing_mode="stretch_width")

    def page(self, problem: str = "", apps: Iterable[str] = ()) -> Viewable:
        """Return the served page: header, sidebar with the parameters, main area with the plots.

        Parameters
        ----------
        problem : str
            What went wrong on the way here, such as a link that cannot be read; shown above the plots.
        apps : iterable of str
            Names of the apps that the header links to.
        """
        side = pn.Column(*self._side(), sizing_mode="stretch_width", margin=(12, theme.GAP))
        main = pn.Column(*self._main(), sizing_mode="stretch_width", styles={"gap": f"{theme.GAP}px"}, margin=0)
        if problem:
            main.insert(0, theme.error_box(problem, "The link could not be restored."))
        return theme.page(TITLE, sidebar=[side], main=[main], header=links(apps, "device_lab"))

    def _side(self) -> list[Viewer]:
        return [DevicePicker(self.state), ParameterPanel(self.state), SimulationPanel(self.state)]

    def _main(self) -> list[Viewable | Viewer]:
        response, measured = ResponseView(self.state), MeasuredPanel(self.state)
        training, share = TrainingPanel(self.state), SharePanel(self.state)
        sections = theme.tabs(
            ("Step and symmetry", response.details),
            ("Diagnosis", response.diagnosis),
            ("In time", TemporalView(self.state)),
            ("Measured data", measured),
            ("Train", training.view),
            ("Share", share.view),
            dynamic=False,  # Bokeh fails on a plot that is taken out of the page while it waits to be painted
        )
        return [response.overview, sections, *training.carriers, *share.carriers]
