# SPDX-License-Identifier: Apache-2.0
"""What a page gives away: texts to copy or save, and a link that its address follows."""

from __future__ import annotations

import io
from html import escape

import panel as pn
from panel.viewable import Viewable

from explorer.labs import link
from explorer.labs.history import EditedModel
from explorer.views import address, theme

STATE_ARGUMENT = "state"

SETTLE_MS = 400
"""The address follows a drag once it rests, not at every step of it."""

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


def restore(state: EditedModel, text: str | None = None) -> str:
    """Bring the state back from the page's address (or from ``text``); return a problem in one line, or nothing."""
    return link.restore(state, address.argument(STATE_ARGUMENT) if text is None else text)


class Takeaway:
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


class LinkToState:
    """The link of a state, and the page's address, which follows it: a reload or a bookmark brings the state back.

    Parameters
    ----------
    state : EditedModel
    page : str
        Name of the page, for a notebook, which has no address of ours.
    too_long : str
        What to do where the state does not fit into a link.
    """

    def __init__(self, state: EditedModel, page: str, too_long: str):
        self._state, self._page, self._advice = state, page, too_long
        self.link = Takeaway("link")
        self.too_long = theme.warning_box(visible=False, margin=(8, 0))
        self.entry = address.QueryEntry(STATE_ARGUMENT)
        self.carriers = [self.link.held, self.entry.carrier]
        self.view: Viewable = pn.Column(self.too_long, self.link.view, sizing_mode="stretch_width", margin=0)

    def show(self) -> None:
        """Show the link of the state as it is."""
        text = link.encode(self._state)
        fits = len(text) <= link.MAX_CHARACTERS
        self.link.view.visible = fits
        theme.say_warning(self.too_long, "" if fits else self._advice, "No link.")
        if fits:
            self.link.text = f"{address.base() or self._page}?{STATE_ARGUMENT}={text}"
        self.entry.put(text if fits else "")
