# SPDX-License-Identifier: Apache-2.0
"""What every preset keeps: complete, sourced, loadable, alive."""

import re
import tomllib
from datetime import date
from importlib.resources import files

import numpy as np
import pytest
import torch

from engine import presets
from engine.errors import ParameterError
from engine.quantity import Quantity
from engine.tiles import Tile

NAMES = presets.names()
FOLDER = files("engine.presets")


def raw(name: str) -> dict:
    return tomllib.loads(FOLDER.joinpath(f"{name}.toml").read_text(encoding="utf-8"))


def test_presets_are_found():
    assert {"reram_exp_hfo2_2018", "capacitor_14nm_2018", "ecram_li_2018", "idealized_symmetric"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_preset_says_what_it_is_and_where_it_comes_from(name):
    found = presets.info(name)
    assert found.name == name
    assert found.title
    assert found.title != name
    assert found.sources
    for source in found.sources:
        assert source["title"]
        assert source["venue"]
        assert 1960 < source["year"] <= date.today().year
    assert all(isinstance(effect, str) and effect for effect in found.not_modelled)


@pytest.mark.parametrize("name", NAMES)
def test_preset_gives_every_parameter_with_unit_and_source(name):
    """Nothing is left to a default: a preset must not change when a default does."""
    found, entries = presets.info(name), raw(name)["parameters"]
    assert set(entries) == set(found.device.fields())
    for parameter, entry in entries.items():
        assert entry["source"].strip(), parameter
        if isinstance(found.device.param[parameter], Quantity):
            assert entry["unit"] == found.device.describe(parameter)["unit"], parameter
    assert all(found.parameter_sources.values())


@pytest.mark.parametrize("name", NAMES)
def test_preset_name_is_lower_case_with_the_year_of_a_source(name):
    assert re.fullmatch(r"[a-z0-9_]+", name)
    year = re.search(r"_(\d{4})$", name)
    assert year is None or int(year.group(1)) in {s["year"] for s in presets.info(name).sources}


@pytest.mark.parametrize("name", NAMES)
def test_preset_lies_on_its_sliders(name):
    """A published value that no slider reaches would jump when the slider is touched."""
    device = presets.load(name)
    for parameter, value in device.values().items():
        told = device.describe(parameter)
        if told["kind"] == "number":
            low, high = told["softbounds"]
            assert low <= value <= high, f"{parameter} = {value} outside the slider {low} .. {high}"


@pytest.mark.parametrize("name", NAMES)
def test_loaded_presets_do_not_share_their_values(name):
    one = presets.load(name)
    one.dw_min = 0.123
    assert presets.load(name).dw_min != 0.123


@pytest.mark.parametrize("name", NAMES)
def test_preset_lives_in_a_tile_and_comes_back_from_its_export(name, tmp_path):
    device = presets.load(name)
    path = tmp_path / "exported.toml"
    path.write_text(presets.dumps(device, title=name), encoding="utf-8")
    assert presets.read(path) == device
    tile = Tile(20, 20, name, seed=1)
    trace = tile.pulse(np.ones(50, np.int8))
    assert torch.isfinite(trace.apparent).all()
    assert trace.hidden[-1].mean() > trace.hidden[0].mean()


def test_unknown_preset_names_near_misses():
    with pytest.raises(ParameterError, match=r"preset = 'ecram'.*allowed: .*ecram_li_2018"):
        presets.load("ecram")


GOOD = presets.dumps(presets.load("ecram_li_2018"), title="mine")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda t: t.replace('unit = "w"', 'unit = "S"', 1), r"mine.toml, \w+: unit is 'S' \(allowed: 'w'\)"),
        (lambda t: t.replace('device = "linear_step"', 'device = "linear_stop"'), "Did you mean 'linear_step'"),
        (lambda t: t.replace('device = "linear_step"', ""), r"mine.toml: no device named. Add a line like device"),
        (lambda t: t.replace("gamma_up]", "gama_up]"), r"LinearStep.gama_up: there is no such parameter.*'gamma_up'"),
        (lambda t: t.replace("value = 0.002", "value = -0.002"), r"LinearStep.dw_min = -0.002 w: is outside"),
        (lambda t: t.replace("value = 0.002", 'value = "0.002"'), r"LinearStep.dw_min = '0.002' w: must be a number"),
        (lambda t: t.replace("value = 0.002", "volue = 0.002"), r"mine.toml, dw_min = .*must be a table"),
        (lambda t: t + "= what", r"mine.toml: not valid TOML"),
        (lambda t: t.replace('title = "mine"', "title = 3"), r"mine.toml, title = 3: .*allowed: text"),
    ],
)
def test_spoiled_file_is_refused_with_the_place(spoil, message):
    text = spoil(GOOD)
    assert text != GOOD
    with pytest.raises(ParameterError, match=message):
        presets.loads(text, "mine")
