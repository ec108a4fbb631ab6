# SPDX-License-Identifier: Apache-2.0
"""Links, TOML and snippets: out and back in; nothing broken gets in."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import devices, presets
from explorer.labs import link
from explorer.labs.state import DeviceState
from explorer.views.share import SharePanel, title
from explorer.views.takeaway import restore


@pytest.fixture
def edited():
    state = DeviceState("capacitor_14nm_2018", seed=7, n_devices=50)
    state.set(dw_min=0.0123456789012345)
    return state


@pytest.fixture
def panel(edited):
    return SharePanel(edited)


# links


def test_link_restores_the_whole_state(edited):
    other = DeviceState()
    assert restore(other, link.encode(edited)) == ""
    assert other.device == edited.device
    assert (other.preset, other.seed, other.n_devices) == ("capacitor_14nm_2018", 7, 50)
    assert other.edited_fields() == ["dw_min"]


@pytest.mark.parametrize("stem", devices.names())
def test_link_of_every_device_class_comes_back(stem):
    state, other = DeviceState(), DeviceState()
    state.load_class(stem)
    assert restore(other, link.encode(state)) == ""
    assert other.device == state.device


def test_link_of_a_fitted_device_keeps_all_its_values():
    state, other = DeviceState(), DeviceState()
    state.load_device(devices.get("soft_bounds")(dw_min=0.0371, w_max=1.16, w_min=-1.13))
    assert restore(other, link.encode(state)) == ""
    assert other.device == state.device


def test_link_and_toml_of_a_table_device_come_back():
    state, other = DeviceState(), DeviceState()
    state.load_class("lookup_table")
    state.set(mean_up=[0.0031, 0.0002, 1e-9], spread_down=[0.1, 0.0])
    assert restore(other, link.encode(state)) == ""
    assert other.device == state.device
    panel = SharePanel(other)
    other.load_preset("capacitor_14nm_2018")
    assert panel.take(presets.dumps(state.device, title="table"))
    assert other.device == state.device


def test_panel_table_too_long_for_a_link_says_so():
    state = DeviceState()
    panel = SharePanel(state)
    state.load_class("lookup_table")
    state.set(mean_up=[0.001 + k * 1.0000001e-7 for k in range(2000)])
    assert panel.too_long.visible
    assert not panel.link.view.visible
    state.undo()
    assert not panel.too_long.visible
    assert panel.link.view.visible


def test_link_needs_no_escaping(edited):
    assert set(link.encode(edited)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_link_with_one_changed_character_is_refused_and_changes_nothing(data):
    state = DeviceState()
    before, good = state.to_query(), link.encode(state)
    at = data.draw(st.integers(0, len(good) - 1))
    other = data.draw(st.characters(codec="ascii", exclude_characters=good[at]))
    problem = restore(state, good[:at] + other + good[at + 1 :])
    assert problem
    assert "\n" not in problem
    assert state.to_query() == before


@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=200))
def test_link_of_any_text_never_raises(text):
    state = DeviceState()
    before = state.to_query()
    assert bool(restore(state, text)) == bool(text)
    assert state.to_query() == before


def signed(query) -> str:
    """A link whose check is right, whatever it holds."""
    payload = base64.urlsafe_b64encode(json.dumps(query).encode()).decode().rstrip("=")
    return f"{link.VERSION}.{payload}.{link._check(payload)}"


@pytest.mark.parametrize(
    "query",
    [
        [],
        {},
        {"preset": "no_such_preset"},
        {"preset": "", "device": "no_such_device", "changed": {}},
        {"preset": 5, "device": "exp_step"},
        {"preset": "", "device": "exp_step", "changed": {"dw_minn": 1}},
        {"preset": "", "device": "exp_step", "changed": {"dw_min": -1}},
        {"preset": "", "device": "exp_step", "changed": {"dw_min": "x"}},
        {"preset": "", "device": "exp_step", "changed": ["dw_min"]},
        {"preset": "", "device": "exp_step", "changed": {}, "seed": -1},
        {"preset": "", "device": "exp_step", "changed": {}, "n_devices": 10**9},
        {"preset": "", "device": "exp_step", "changed": {}, "n_pulses": "many"},
    ],
)
def test_link_with_a_wrong_state_is_refused_as_a_whole(query, edited):
    before = edited.to_query()
    problem = restore(edited, signed(query))
    assert problem
    assert "\n" not in problem
    assert edited.to_query() == before


def test_link_of_endless_length_is_refused_unread():
    with pytest.raises(link.LinkError, match="at most"):
        link.decode("1." + "A" * link.MAX_CHARACTERS + ".00000000")


def test_link_of_another_version_says_so(edited):
    with pytest.raises(link.LinkError, match="version '2'"):
        link.decode("2" + link.encode(edited)[1:])


# the panel


def test_texts_follow_the_state(panel, edited):
    before = panel.link.text, panel.toml.text, panel.snippet.text
    edited.set(dw_min=0.02)
    after = panel.link.text, panel.toml.text, panel.snippet.text
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert "0.02" in panel.toml.shown.object


def test_toml_comes_back_as_the_same_device(panel, edited):
    assert presets.loads(panel.toml.text).device == edited.device
    assert "changed: dw_min" in panel.toml.text


def test_snippet_makes_the_same_device(panel, edited):
    scope: dict = {}
    exec(panel.snippet.text, scope)
    assert scope["device"] == edited.device


def test_import_of_an_exported_file_shows_its_device(panel, edited):
    text = panel.toml.text
    device = edited.device
    edited.load_preset("idealized_symmetric")
    panel._take_file("mine.toml", text.encode())
    assert edited.device == device
    assert panel.loaded.visible
    assert not panel.said.visible


def test_import_of_a_pasted_link_restores_the_state(panel, edited):
    text = panel.link.text
    edited.load_preset("idealized_symmetric")
    assert panel.take(f"  {text}&training=0123  ")
    assert edited.preset == "capacitor_14nm_2018"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not toml at all [",
        "x = 1",
        'device = "no_such"',
        'device = "exp_step"\nparameters = 3',
        'device = "exp_step"\nsource = 3',
        'device = "exp_step"\n[parameters.dw_min]\nvalue = -1\nunit = "w"',
        'device = "exp_step"\n[parameters.dw_min]\nvalue = 1e-3\nunit = "S"',
        "device_lab?state=broken",
    ],
)
def test_import_of_something_else_says_why_in_one_line_and_changes_nothing(panel, edited, text):
    before = edited.to_query()
    assert not panel.take(text)
    assert panel.said.visible
    assert not panel.loaded.visible
    assert edited.to_query() == before


def test_import_of_a_binary_file_is_refused(panel):
    panel._take_file("photo.toml", b"\x89PNG\xff\xfe")
    assert "is not text" in panel.said.object


def test_title_tells_preset_class_and_edits(edited):
    assert title(edited).endswith("(edited)")
    edited.load_class("soft_bounds")
    assert title(edited) == devices.get("soft_bounds").title
