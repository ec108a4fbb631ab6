# SPDX-License-Identifier: Apache-2.0
"""What the page keeps in its address, so that a reload or a link brings it back."""

from __future__ import annotations

import panel as pn

from explorer.views.live import served

# Panel's own Location adds a step to the browser's history at every change, and reads "12e3" as a number.
_REPLACE = """
const address = new URL(window.location.href)
if (source.value) { address.searchParams.set(name, source.value) } else { address.searchParams.delete(name) }
window.history.replaceState(window.history.state, '', address)
"""


def argument(name: str) -> str:
    """Return an argument of the address the page was opened with, as it was typed; empty where there is none."""
    found = pn.state.session_args.get(name) or [b""]
    return found[0].decode("utf-8", errors="replace")


def base() -> str:
    """Return the address of the page without its arguments; empty in a notebook."""
    location = pn.state.location
    return location.href.partition("?")[0].partition("#")[0] if location is not None else ""


class QueryEntry:
    """One argument of the page's address.

    Parameters
    ----------
    name : str
        Name in the query string.

    Attributes
    ----------
    carrier : panel.widgets.TextInput
        Invisible; must stand somewhere in the page, since it carries the value there.
    """

    def __init__(self, name: str):
        self.carrier = pn.widgets.TextInput(value="", visible=False)
        self.carrier.jscallback(args={"name": name}, value=_REPLACE)

    def put(self, value: str) -> None:
        """Set the argument, or remove it where ``value`` is empty; does nothing in a notebook."""
        if served():
            self.carrier.value = value
