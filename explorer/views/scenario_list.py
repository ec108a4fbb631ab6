# SPDX-License-Identifier: Apache-2.0
"""The scenarios that are compared: choose one to edit, add, duplicate, rename, remove."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.inference import noise as noises
from engine.tiles import periphery_presets
from explorer.experiments.scenario import Scenario
from explorer.labs.drift_state import MAX_SCENARIOS, DriftState
from explorer.views import theme
from explorer.views.drift_plots import LOOKS, SWATCHES


def suggestions() -> dict[str, Scenario]:
    """Return ``title -> scenario`` of what one may add at once: devices, compensation, converters."""
    forward = periphery_presets.load("pcm_read")
    found = {
        "Hardware-aware training": Scenario(title="HWA-trained", training="hardware_aware"),
        "No compensation": Scenario(title="No compensation", compensation="none"),
        "Compensation per column": Scenario(title="Per column", compensation="per_column"),
        "Two pairs of devices": Scenario(title="Two pairs", converter="dual_pair"),
        "6-bit ADC, ideal read-out": Scenario(
            title="6-bit ADC", forward=forward.copy(out_res=1 / 62), compensation="ideal_readout"
        ),
        "Calibrated input ranges": Scenario(title="Calibrated inputs", input_range="calibrated"),
    }
    for stem in noises.names():
        title = noises.get(stem).title or stem
        if stem != "pcm":
            found[title] = Scenario(title=title, noise=stem)
    return {"PCM": Scenario()} | found


class ScenarioList(Viewer):
    """One line for each scenario with the look of its curve; the one under edit is marked."""

    def __init__(self, state: DriftState):
        super().__init__()
        self.state, self._showing = state, False
        self._suggested = suggestions()
        self.buttons = [self._button(k) for k in range(MAX_SCENARIOS)]
        self.swatches = [theme.html("", width=26, sizing_mode=None, margin=(6, 0)) for _ in range(MAX_SCENARIOS)]
        self._lines = [
            pn.Row(swatch, button, sizing_mode="stretch_width", margin=(0, 0, 4, 0))
            for swatch, button in zip(self.swatches, self.buttons, strict=True)
        ]
        self.title = theme.text_box("Name of the scenario", description="Shown in legend and table.", margin=(8, 0))
        self.add = theme.select("Add a scenario", options=["Add …", *self._suggested], value="Add …")
        self.duplicate = theme.button("Duplicate", icon="content_copy")
        self.remove = theme.button("Remove", icon="close")
        self.problem = theme.error_box(visible=False)
        buttons = theme.row(self.duplicate, self.remove, margin=(0, 0, 4, 0))
        self._view = pn.Column(
            theme.heading("Scenarios"), *self._lines, self.title, self.problem, buttons, self.add,
            sizing_mode="stretch_width", margin=(0, 0, 12, 0),
        )  # fmt: skip
        self._connect()
        self._sync()

    def __panel__(self) -> Viewable:
        return self._view

    def _button(self, k: int):
        made = theme.button("", sizing_mode="stretch_width")
        made.on_click(lambda _: self.state.select(k))
        return made

    def _connect(self) -> None:
        self.title.param.watch(self._renamed, "value")
        self.add.param.watch(self._added, "value")
        self.duplicate.on_click(lambda _: self.state.duplicate())
        self.remove.on_click(lambda _: self.state.remove())
        self.state.param.watch(self._sync, ["revision", "problem", "problem_field"])

    def _renamed(self, event) -> None:
        if not self._showing:
            self.state.rename(event.new)

    def _added(self, event) -> None:
        if event.new in self._suggested:
            self.state.add(self._suggested[event.new])
            self.add.value = "Add …"

    def _sync(self, *events) -> None:
        state, scenarios = self.state, self.state.experiment.scenarios
        self._showing = True
        try:
            for k, (line, swatch, button) in enumerate(zip(self._lines, self.swatches, self.buttons, strict=True)):
                line.visible = k < len(scenarios)
                if k < len(scenarios):
                    chosen = k == state.drift.selected
                    button.param.update(label=scenarios[k].title, variant="contained" if chosen else "outlined",
                                        color="primary" if chosen else "default")  # fmt: skip
                    swatch.object = _swatch(k)
            self.title.value = state.scenario.title
        finally:
            self._showing = False
        self.remove.disabled = len(scenarios) == 1
        self.duplicate.disabled = len(scenarios) == MAX_SCENARIOS
        theme.say_error(self.problem, state.problem_of("title"))


def _swatch(k: int) -> str:
    color, dash, _ = LOOKS[k]
    return f'<span class="swatch {SWATCHES[dash]}" style="--c: {color}; width: 22px"></span>'
