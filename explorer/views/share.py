# SPDX-License-Identifier: Apache-2.0
"""Take the device elsewhere and back: a link, a TOML file, a Python snippet."""

from __future__ import annotations

import io
from html import escape

import panel as pn
from panel.viewable import Viewable, Viewer

from engine import presets
from engine.errors import OhmscapeError
from explorer.labs import link
from explorer.labs.state import DeviceState
from explorer.views import address, theme
from explorer.views.live import served
from explorer.views.upload import Upload

STATE_ARGUMENT = "state"
LIMIT_MB = 1
"""Largest TOML file taken; a device with every parameter and its sources takes about 5 kB."""

_WATCHED = ["revision", "pinned", "seed", "n_devices", "n_pulses"]
_TOO_LONG = (
    f"The tables on show do not fit into a link of {link.MAX_CHARACTERS} characters. Save the device as TOML instead."
)
_SETTLE_MS = 400  # the address follows a drag once it rests, not at every step of it

# The clipboard needs a secure page (https or this machine); elsewhere the old command still works.
_COPY = """
const fallback = () => {
  const area = document.createElement('textarea')
  area.value = text.value
  document.body.appendChild(area)
  area.select()
  document.execCommand('copy')
  area.remove()
}
const told = source.data ?? source
const before = told.label
const done = () => { told.label = 'Copied'; setTimeout(() => { told.label = before }, 1500) }
if (navigator.clipboard) { navigator.clipboard.writeText(text.value).then(done, () => { fallback(); done() }) }
else { fallback(); done() }
"""


def restore(state: DeviceState, text: str | None = None) -> str:
    """Bring the state back from the page's address (or from ``text``); return a problem in one line, or nothing."""
    return link.restore(state, address.argument(STATE_ARGUMENT) if text is None else text)


class _Text:
    """A text to look at, copy and save."""

    def __init__(self, label: str, filename: str = ""):
        self.shown = theme.html("")
        self.held = pn.widgets.TextInput(visible=False)  # among the panel's carriers, see there
        self.copy = theme.button(f"Copy {label}", icon="content_copy")
        self.copy.js_on_click(args={"text": self.held}, code=_COPY)
        buttons = [self.copy]
        if filename:
            buttons.append(theme.download("Save as file", filename, self._file))
        row = theme.row(*buttons, margin=(8, 0, 0, 0))
        self.view = pn.Column(self.shown, row, sizing_mode="stretch_width", margin=(8, 0, 0, 0))

    @property
    def text(self) -> str:
        """What is copied and saved."""
        return self.held.value

    @text.setter
    def text(self, text: str) -> None:
        self.held.value = text
        self.shown.object = f'<pre class="code">{escape(text)}</pre>'

    def _file(self) -> io.BytesIO:
        return io.BytesIO(self.text.encode())


class SharePanel(Viewer):
    """Link, TOML and Python snippet of the device on show, and a way back in.

    The page's address follows the state, so that a reload or a bookmark brings it back.
    """

    def __init__(self, state: DeviceState):
        super().__init__()
        self.state = state
        self.link, self.toml, self.snippet = _Text("link"), _Text("TOML", "device.toml"), _Text("code", "device.py")
        self.too_long = theme.warning_box(visible=False, margin=(8, 0))
        self.pasted = theme.text_area("TOML or link", placeholder="Paste a device file or a link here")
        self.load = theme.button("Load", icon="input", primary=True)
        self.load.on_click(lambda _: self.take(self.pasted.value))
        self.upload = Upload(self._take_file, self._say, limit_mb=LIMIT_MB)
        self.said = theme.error_box(visible=False)
        self.loaded = theme.info_box("The device is on show.", visible=False)
        self.entry = address.QueryEntry(STATE_ARGUMENT)
        self._settling: object | None = None
        # Invisible, but the page must have drawn them: they belong outside tabs, which draw only what is chosen.
        self.carriers = [self.link.held, self.toml.held, self.snippet.held, self.entry.carrier]
        self.view = self._layout()
        self._show()
        state.param.watch(self._changed, _WATCHED)

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
        views["Link"] = pn.Column(self.too_long, self.link.view, sizing_mode="stretch_width", margin=0)
        sections = theme.tabs(*views.items(), ("Import", way_in))
        subtitle = "A link that restores everything on show, files for elsewhere."
        return theme.card("Share", sections, subtitle=subtitle)

    def _changed(self, *events) -> None:
        """Follow the state once it rests."""
        doc = pn.state.curdoc
        if not served():
            self._show()
            return
        if self._settling is not None:
            doc.remove_timeout_callback(self._settling)
        self._settling = doc.add_timeout_callback(self._settled, _SETTLE_MS)

    def _settled(self) -> None:
        self._settling = None
        self._show()

    def _show(self) -> None:
        state = self.state
        text = link.encode(state)
        self._show_link(text)
        self.toml.text = presets.dumps(state.device, title=title(state), note=_note(state))
        self.snippet.text = state.device.to_snippet()

    def _show_link(self, text: str) -> None:
        fits = len(text) <= link.MAX_CHARACTERS
        self.link.view.visible = fits
        theme.say_warning(self.too_long, "" if fits else _TOO_LONG, "No link.")
        if fits:
            self.link.text = f"{address.base() or 'device_lab'}?{STATE_ARGUMENT}={text}"
        self.entry.put(text if fits else "")

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
