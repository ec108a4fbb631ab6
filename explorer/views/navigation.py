# SPDX-License-Identifier: Apache-2.0
"""Links from one app to the others, for the header of a page."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import panel as pn

from explorer.views import theme


def links(apps: Iterable[str], current: str) -> list[pn.pane.HTML]:
    """Return what goes into a page's header: a link to each app, none where there is only one.

    Examples
    --------
    >>> links(["tile_lab"], "tile_lab")
    []
    >>> 'href="tile_lab"' in links(["device_lab", "tile_lab"], "device_lab")[0].object
    True
    """
    names = list(apps)
    if len(names) < 2:
        return []
    parts = [
        f'<span aria-current="page">{_title(name)}</span>' if name == current
        else f'<a href="{escape(name, quote=True)}">{_title(name)}</a>'
        for name in names
    ]  # fmt: skip
    return [theme.html(f'<nav class="apps" aria-label="Apps">{"".join(parts)}</nav>', sizing_mode="fixed",
                       width=130 * len(names), height=24, align="center", margin=(0, 16))]  # fmt: skip


def _title(name: str) -> str:
    return escape(name.replace("_", " ").capitalize())
