# SPDX-License-Identifier: Apache-2.0
"""Choose a preset or a device class, and read what it is and what it leaves out."""

from __future__ import annotations

from html import escape

import panel as pn
from panel.viewable import Viewable, Viewer

from engine import devices, presets
from explorer.labs.state import DeviceState
from explorer.views import theme


class DevicePicker(Viewer):
    """A list of presets and device classes, with note, sources and omissions of the one on show."""

    def __init__(self, state: DeviceState):
        super().__init__()
        self._state = state
        self._showing = False
        self._shown: tuple[str, str] | None = None  # preset and class
        self.select = theme.select("Device", groups=_groups(), value=_entry(state))
        self.about = theme.html()
        self._view = pn.Column(self.select, self.about, sizing_mode="stretch_width", margin=0)
        self._sync()
        self.select.param.watch(self._chosen, "value")
        state.param.watch(self._sync, ["preset", "device"])

    def __panel__(self) -> Viewable:
        return self._view

    def _chosen(self, event) -> None:
        if self._showing:
            return
        kind, name = event.new.split(":")
        if kind == "preset":
            self._state.load_preset(name)
        elif kind == "class":
            self._state.load_class(name)

    def _sync(self, *events) -> None:
        now = (self._state.preset, self._state.device.stem())
        if now == self._shown:  # a parameter has moved: neither entry nor text changes
            return
        self._shown = now
        self._showing = True
        try:
            self.select.value = _entry(self._state)
        finally:
            self._showing = False
        self.about.object = _preset_markup(now[0]) if now[0] in presets.names() else _class_markup(self._state)


def _entry(state: DeviceState) -> str:
    return f"preset:{state.preset}" if state.preset in presets.names() else f"class:{state.device.stem()}"


def _groups() -> dict[str, dict[str, str]]:
    return {
        "Presets": {presets.info(name).title: f"preset:{name}" for name in presets.names()},
        "Device classes": {devices.get(stem).title or stem: f"class:{stem}" for stem in devices.names()},
    }


def _preset_markup(name: str) -> str:
    preset = presets.info(name)
    sources = "".join(
        f"<li>{escape(s['title'])}. <em>{escape(s['venue'])}</em>, {escape(str(s['year']))}.</li>"
        for s in preset.sources
    )
    missing = "".join(f"<li>{escape(effect)}</li>" for effect in preset.not_modelled)
    parts = [_class_line(preset.device), f"<p>{escape(preset.note)}</p>" if preset.note else ""]
    parts.append(f"<p class='head'>Source</p><ul>{sources}</ul>" if sources else "")
    parts.append(f"<p class='head warn'>Not modelled</p><ul>{missing}</ul>" if missing else "")
    return f"<div class='about'>{''.join(parts)}</div>"


def _class_markup(state: DeviceState) -> str:
    hint = "Not a published device: the values are the class's defaults or your own."
    return f"<div class='about'>{_class_line(state.device)}<p>{hint}</p></div>"


def _class_line(device) -> str:
    return f"<p><strong>{escape(device.title)}</strong> <code>{escape(device.formula)}</code></p>"
