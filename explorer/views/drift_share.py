# SPDX-License-Identifier: Apache-2.0
"""Take the drift lab's picture elsewhere: a link, a Python script, CSV of the curves, PNG and SVG."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.quantity import Model
from explorer import figures, networks
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.scenario import Scenario
from explorer.labs import link
from explorer.labs.drift_state import DriftState
from explorer.views import theme
from explorer.views.drift_data import Curve
from explorer.views.live import Later
from explorer.views.takeaway import SETTLE_MS, LinkToState, Takeaway

_TOO_LONG = f"The scenarios do not fit into a link of {link.MAX_CHARACTERS} characters. Save the code instead."


class DriftShare(Viewer):
    """Link, script, CSV, PNG and SVG of what is on show; the page's address follows the state.

    Parameters
    ----------
    state : DriftState
    shown : callable
        Returns the curves on show.
    """

    def __init__(self, state: DriftState, shown: Callable[[], list[Curve]]):
        super().__init__()
        self._state, self._shown = state, shown
        self._address = LinkToState(state, "drift_lab", _TOO_LONG)
        self.link, self.entry = self._address.link, self._address.entry
        self.snippet = Takeaway("code", "drift.py")
        self.csv = theme.download("CSV", "drift.csv", lambda: io.BytesIO(csv(shown())))
        self.png = theme.download("PNG", "drift.png", lambda: io.BytesIO(figures.png(self.figure())))
        self.svg = theme.download("SVG", "drift.svg", lambda: io.BytesIO(figures.svg(self.figure())))
        self.carriers = [*self._address.carriers, self.snippet.held]
        self.view = self._layout()
        self._show()
        state.param.watch(Later(self._show, SETTLE_MS, rested=True).changed, ["revision", "time"])

    def __panel__(self) -> Viewable:
        return pn.Column(self.view, *self.carriers, sizing_mode="stretch_width", margin=0)

    def figure(self):
        """Return the picture as a printed figure."""
        task = networks.find(self._state.experiment.network)
        return figures.drift_accuracy(self._shown(), task.title, task.measure)

    def _layout(self) -> Viewable:
        files = pn.Column(
            theme.caption("The curves on show, estimates and full runs alike; the CSV tells which is which."),
            theme.row(self.csv, self.png, self.svg, margin=(8, 0)), sizing_mode="stretch_width", margin=(8, 0, 0, 0),
        )  # fmt: skip
        sections = theme.tabs(("Link", self._address.view), ("Python", self.snippet.view), ("Files", files))
        return theme.card("Share", sections, subtitle="A link that restores what is on show, a script, CSV, pictures.")

    def _show(self) -> None:
        self._address.show()
        self.snippet.text = snippet(self._state.experiment)


def csv(curves: list[Curve]) -> bytes:
    """Return the curves as CSV: a line for each scenario and time."""
    head = ("scenario,run,chips,time (s),mean (1),half width of 95 % interval (1),10 % of chips (1),"
            "90 % of chips (1),floating point (1)")  # fmt: skip
    lines = [head]
    for c in curves:
        kind = ("full" if c.full else "estimate") + (" stale" if c.stale else "")
        title = '"' + c.title.replace('"', '""') + '"'
        numbers = zip(c.times, c.mean, c.half_width, c.low, c.high, strict=True)
        lines += [f"{title},{kind},{c.chips},{','.join(f'{v:.9g}' for v in row)},{c.digital:.9g}" for row in numbers]
    return ("\n".join(lines) + "\n").encode()


def snippet(experiment: DriftAccuracy) -> str:
    """Return a script that makes the full run's numbers again."""
    plain = DriftAccuracy()
    own = [f"    {n}={_plain(n, getattr(experiment, n))},"
           for n in ("network", "n_chips", "n_read", "samples", "times", "seed")
           if getattr(experiment, n) != getattr(plain, n)]  # fmt: skip
    imports = {"from explorer.experiments.drift_accuracy import DriftAccuracy",
               "from explorer.experiments.scenario import Scenario"}  # fmt: skip
    scenarios = [f"        {_scenario(s, imports)}," for s in experiment.scenarios]
    lines = ["ds = DriftAccuracy(", *own, "    scenarios=[", *scenarios, "    ],", ").run()"]
    told = ["print((100 * ds.accuracy_mean).round(2).to_pandas())  # mean over chips, %"]
    return "\n".join([*sorted(imports), "", *lines, *told, ""])


def _plain(name: str, value: Any) -> str:
    whole = name in DriftAccuracy.fields() and DriftAccuracy.describe(name)["integer"]
    return repr(int(value) if whole else value)


def _scenario(scenario: Scenario, imports: set[str]) -> str:
    start, words = Scenario(), [f"title={scenario.title!r}"]
    words += [f"{n}={v!r}" for n, v in scenario.values().items() if v != Scenario.describe(n)["default"]]
    for name in ("noise", "converter", "compensation"):
        part = getattr(scenario, name)
        if part is not None and part.to_dict() != getattr(getattr(start, name), "to_dict", dict)():
            words.append(f"{name}={_part(part)}")
    for name, where in (("forward", "engine.tiles"), ("faults", "engine.tiles.faults")):
        held, plain = getattr(scenario, name), getattr(start, name)
        if held != plain:
            imports.add(f"from {where} import {type(held).__name__}")
            words.append(f"{name}={type(held).__name__}({_differences(held, type(held)())})")
    return f"Scenario({', '.join(words)})"


def _part(part: Any) -> str:
    changed = {n: v for n, v in part.values().items() if v != getattr(type(part)(), n)}
    return repr({"kind": part.stem(), "parameters": changed} if changed else part.stem())


def _differences(model: Model, plain: Model) -> str:
    return ", ".join(f"{n}={v!r}" for n, v in model.values().items() if v != getattr(plain, n))
