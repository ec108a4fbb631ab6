# SPDX-License-Identifier: Apache-2.0
"""The retention page's last step: the fitted law as a noise model, in a file and in the drift lab."""

from __future__ import annotations

import io
import json
from html import escape
from pathlib import PurePath

import panel as pn
import xarray as xr
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError, ParameterError, say
from engine.inference import noise
from engine.inference.noise import NoiseModel
from explorer import retention_report
from explorer.experiments.scenario import Scenario
from explorer.fitting.retention import noise_file
from explorer.fitting.retention.bake import KELVIN, factor
from explorer.fitting.retention.report import Law, Report
from explorer.labs import link
from explorer.labs.drift_state import DriftState
from explorer.views import theme
from explorer.views.number_box import NumberBox

FILE_NAME, REPORT_NAME, RESULT_NAME = "noise_model.toml", "retention_report.html", "retention_fit.json"
_SUBTITLE = "The law as a noise model: in a file, and where networks are followed over time"


class RetentionUse(Viewer):
    """What one does with a retention fit."""

    def __init__(self) -> None:
        super().__init__()
        self._report: Report | None = None
        self._law: Law | None = None
        self._dataset: xr.Dataset | None = None
        self.file = theme.download("Noise model (TOML)", FILE_NAME, self._file)
        self.page = theme.download("Report (HTML)", REPORT_NAME, self._page)
        self.result = theme.download("Result (JSON)", RESULT_NAME, self._result)
        self.lab, self.problem = theme.html(sizing_mode=None), theme.error_box(visible=False)
        self.told = theme.info_box(visible=False)
        bounds = {"width": 200, "sizing_mode": None}
        self.reference = NumberBox("Noise model measured at", 25.0, unit="°C", check=_check_celsius, **bounds)
        self.temperature = NumberBox("Chips at", 85.0, unit="°C", check=_check_celsius, **bounds)
        self.factor = theme.html(sizing_mode=None)
        for box in (self.reference, self.temperature):
            box.param.watch(lambda _: self._scale(), "value")
        self.hot = theme.row(self.reference, self.temperature, self.factor, margin=(10, 0, 0, 0))
        files = theme.row(self.file, self.page, self.result, self.lab, margin=(10, 0, 6, 0))
        self.view: Viewable = theme.card(
            "Use", pn.Column(files, self.problem, self.told, self.hot, sizing_mode="stretch_width", margin=0),
            subtitle=_SUBTITLE, visible=False,
        )  # fmt: skip

    def __panel__(self) -> Viewable:
        return self.view

    def take(self, report: Report | None, law: Law | None, ds: xr.Dataset | None = None) -> None:
        """Use this law of a report from now on; ``ds`` holds its curves."""
        self._report, self._law, self._dataset = report, law, ds
        self.view.visible = report is not None
        if report is None or law is None:
            return
        theme.say_error(self.problem, "")
        self.file.visible = law.noise is not None
        self.hot.visible = report.kind == "bake"
        self.lab.object = ""
        text = f"{law.noise_note[0].upper()}{law.noise_note[1:].rstrip('.')}." if law.noise_note else ""
        self.told.param.update(object=theme.info_box(text, "No noise model.").object,
                               visible=law.noise is None and bool(text))  # fmt: skip
        self._scale()
        if law.noise is None:
            return
        try:
            self.lab.object = _opened(noise.made(law.noise, "noise"), report.source)
        except OhmscapeError as error:
            theme.say_error(self.problem, str(error), "This law makes no noise model.")

    def _scale(self) -> None:
        """Say how many times larger the spread of hotter chips is."""
        if self._law is None or self._report.kind != "bake":
            return
        found = {p.name: p.value for p in self._law.parameters}
        larger = factor(found, self._report.lowest_c, self.temperature.value, self.reference.value)
        self.factor.object = theme.pair_markup(f"drift_scale = {larger:.3g}", "factor on the spread, for the drift lab")

    def _file(self) -> io.BytesIO:
        return io.BytesIO(noise_file.write(self._report, self._law.stem).encode())

    def _page(self) -> io.BytesIO:
        return io.BytesIO(retention_report.html(self._dataset, self._law.stem).encode())

    def _result(self) -> io.BytesIO:
        return io.BytesIO(json.dumps(self._report.to_dict(), indent=2, allow_nan=False).encode())


def _opened(model: NoiseModel, source: str) -> str:
    """Return a link to the drift lab with this noise model; the marker at a time that it has statistics for."""
    state = DriftState(scenarios=[Scenario(title=PurePath(source).stem or "fitted", noise=model)])
    times = getattr(model, "times", None)
    if times:
        state.time = min(state.time, float(times[-1]))
    text = link.encode(state)
    if len(text) > link.MAX_CHARACTERS:
        return theme.caption_markup("The model is too large for a link; save the file and use ohmscape drift --noise.")
    address = escape(f"drift_lab?state={text}", quote=True)
    return f'<a class="open" href="{address}" target="_blank">Open in the drift lab</a>'


def _check_celsius(value: float) -> None:
    if not -KELVIN < value < 1000:
        raise ParameterError(say("temperature", value, "is no temperature of a chip", "above -273.15, below 1000",
                                 "Correct it.", unit="°C"))  # fmt: skip
