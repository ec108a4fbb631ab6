# SPDX-License-Identifier: Apache-2.0
"""The icons, drawn on a grid of 24: an icon font is not there in a notebook, a drawing is."""

from __future__ import annotations

_STROKES = {
    "casino": '<rect x="4" y="4" width="16" height="16" rx="3"/>'
    '<path d="M8.5 8.5h0M15.5 8.5h0M12 12h0M8.5 15.5h0M15.5 15.5h0"/>',
    "check": '<path d="M5 12.5l4.5 4.5L19 7"/>',
    "close": '<path d="M6.5 6.5l11 11M17.5 6.5l-11 11"/>',
    "content_copy": '<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 0 1 2-2h9"/>',
    "delete": '<path d="M5 7h14M10 4h4M7 7l1 13h8l1-13"/>',
    "input": '<path d="M4 12h11M11 8l4 4-4 4M13 4h5a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-5"/>',
    "push_pin": '<path d="M9 4h6l-1 6 4 4H6l4-4zM12 14v6"/>',
    "play_arrow": '<path d="M8 5.5v13l10-6.5z" fill="#000"/>',
    "redo": '<path d="M16 5l5 5-5 5M21 10H10a6 6 0 0 0-6 6v3"/>',
    "restart_alt": '<path d="M6.2 6.5A8 8 0 1 1 4 12M6 2.5v4.3h4.3"/>',
    "show_chart": '<path d="M4 4v16h16M7.5 15l4-5 3 3 4.5-7"/>',
    "stop": '<rect x="7" y="7" width="10" height="10" rx="1" fill="#000"/>',
    "warning": '<path d="M12 4L2.5 20h19zM12 10v4.5M12 17.5h0"/>',
    "undo": '<path d="M8 5l-5 5 5 5M3 10h11a6 6 0 0 1 6 6v3"/>',
}


def svg(name: str) -> str:
    """Return the drawing of an icon; its colour is that of the text it stands in."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#000" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round">{_STROKES[name]}</svg>'
    )
