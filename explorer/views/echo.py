# SPDX-License-Identifier: Apache-2.0
"""Tell what a user chose in a widget from what the page sends back of our own writing.

Panel's React components write a value that came from the server into their model once more, after they have drawn it.
When a newer value has come in between, the older one travels back as if the user had chosen it: a slider moved fast
would end at a position that it passed.
"""

from __future__ import annotations

import time
from typing import Any

from panel.widgets import Widget

LIFE_S = 3.0
"""How long an older value may come back. Nobody passes a value, goes on, and types the same digits in less."""


class Written:
    """What the server has written to one widget's ``value``, and when."""

    def __init__(self, widget: Widget):
        self._widget = widget
        self._written: list[tuple[float, Any]] = []

    def write(self, value: Any) -> None:
        """Set the widget's value."""
        if value != self._widget.value:
            now = time.monotonic()
            self._written = [(at, old) for at, old in self._written if now - at < LIFE_S] + [(now, value)]
            self._widget.value = value

    def came_back(self, value: Any) -> bool:
        """Whether ``value`` comes from the page as an echo of one that has been replaced since."""
        now = time.monotonic()
        return any(old == value and now - at < LIFE_S for at, old in self._written[:-1])
