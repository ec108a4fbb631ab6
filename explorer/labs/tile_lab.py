# SPDX-License-Identifier: Apache-2.0
"""The tile lab: what a periphery does to a product, live; the same in a page and in a notebook cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn
import param
from panel.viewable import Viewable, Viewer

from explorer.labs.lab import Lab
from explorer.labs.tile_state import TileState
from explorer.views import theme
from explorer.views.bits_field import BitsField
from explorer.views.parameters import ParameterPanel
from explorer.views.periphery_picker import PeripheryPicker
from explorer.views.product import ProductView
from explorer.views.product_share import ProductShare
from explorer.views.tile_map import NetworkView
from explorer.views.wires import WireView

_ROWS = {"inp_res": BitsField, "out_res": BitsField}
_WIRES, _NETWORK = 1, 2
_OPEN = (0, 3, 4)  # tile, input, output


class TileLab(Lab):
    """Everything about one product on one page.

    Parameters
    ----------
    preset : str
        Name of the periphery to begin with (``engine.tiles.periphery_presets.names()``).
    state : TileState, optional
        Show this state instead of a new one.
    **values
        Parameters of `explorer.experiments.mvm_error.MvmError`, such as ``n_vectors``.

    Raises
    ------
    ParameterError
        If there is no such preset, or a value breaks its rule.

    Examples
    --------
    >>> lab = TileLab(preset="eight_bits", out_features=64, in_features=64)
    >>> lab.state.set(out_noise=0.1)
    True
    """

    state_class = TileState

    def __init__(self, preset: str = "default", state: TileState | None = None, **values: Any):
        super().__init__()
        self.state = TileState(preset, **values) if state is None else state

    def _side(self) -> list[Viewer]:
        return [PeripheryPicker(self.state), ParameterPanel(self.state, rows=_ROWS, open_groups=_OPEN)]

    def _main(self) -> list[Viewable | Viewer]:
        share = ProductShare(self.state)
        later = {
            _WIRES: _Later(lambda: WireView(self.state.parts["wires"])),
            _NETWORK: _Later(lambda: NetworkView(self.state)),
        }
        sections = theme.tabs(
            ("Product", ProductView(self.state)),
            ("Wires", later[_WIRES].view),
            ("Network", later[_NETWORK].view),
            ("Share", share.view),
            dynamic=False,  # Bokeh fails on a plot that is taken out of the page while it waits to be painted
        )

        def turned(event: param.parameterized.Event) -> None:
            if event.new in later:
                later[event.new].fill()
            if isinstance(later[_NETWORK].content, NetworkView):
                later[_NETWORK].content.show(event.new == _NETWORK)

        sections.param.watch(turned, "active")
        return [sections, *share.carriers]


class _Later:
    """The contents of a tab, made when it is first opened: a page need not wait for what nobody may look at."""

    def __init__(self, make: Callable[[], Viewer]):
        self._make = make
        self.content: Viewer | None = None
        self.view = pn.Column(sizing_mode="stretch_width", margin=0)

    def fill(self) -> None:
        """Make the contents, once."""
        if self.content is None:
            self.content = self._make()
            self.view.append(self.content)
