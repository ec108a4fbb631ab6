# SPDX-License-Identifier: Apache-2.0
"""The fit studio: measured conductance in, a device with error bars out; the same in a page and in a notebook cell."""

from __future__ import annotations

from collections.abc import Iterable

import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.views import theme
from explorer.views.cell import Gate, cell, in_notebook, prepare_notebook
from explorer.views.job_words import Runner
from explorer.views.navigation import links
from explorer.views.studio_fit import StudioFit
from explorer.views.studio_input import StudioInput
from explorer.views.studio_use import StudioUse

TITLE = "Ohmscape fit studio"
_NOTEBOOK_SIDE_PX = 330


class FitStudio(Viewer):
    """From a file of readings to a device: read, map, fit, look, use.

    Parameters
    ----------
    runner : Runner, optional
        Where fits and trainings run; the runner of this process by default.

    Examples
    --------
    >>> studio = FitStudio()
    >>> studio.data.take("mine.csv", b"up,down\\n0.1,0.9\\n0.3,0.7\\n0.5,0.5\\n0.6,0.3\\n")
    >>> studio.data.normalised.measured.summary().n_up_pulses
    4
    """

    def __init__(self, runner: Runner | None = None):
        super().__init__()
        prepare_notebook()
        self.data, self.fits, self.use = StudioInput(), StudioFit(runner), StudioUse(runner)
        self.data.param.watch(lambda event: self.fits.take(event.new), "normalised")
        self.fits.param.watch(self._found, "fit")
        self.fits.param.watch(lambda event: self.data.show(event.new), "restored")
        self._gate = Gate(self.data)

    def __panel__(self) -> Viewable:
        return cell(self._body(), self._gate) if in_notebook() else theme.root(self._body())

    def _body(self) -> Viewable:
        side = pn.Column(*self.data.side, width=_NOTEBOOK_SIDE_PX, margin=(0, theme.GAP, 0, 0))
        return pn.Row(side, self._main(), sizing_mode="stretch_width")

    def page(self, apps: Iterable[str] = ()) -> Viewable:
        """Return the served page; follows again the jobs that its address names.

        Parameters
        ----------
        apps : iterable of str
            Names of the apps that the header links to.
        """
        side = pn.Column(*self.data.side, sizing_mode="stretch_width", margin=(12, theme.GAP))
        made = theme.page(TITLE, sidebar=[side], main=[self._main()], header=links(apps, "fit_studio"))
        self.fits.come_back()
        self.use.come_back()
        return made

    def _main(self) -> pn.Column:
        layout = {"sizing_mode": "stretch_width", "styles": {"gap": f"{theme.GAP}px"}, "margin": 0}
        return pn.Column(self.data.main, self.fits.view, self.use.view, **layout)

    def _found(self, event) -> None:
        self.use.take(event.new, self.fits.dataset, self.data.normalised or self.fits.restored)
