# SPDX-License-Identifier: Apache-2.0
"""The device lab: one device, its parameters, its response, live; the same in a page and in a notebook cell."""

from __future__ import annotations

from typing import Any

from panel.viewable import Viewable, Viewer

from explorer.labs.lab import Lab
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.measured_panel import MeasuredPanel
from explorer.views.parameters import ParameterPanel
from explorer.views.picker import DevicePicker
from explorer.views.response import ResponseView
from explorer.views.share import SharePanel
from explorer.views.simulation import SimulationPanel
from explorer.views.temporal import TemporalView
from explorer.views.training_panel import TrainingPanel


class DeviceLab(Lab):
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

    state_class = DeviceState

    def __init__(self, preset: str = "reram_exp_hfo2_2018", state: DeviceState | None = None, **values: Any):
        super().__init__()
        self.state = DeviceState(preset, **values) if state is None else state

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
