# SPDX-License-Identifier: Apache-2.0
"""The fit studio: measured conductance in, a device with error bars out; the same in a page and in a notebook cell."""

from __future__ import annotations

from collections.abc import Iterable

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from explorer.labs.lab import Lab
from explorer.views import address, theme
from explorer.views.job_words import Runner
from explorer.views.retention_fit import RetentionFitView
from explorer.views.retention_input import RetentionInput
from explorer.views.retention_use import RetentionUse
from explorer.views.studio_fit import StudioFit
from explorer.views.studio_input import StudioInput
from explorer.views.studio_use import StudioUse

_PULSES, _RETENTION = 0, 1


class FitStudio(Lab):
    """From a file of readings to a device: read, map, fit, look, use; and from readings over time to a noise model.

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
        self.retention, self.laws, self.noise = RetentionInput(), RetentionFitView(runner), RetentionUse()
        self.data.param.watch(lambda event: self.fits.take(event.new), "normalised")
        self.fits.param.watch(self._found, "fit")
        self.fits.param.watch(lambda event: self.data.show(event.new), "restored")
        self.retention.param.watch(lambda event: self.laws.take(event.new), "data")
        self.laws.param.watch(lambda event: self.noise.take(self.laws.report, event.new, self.laws.dataset), "law")
        self.laws.param.watch(lambda event: self.retention.show(event.new), "restored")
        named = [address.argument(fits.ARGUMENT) for fits in (StudioFit, RetentionFitView)]
        self._active = _RETENTION if named[_RETENTION] and not named[_PULSES] else _PULSES

    def page(self, problem: str = "", apps: Iterable[str] = ()) -> Viewable:
        """Return the served page, as of every lab; follows again the jobs that its address names."""
        made = super().page(problem, apps)
        self.fits.come_back()
        self.use.come_back()
        self.laws.come_back()
        return made

    def _gated(self) -> param.Parameterized:
        return self.data

    def _side(self) -> list[Viewable | Viewer]:
        self._sides = [
            pn.Column(*side, sizing_mode="stretch_width", margin=0, visible=k == self._active)
            for k, side in enumerate((self.data.side, self.retention.side))
        ]
        return list(self._sides)

    def _main(self) -> list[Viewable | Viewer]:
        pages = ([self.data.main, self.fits.view, self.use.view],
                 [self.retention.main, self.laws.view, self.noise.view])  # fmt: skip
        pulses, retention = (
            pn.Column(*page, sizing_mode="stretch_width", margin=(10, 0, 0, 0), styles={"gap": f"{theme.GAP}px"})
            for page in pages
        )
        tabs = theme.tabs(
            ("Pulse responses", pulses), ("Retention", retention), active=self._active,
            dynamic=False,  # Bokeh fails on a plot that is taken out of the page while it waits to be painted
        )  # fmt: skip
        tabs.param.watch(self._turned, "active")
        return [tabs]

    def _turned(self, event: param.parameterized.Event) -> None:
        """Show the sidebar that belongs to the tab."""
        self._active = event.new
        for k, side in enumerate(self._sides):
            side.visible = k == event.new

    def _found(self, event) -> None:
        self.use.take(event.new, self.fits.dataset, self.data.normalised or self.fits.restored)
