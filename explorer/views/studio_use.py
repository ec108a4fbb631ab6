# SPDX-License-Identifier: Apache-2.0
"""The fit studio's last step: the fitted device as a preset, in the device lab, as a report, in a network."""

from __future__ import annotations

import io
import json
from html import escape

import numpy as np
import panel as pn
import xarray as xr
from bokeh.models import BasicTicker, ColumnDataSource
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer import fit_report, jobs
from explorer.experiments.base import Experiment
from explorer.experiments.posterior_training import PosteriorTraining
from explorer.fitting import Normalised, ResponseFit
from explorer.interchange import aihwkit
from explorer.labs import link
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.job_box import JobBox
from explorer.views.job_words import Runner
from explorer.views.number_box import NumberBox

ARGUMENT = "posterior"
PRESET_NAME, REPORT_NAME, CODE_NAME = "fitted_device.toml", "fit_report.html", "fitted_device.py"
_SUBTITLE = "What the measurement leaves open is part of the result: networks are trained on draws from the fit."


class StudioUse(Viewer):
    """What one does with a fit.

    Parameters
    ----------
    runner : Runner, optional
        Where trainings run; the runner of this process by default.
    """

    def __init__(self, runner: Runner | None = None):
        super().__init__()
        self._fit: ResponseFit | None = None
        self._dataset: xr.Dataset | None = None
        self._data: Normalised | None = None
        self.preset = theme.download("Preset (TOML)", PRESET_NAME, self._preset)
        self.report = theme.download("Report (HTML)", REPORT_NAME, self._report)
        self.code = theme.download("aihwkit code", CODE_NAME, self._code)
        self.lab, self.problem = theme.html(sizing_mode=None), theme.error_box(visible=False)
        narrow = {"unit": "1", "width": 160, "sizing_mode": None}
        self.draws = NumberBox.of(PosteriorTraining, "n_draws", "Parameter sets", **narrow)
        self.chips = NumberBox.of(PosteriorTraining, "n_chips", "Chips for each", **narrow)
        self.epochs = NumberBox.of(PosteriorTraining, "epochs", "Epochs", **narrow)
        self.train = theme.button("Train the digits network", icon="play_arrow", primary=True)
        self.train.on_click(lambda _: self.run())
        self.box = JobBox(runner or jobs.runner(), self._trained, ARGUMENT, heard=self._heard)
        self.numbers = theme.html(visible=False)
        self.source = ColumnDataSource({"set": [], "accuracy": []})
        self.figure = theme.figure(("Parameter set", "1"), ("Test accuracy", "%"), height=220)
        self.figure.scatter("set", "accuracy", source=self.source, size=7, fill_color=theme.MODEL, line_color=None)
        self.figure.xaxis[0].ticker = BasicTicker(min_interval=1)
        self.drawn = pn.Column(sizing_mode="stretch_width", margin=0)
        self.pane = theme.plot_pane(self.figure)
        self.view: Viewable = theme.card("Use", self._layout(), subtitle=_SUBTITLE, visible=False)

    def __panel__(self) -> Viewable:
        return self.view

    def come_back(self) -> None:
        """Follow again the training that the page's address names."""
        self.box.come_back()

    def take(self, fit: ResponseFit | None, ds: xr.Dataset | None, data: Normalised | None) -> None:
        """Use this fit from now on."""
        self._fit, self._dataset, self._data = fit, ds, data
        self.view.visible = fit is not None
        if fit is None:
            return
        theme.say_error(self.problem, "")
        try:
            state = DeviceState()
            state.load_device(fit.device())
            address = f"device_lab?state={link.encode(state)}"
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error), "This fit makes no device.")
            self.lab.object = ""
            return
        self.lab.object = (
            f'<a class="open" href="{escape(address, quote=True)}" target="_blank">Open in the device lab</a>'
        )

    def run(self) -> None:
        """Train networks on devices drawn from the fit."""
        problem = next((b.problem for b in (self.draws, self.chips, self.epochs) if b.problem), "")
        if problem or self._fit is None:
            theme.say_error(self.problem, problem)
            return
        try:
            experiment = PosteriorTraining(
                fit=self._fit.to_json(), n_draws=int(self.draws.value), n_chips=int(self.chips.value),
                epochs=int(self.epochs.value),
            )  # fmt: skip
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error))
            return
        theme.say_error(self.problem, "")
        self.box.submit(experiment, f"train on draws from {self._fit.title}")

    def _layout(self) -> Viewable:
        files = theme.row(self.preset, self.report, self.code, self.lab, margin=(10, 0, 10, 0))
        knobs = theme.row(self.draws, self.chips, self.epochs, self.train, margin=(12, 0, 4, 0))
        return pn.Column(
            files, self.problem, theme.heading("Does a network learn with it?"), knobs, self.box, self.numbers,
            self.drawn, sizing_mode="stretch_width", margin=0,
        )  # fmt: skip

    def _preset(self) -> io.BytesIO:
        return io.BytesIO(self._fit.to_preset().encode())

    def _code(self) -> io.BytesIO:
        return io.BytesIO(aihwkit.export(self._fit.device()).text.encode())

    def _report(self) -> io.BytesIO:
        measured = self._data.measured
        page = fit_report.html(self._dataset, summary=str(measured.summary()), warnings=measured.warnings,
                               rejected=measured.rejected, file_sha256=measured.sha256)  # fmt: skip
        return io.BytesIO(page.encode())

    def _heard(self, event: dict) -> None:
        """Draw the sets that are done."""
        means = event.get("accuracy")
        if isinstance(means, list) and means:
            self._put(np.arange(1, len(means) + 1), 100 * np.array(means))

    def _put(self, sets: np.ndarray, accuracy: np.ndarray) -> None:
        self.source.data = {"set": sets, "accuracy": accuracy}
        self.drawn.objects = [self.pane]

    def _trained(self, ds: xr.Dataset, experiment: Experiment) -> None:
        if not isinstance(experiment, PosteriorTraining):
            theme.say_error(self.problem, f"job = {type(experiment).__name__}: is no such training. Open it elsewhere.")
            return
        accuracy = ds["accuracy"].values
        self._put(np.repeat(np.arange(1, len(accuracy) + 1), accuracy.shape[1]), 100 * accuracy.ravel())
        found = json.loads(ds.attrs["parts"])
        self.numbers.param.update(visible=True, object=theme.metrics_markup(_tiles(found, ds)))
        self.view.visible = True


def _tiles(found: dict[str, float], ds: xr.Dataset) -> list[tuple[str, str, str, str]]:
    def percent(value: float) -> str:
        return "–" if not np.isfinite(value) else f"{100 * value:.1f}"

    sets, chips = ds.sizes["draw"], ds.sizes["chip"]
    return [
        ("Test accuracy", f"{percent(found['mean'])} ± {percent(found['both'])}", "%",
         f"Mean and standard deviation of one chip, over {sets} parameter sets and {chips} chips each."),
        ("from the measurement", percent(found["measurement"]), "%", "Standard deviation that the fit leaves open."),
        ("from the chip", percent(found["chip"]), "%", "Standard deviation from chip to chip of one parameter set."),
        ("Floating point", percent(ds.attrs["digital_accuracy"]), "%", "The same network without analog tiles."),
    ]  # fmt: skip
