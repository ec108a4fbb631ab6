# SPDX-License-Identifier: Apache-2.0
"""The pages of the presets are what `python tools/preset_pages.py` writes from presets, physics and peer numbers."""

import re

import preset_pages
import pytest

from engine import presets

PAGES = sorted(p.stem for p in preset_pages.FOLDER.glob("*.md") if p.stem != "README")


def test_every_preset_that_aihwkit_measured_has_a_page():
    assert set(preset_pages.PEER) <= set(PAGES) <= set(presets.names())


@pytest.mark.parametrize("name", PAGES)
def test_page_and_plot_are_current(name):
    preset = presets.info(name)
    response = preset_pages.respond(name, preset.device)
    text = (preset_pages.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert text == preset_pages.page(preset, response)
    plot = (preset_pages.FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert f"data {response.digest()}" in plot
    assert len(plot) < 80_000


@pytest.mark.parametrize("name", PAGES)
def test_page_tells_every_parameter_with_its_source(name):
    text = (preset_pages.FOLDER / f"{name}.md").read_text(encoding="utf-8")
    preset = presets.info(name)
    for parameter, source in preset.parameter_sources.items():
        assert re.search(rf"^\| `{parameter}` \| [^|]+ \| [^|]*\| {re.escape(source)} \|$", text, flags=re.MULTILINE)
    for source in preset.sources:
        assert source["title"] in text


def test_index_is_current():
    assert (preset_pages.FOLDER / "README.md").read_text(encoding="utf-8") == preset_pages.index()
