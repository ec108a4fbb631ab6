# SPDX-License-Identifier: Apache-2.0
"""The lab as an object: light to import, one state behind every view of it."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import panel as pn
import pytest
from panel.viewable import Viewable

import explorer
from engine import presets
from engine.errors import ParameterError
from explorer import serving
from explorer.labs.device_lab import DeviceLab
from explorer.labs.lab import Lab
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.cell import Gate, Listening, cell
from explorer.views.picker import DevicePicker
from explorer.views.simulation import SimulationPanel

SMALL = {"n_devices": 10, "n_pulses": 20}


def test_import_explorer_loads_no_gui():
    code = "import sys, explorer; assert not {'panel', 'bokeh', 'torch'} & set(sys.modules), sorted(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_explorer_device_lab_is_the_lab():
    assert explorer.DeviceLab is DeviceLab


def test_every_app_shows_the_lab_of_its_name():
    for app, path in serving.apps().items():
        lab = getattr(explorer, app.title().replace("_", ""))
        assert issubclass(lab, Lab)
        assert lab.app() == app
        assert lab.title() == f"Ohmscape {app.replace('_', ' ')}"
        assert f"{lab.__name__}.serve()" in path.read_text(encoding="utf-8")


def test_explorer_unknown_name_raises():
    with pytest.raises(AttributeError, match="DeviceLabb"):
        _ = explorer.DeviceLabb


def test_theme_is_the_only_importer_of_the_material_kit():
    root = Path(explorer.__file__).parent
    importers = []
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if any(name.startswith("panel_material_ui") for name in names):
                importers.append(path.relative_to(root).as_posix())
    assert set(importers) == {"views/theme.py"}


def test_lab_unknown_preset_names_near_miss():
    with pytest.raises(ParameterError, match="reram_exp_hfo2_2018"):
        DeviceLab(preset="reram_exp_hfo2")


def test_lab_values_go_to_the_state():
    lab = DeviceLab("capacitor_14nm_2018", seed=5, **SMALL)
    assert (lab.state.preset, lab.state.seed, lab.state.n_devices) == ("capacitor_14nm_2018", 5, 10)


def test_lab_is_a_cell_value_that_renders():
    lab = DeviceLab(**SMALL)
    body = lab.__panel__()
    assert isinstance(body, Viewable)
    assert body.theme_config == theme.THEME_CONFIG  # a cell has no page to take the colours from
    assert body.get_root() is not None


def test_lab_shown_twice_follows_one_state():
    lab = DeviceLab(**SMALL)
    sliders = [next(s for s in lab.__panel__().select(theme.Slider) if s.label == "dw_min") for _ in range(2)]
    sliders[0].value = -2.0
    assert lab.state.device.dw_min == 0.01
    assert sliders[1].value == pytest.approx(-2.0)


def test_page_shows_what_went_wrong_with_a_link():
    page = DeviceLab(state=DeviceState(**SMALL)).page(problem="state = 'x': is no link.")
    texts = [pane.object for pane in page.main[0].select(pn.pane.HTML)]
    assert any("is no link" in text for text in texts)


def test_picker_chosen_preset_and_class_are_shown():
    state = DeviceState()
    picker = DevicePicker(state)
    picker.select.value = "preset:capacitor_14nm_2018"
    assert state.preset == "capacitor_14nm_2018"
    assert "VLSI" in picker.about.object
    picker.select.value = "class:soft_bounds"
    assert (state.preset, state.device.stem()) == ("", "soft_bounds")
    assert "Not a published device" in picker.about.object


def test_picker_says_what_a_preset_leaves_out(monkeypatch):
    whole = presets.info("capacitor_14nm_2018")
    partial = dataclasses.replace(whole, not_modelled=("charge leaks < slowly",))
    monkeypatch.setattr(presets, "info", lambda name: partial if name == whole.name else whole)
    about = DevicePicker(DeviceState("capacitor_14nm_2018")).about.object
    assert "Not modelled" in about
    assert "charge leaks &lt; slowly" in about


def test_picker_follows_undo():
    state = DeviceState()
    picker = DevicePicker(state)
    state.load_preset("capacitor_14nm_2018")
    state.undo()
    assert picker.select.value == "preset:reram_exp_hfo2_2018"
    assert "capacitor" not in picker.about.object


def test_simulation_says_what_computes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OHMSCAPE_DEVICE", "cpu")
    assert "Pulses are computed on the CPU (OHMSCAPE_DEVICE=cpu)." in SimulationPanel(DeviceState(**SMALL)).where.object
    monkeypatch.setenv("OHMSCAPE_DEVICE", "gpu")
    assert "is not an option" in SimulationPanel(DeviceState(**SMALL)).where.object


def test_simulation_boxes_set_and_follow_the_state():
    state = DeviceState(**SMALL)
    panel = SimulationPanel(state)
    panel.boxes["n_devices"].box.value = "25"
    assert state.n_devices == 25
    state.n_pulses = 50
    assert panel.boxes["n_pulses"].value == 50
    panel.redraw.clicks += 1
    assert state.seed == 1
    assert panel.boxes["seed"].value == 1


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("n_devices", "0", "within its limits"),
        ("n_devices", "2.5", "within its limits"),
        ("n_devices", "nan", "must be a finite number"),
        ("n_pulses", "1", "within its limits"),
        ("seed", "-1", "within its limits"),
    ],
)
def test_simulation_nonsense_is_refused_beside_the_box(name: str, text: str, rule: str):
    state = DeviceState(**SMALL)
    panel = SimulationPanel(state)
    before = getattr(state, name)
    panel.boxes[name].box.value = text
    assert getattr(state, name) == before
    assert rule in panel.boxes[name].problem


def test_simulation_more_than_is_live_is_refused():
    state = DeviceState(n_devices=2000, n_pulses=20)
    panel = SimulationPanel(state)
    panel.boxes["n_pulses"].box.value = "20000"
    assert state.n_pulses == 20
    assert "too many to be live" in panel.boxes["n_pulses"].problem


def test_gate_closed_holds_back_what_watchers_are_told_until_it_opens():
    state = DeviceState(**SMALL)
    gate, seen = Gate(state), []
    state.param.watch(lambda event: seen.append(state.device.w_max), "revision")
    gate.close()
    state.set(w_max=0.5)
    assert state.device.w_max == 0.5  # the state itself does not wait
    assert seen == []
    gate.open()
    assert seen == [0.5]
    state.set(w_max=0.6)
    assert seen == [0.5, 0.6]


def test_gate_once_open_stays_open():
    state = DeviceState(**SMALL)
    gate, seen = Gate(state), []
    state.param.watch(lambda event: seen.append(event.new), "seed")
    gate.close()
    gate.open()
    gate.close()  # a second cell must not silence the first
    state.seed = 4
    assert seen == [4]


def test_cell_heard_opens_gate():
    state = DeviceState(**SMALL)
    panel = SimulationPanel(state)
    shown = cell(panel.__panel__(), Gate(state))
    state.n_devices = 20
    assert panel.boxes["n_devices"].value == 10
    shown.select(Listening)[0].heard = True
    assert panel.boxes["n_devices"].value == 20
