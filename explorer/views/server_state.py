# SPDX-License-Identifier: Apache-2.0
"""Chips and buttons whose words, colour and use are the server's alone."""

from __future__ import annotations

from typing import Any

from panel.viewable import Viewable

_OURS = ("label", "color", "disabled")


def keeps_state(cls: type[Viewable]) -> type[Viewable]:
    """Return a class whose state is the server's: an older one that the page sends back is answered with the newer.

    Panel's React components write a value that came from the server into their model once more, after they have drawn
    it. Where a newer one has come in between, the page would stay at the older: a label at "Stale" although the curve
    is not, a button disabled for good by a job that failed at once.
    """

    class Kept(cls):
        def _process_events(self, events: dict[str, Any]) -> None:
            back = [name for name in _OURS if name in events and events[name] != getattr(self, name)]
            super()._process_events({name: value for name, value in events.items() if name not in _OURS})
            if back:
                self.param.trigger(*back)

    Kept.__name__ = Kept.__qualname__ = cls.__name__
    return Kept

