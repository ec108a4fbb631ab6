# SPDX-License-Identifier: Apache-2.0
"""What all labs share: a sidebar beside a main area, the same in a page and in a notebook cell."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from explorer import serving
from explorer.labs.history import EditedModel
from explorer.views import theme
from explorer.views.cell import Gate, cell, in_notebook, prepare_notebook
from explorer.views.navigation import links
from explorer.views.takeaway import restore

_NOTEBOOK_SIDE_PX = 330


class Lab(Viewer):
    """Base of every lab: a subclass in ``explorer/labs/<app>.py`` and a page of two lines in ``apps/<app>.py``.

    The class is called as the module, in camel case, and is then an attribute of the package ``explorer``. Subclasses
    set ``state_class``, give ``self.state`` in ``__init__``, and write `_side` and `_main`.
    """

    state_class: ClassVar[type[EditedModel] | None] = None
    """What a page's address carries; None where it carries no state."""

    state: Any

    def __init__(self) -> None:
        super().__init__()
        prepare_notebook()

    def __panel__(self) -> Viewable:
        return cell(self._body(), self._gate) if in_notebook() else theme.root(self._body())

    @classmethod
    def app(cls) -> str:
        """Return the name of the app that shows it, which is that of its module."""
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def title(cls) -> str:
        """Return the title of its page."""
        return f"Ohmscape {cls.app().replace('_', ' ')}"

    @classmethod
    def serve(cls) -> None:
        """Make the page that is being served, with the state that its address carries."""
        if cls.state_class is None:
            made = cls().page(apps=serving.apps())
        else:
            state = cls.state_class()
            problem = restore(state)  # a link or a reload carries the whole state
            made = cls(state=state).page(problem=problem, apps=serving.apps())  # type: ignore[call-arg]
        made.servable(title=cls.title())

    def page(self, problem: str = "", apps: Iterable[str] = ()) -> Viewable:
        """Return the served page: header, sidebar with the parameters, main area with the plots.

        Parameters
        ----------
        problem : str
            What went wrong on the way here, such as a link that cannot be read; shown above the plots.
        apps : iterable of str
            Names of the apps that the header links to.
        """
        side = pn.Column(*self._side(), sizing_mode="stretch_width", margin=(12, theme.GAP))
        main = self._column()
        if problem:
            main.insert(0, theme.error_box(problem, "The link could not be restored."))
        return theme.page(self.title(), sidebar=[side], main=[main], header=links(apps, self.app()))

    @functools.cached_property
    def _gate(self) -> Gate:
        return Gate(self._gated())

    def _gated(self) -> param.Parameterized:
        """Return what is held back until a notebook's page can hear."""
        return self.state

    def _body(self) -> Viewable:
        side = pn.Column(*self._side(), width=_NOTEBOOK_SIDE_PX, margin=(0, theme.GAP, 0, 0))
        return pn.Row(side, self._column(), sizing_mode="stretch_width")

    def _column(self) -> pn.Column:
        return pn.Column(*self._main(), sizing_mode="stretch_width", styles={"gap": f"{theme.GAP}px"}, margin=0)

    def _side(self) -> Sequence[Viewable | Viewer]:
        """Return what stands in the sidebar, made anew."""
        raise NotImplementedError(f"{type(self).__name__}._side: a lab must define it.")

    def _main(self) -> Sequence[Viewable | Viewer]:
        """Return what stands in the main area, made anew."""
        raise NotImplementedError(f"{type(self).__name__}._main: a lab must define it.")
