# SPDX-License-Identifier: Apache-2.0
"""Take the device elsewhere and back: a link, a TOML file, a Python snippet."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable, Viewer

from engine import presets
from engine.errors import OhmscapeError
from explorer.labs import link
from explorer.labs.state import DeviceState
from explorer.views import theme
from explorer.views.live import Later
from explorer.views.takeaway import SETTLE_MS, STATE_ARGUMENT, LinkToState, Takeaway
from explorer.views.upload import Upload

LIMIT_MB = 1
"""Largest TOML file taken; a device with every parameter and its sources takes about 5 kB."""

_WATCHED = ["revision", "pinned", "seed", "n_devices", "n_pulses"]
_TOO_LONG = (
    f"The tables on show do not fit into a link of {link.MAX_CHARACTERS} characters. Save the device as TOML instead."
)


class SharePanel(Viewer):
    """Link, TOML and Python snippet of the device on show, and a way back in.

    The page's address follows the state, so that a reload or a bookmark brings it back.
    """

    def __init__(self, state: DeviceState):
        super().__init__()
        self.state = state
        self._address = LinkToState(state, "device_lab", _TOO_LONG)
        self.link, self.too_long, self.entry = self._address.link, self._address.too_long, self._address.entry
        self.toml, self.snippet = Takeaway("TOML", "device.toml"), Takeaway("code", "device.py")
        self.pasted = theme.text_area("TOML or link", placeholder="Paste a device file or a link here")
        self.load = theme.button("Load", icon="input", primary=True)
        self.load.on_click(lambda _: self.take(self.pasted.value))
        self.upload = Upload(self._take_file, self._say, limit_mb=LIMIT_MB)
        self.said = theme.error_box(visible=False)
        self.loaded = theme.info_box("The device is on show.", visible=False)
        # Invisible, but the page must have drawn them: they belong outside tabs, which draw only what is chosen.
        self.carriers = [*self._address.carriers, self.toml.held, self.snippet.held]
        self.view = self._layout()
        self._show()
        state.param.watch(Later(self._show, SETTLE_MS, rested=True).changed, _WATCHED)

    def __panel__(self) -> Viewable:
        return pn.Column(self.view, *self.carriers, sizing_mode="stretch_width", margin=0)

    def take(self, text: str) -> bool:
        """Show the device of a TOML file, or the state of a link; return whether there was one."""
        problem = self._restored(text) if _is_link(text) else self._imported(text, "device")
        self._say(problem)
        return not problem

    def _layout(self) -> Viewable:
        way_in = pn.Column(
            self.upload, theme.caption(f"A TOML file of at most {LIMIT_MB} MB, or paste it below.", margin=(6, 0)),
            self.pasted, theme.row(self.load, margin=(8, 0)), self.said, self.loaded,
            sizing_mode="stretch_width", margin=(8, 0, 0, 0),
        )  # fmt: skip
        texts = {"Link": self.link, "TOML": self.toml, "Python": self.snippet}
        views = {name: text.view for name, text in texts.items()}
        views["Link"] = self._address.view
        sections = theme.tabs(*views.items(), ("Import", way_in))
        subtitle = "A link that restores everything on show, files for elsewhere."
        return theme.card("Share", sections, subtitle=subtitle)

    def _show(self) -> None:
        state = self.state
        self._address.show()
        self.toml.text = presets.dumps(state.device, title=title(state), note=_note(state))
        self.snippet.text = state.device.to_snippet()

    def _take_file(self, name: str, content: bytes) -> None:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            self._say(f"file = {name!r}: is not text (allowed: a TOML file in UTF-8). Choose the file you exported.")
            return
        self._say(self._imported(text, name.removesuffix(".toml")))

    def _imported(self, text: str, name: str) -> str:
        try:
            device = presets.loads(text, name).device
        except OhmscapeError as error:
            return str(error)
        except (TypeError, AttributeError, ValueError):  # valid TOML of another shape
            return f"{name}.toml: is no device file (allowed: what TOML exports). Compare it with an exported device."
        self.state.load_device(device)
        return ""

    def _restored(self, text: str) -> str:
        return link.restore(self.state, text.strip().partition(f"{STATE_ARGUMENT}=")[2].partition("&")[0])

    def _say(self, problem: str) -> None:
        theme.say_error(self.said, problem)
        self.loaded.visible = not problem


def title(state: DeviceState) -> str:
    """Return a title for the device on show: the preset's, or the class's."""
    known = presets.info(state.preset).title if state.preset in presets.names() else state.device.title
    return f"{known} (edited)" if state.edited and state.preset else known


def _note(state: DeviceState) -> str:
    if not state.preset:
        return ""
    changed = ", ".join(state.edited_fields())
    return f"Preset {state.preset}, changed: {changed}." if changed else f"Preset {state.preset}."


def _is_link(text: str) -> bool:
    return f"{STATE_ARGUMENT}=" in text and "\n" not in text.strip()
