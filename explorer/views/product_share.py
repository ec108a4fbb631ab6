# SPDX-License-Identifier: Apache-2.0
"""Take the product elsewhere: a link, the numbers as CSV, a Python snippet that makes them again."""

from __future__ import annotations

import io

import numpy as np
import panel as pn
from panel.viewable import Viewable, Viewer

from explorer.experiments.mvm_error import MvmError
from explorer.labs import link
from explorer.labs.tile_state import TileState
from explorer.views import theme
from explorer.views.live import Later
from explorer.views.takeaway import SETTLE_MS, LinkToState, Takeaway

_TOO_LONG = f"Your matrix does not fit into a link of {link.MAX_CHARACTERS} characters. Save the code instead."
_COLUMNS = ("ideal", "analog", "error", "adc_code")


class ProductShare(Viewer):
    """Link, CSV and Python code of the product on show; the page's address follows the state."""

    def __init__(self, state: TileState):
        super().__init__()
        self._state = state
        self._address = LinkToState(state, "tile_lab", _TOO_LONG)
        self.link, self.too_long, self.entry = self._address.link, self._address.too_long, self._address.entry
        self.snippet = Takeaway("code", "product.py")
        self.csv = theme.download("Save outputs as CSV", "product.csv", lambda: io.BytesIO(csv(state.experiment)))
        self.carriers = [*self._address.carriers, self.snippet.held]
        self.view = self._layout()
        self._show()
        settled = Later(self._show, SETTLE_MS, rested=True)
        for one in (state, *state.parts.values()):
            one.param.watch(settled.changed, "revision")

    def __panel__(self) -> Viewable:
        return pn.Column(self.view, *self.carriers, sizing_mode="stretch_width", margin=0)

    def _layout(self) -> Viewable:
        table = pn.Column(
            theme.caption("One line for each output of each vector, units in the first line."),
            theme.row(self.csv, margin=(8, 0)), sizing_mode="stretch_width", margin=(8, 0, 0, 0),
        )  # fmt: skip
        sections = theme.tabs(("Link", self._address.view), ("Python", self.snippet.view), ("CSV", table))
        subtitle = "A link that restores what is on show, code and CSV of its numbers. Each plot has a tool for PNG."
        return theme.card("Share", sections, subtitle=subtitle)

    def _show(self) -> None:
        self._address.show()
        self.snippet.text = snippet(self._state.experiment)


def csv(experiment: MvmError) -> bytes:
    """Return the outputs as CSV: vector, output, exact, analog, error, code."""
    ds = experiment.run()
    vectors, outputs = np.indices((ds.sizes["vector"], ds.sizes["out"])).reshape(2, -1)
    columns = [vectors, outputs, *(ds[name].values.ravel() for name in _COLUMNS)]
    head = ",".join(["vector", "output", *(theme.axis_label(name, ds[name].attrs["units"]) for name in _COLUMNS)])
    rows = io.BytesIO()
    np.savetxt(rows, np.column_stack(columns), fmt=["%d", "%d", *["%.9g"] * len(_COLUMNS)], delimiter=",")
    return head.encode() + b"\n" + rows.getvalue()


def snippet(experiment: MvmError) -> str:
    """Return a script that makes the experiment's numbers again."""
    plain = MvmError()
    names = [n for n in MvmError.fields() if getattr(experiment, n) != getattr(plain, n)]
    whole = {n: MvmError.describe(n)["integer"] for n in names}  # a box gives 64.0
    lines = [f"    {n}={int(getattr(experiment, n)) if whole[n] else getattr(experiment, n)!r}," for n in names]
    if experiment.weights == "matrix":
        lines.append(f"    matrix={experiment.matrix!r},")
    periphery = {n: v for n, v in experiment.forward.values().items() if v != getattr(plain.forward, n)}
    lines.append(f"    forward=IOParameters({', '.join(f'{n}={v!r}' for n, v in periphery.items())}),")
    imports = ["from engine.tiles import IOParameters", "from explorer.experiments.mvm_error import MvmError"]
    if experiment.device != plain.device:
        told = experiment.device.to_dict()
        imports.insert(0, "from engine.devices import Device")
        lines.append(f"    device=Device.from_dict({told!r}),")
    made = ["ds = MvmError(", *lines, ").run()"]
    told = ['print(f"measured {ds.snr:.1f} dB, predicted {ds.snr_predicted:.1f} dB")']
    return "\n".join([*imports, "", *made, *told, ""])
