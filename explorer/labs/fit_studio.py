# SPDX-License-Identifier: Apache-2.0
"""The fit studio: measured conductance in, a device with error bars out; the same in a page and in a notebook cell."""

from __future__ import annotations

from collections.abc import Iterable

import param
from panel.viewable import Viewable, Viewer

from explorer.labs.lab import Lab
from explorer.views.job_words import Runner
from explorer.views.studio_fit import StudioFit
from explorer.views.studio_input import StudioInput
from explorer.views.studio_use import StudioUse


class FitStudio(Lab):
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
        self.data, self.fits, self.use = StudioInput(), StudioFit(runner), StudioUse(runner)
        self.data.param.watch(lambda event: self.fits.take(event.new), "normalised")
        self.fits.param.watch(self._found, "fit")
        self.fits.param.watch(lambda event: self.data.show(event.new), "restored")

    def page(self, problem: str = "", apps: Iterable[str] = ()) -> Viewable:
        """Return the served page, as of every lab; follows again the jobs that its address names."""
        made = super().page(problem, apps)
        self.fits.come_back()
        self.use.come_back()
        return made

    def _gated(self) -> param.Parameterized:
        return self.data

    def _side(self) -> list[Viewable | Viewer]:
        return list(self.data.side)

    def _main(self) -> list[Viewable | Viewer]:
        return [self.data.main, self.fits.view, self.use.view]

    def _found(self, event) -> None:
        self.use.take(event.new, self.fits.dataset, self.data.normalised or self.fits.restored)
