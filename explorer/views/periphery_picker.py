# SPDX-License-Identifier: Apache-2.0
"""Choose a set of converters and noise, and read where it comes from."""

from __future__ import annotations

from html import escape

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.tiles import periphery_presets
from explorer.labs.tile_state import TileState
from explorer.views import theme


class PeripheryPicker(Viewer):
    """A list of periphery presets, with note and source of the one on show."""

    def __init__(self, state: TileState):
        super().__init__()
        self._state, self._showing = state, False
        options = {periphery_presets.info(name).title: name for name in periphery_presets.names()}
        self.select = theme.select("Periphery", options=options, value=state.preset)
        self.about = theme.html(_markup(state.preset))
        self._view = pn.Column(self.select, self.about, sizing_mode="stretch_width", margin=(0, 0, 8, 0))
        self.select.param.watch(self._chosen, "value")
        state.param.watch(self._sync, "preset")

    def __panel__(self) -> Viewable:
        return self._view

    def _chosen(self, event) -> None:
        if not self._showing:
            self._state.load_preset(event.new)

    def _sync(self, *events) -> None:
        self._showing = True
        try:
            self.select.value = self._state.preset
        finally:
            self._showing = False
        self.about.object = _markup(self._state.preset)


def _markup(name: str) -> str:
    known = periphery_presets.info(name)
    return f"<div class='about'><p>{escape(known.note)}</p><p class='sub'>Source: {escape(known.source)}</p></div>"
