# SPDX-License-Identifier: Apache-2.0
"""A view in a notebook cell: what a page of our own has by itself and a notebook has not."""

from __future__ import annotations

import os
from contextlib import ExitStack

import panel as pn
import param
from panel.reactive import ReactiveHTML
from panel.viewable import Viewable

from explorer.views import theme


class Listening(ReactiveHTML):
    """Nothing to see; tells the kernel that the page has been built."""

    heard = param.Boolean(False, doc="Set by the page.")

    _template = '<span id="listening"></span>'
    _scripts = {"render": "data.heard = true"}


class Gate:
    """Holds back what a model tells its watchers until the page can hear.

    A change sent before is lost, as in "Run All Cells" with a cell below that changes what is shown, and what it
    carried is missing to all later ones. Once open the gate stays open: one cell must not silence another.

    Parameters
    ----------
    model : param.Parameterized
    """

    def __init__(self, model: param.Parameterized):
        self._model, self._held, self._opened = model, ExitStack(), False

    def close(self) -> None:
        """Hold back from now on, unless the gate has ever been open."""
        if not self._opened:
            self._held.close()
            self._held.enter_context(param.parameterized.batch_call_watchers(self._model))

    def open(self) -> None:
        """Tell what was held back, and from now on everything at once."""
        self._opened = True
        self._held.close()


def cell(body: Viewable, gate: Gate) -> Viewable:
    """Return ``body`` as a cell shows it; ``gate`` opens when the page can hear the kernel."""
    listening = Listening(width=0, height=0, margin=0)
    shown = theme.root(body, listening)

    def heard(event: param.parameterized.Event) -> None:
        _keep_inside(shown)
        gate.open()

    listening.param.watch(heard, "heard")
    gate.close()
    return shown


def prepare_notebook() -> None:
    """Load Panel's scripts into a notebook unless the user has; inline, so that it works without a network."""
    if in_notebook() and not pn.extension._loaded:
        pn.extension(inline=True)


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    try:
        from IPython import get_ipython
    except ImportError:  # it comes with JupyterLab
        return False
    return hasattr(get_ipython(), "kernel")


def _keep_inside(shown: Viewable) -> None:
    """Let later updates take their style sheets from the notebook's own server.

    Panel inlines those of the first picture only; every later change of a pane would ask Panel's public server.
    """
    prefix = os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "").rstrip("/")
    for ref in shown._models:
        if ref in pn.state._views:
            doc = pn.state._views[ref][2]
            doc._template_variables["dist_url"] = f"{prefix}/panel-preview/static/extensions/panel/"
