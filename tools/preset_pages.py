#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write a page for every preset into ``docs/presets``: plot, derived numbers, population against aihwkit, parameters.

Run ``python tools/preset_pages.py`` after a change of a preset or of the physics; a test compares the pages with what
this writes. Numbers are the same on every machine, because the engine's are. A plot's file says which data it shows.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from engine import presets
from engine.devices import Device
from engine.tiles import Tile
from explorer import palette
from explorer.assessment import write_noise

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "presets"
PEER = json.loads((ROOT / "tests" / "data" / "peer_response.json").read_text(encoding="utf-8"))["presets"]
SIDE, SEED = 100, 1  # 10 000 devices
READS = 50  # of each phase in a plot
SINGLE = 3  # devices drawn one by one
LIMIT = 20_000  # pulses that a noise-free crossing of the range may take
_STYLE = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
          "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "ohmscape"}  # fmt: skip


@dataclass(frozen=True)
class Response:
    """What a population does: up ``length`` pulses from weight 0, then down as many.

    Attributes
    ----------
    length : int
    rows : dict
        (phase, pulses in it) to hidden and apparent weights, ``(devices,)`` each.
    nominal : dict
        The same for the device without noise and spread, one number each.
    """

    length: int
    rows: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]
    nominal: dict[tuple[str, int], float]

    def digest(self) -> str:
        """Return a checksum of the states."""
        return f"{zlib.crc32(b''.join(np.float32(a).tobytes() for _, a in self.rows.values())):08x}"


def respond(name: str, device: Device) -> Response:
    """Pulse a population of the preset; reads are spread evenly over each phase, and where aihwkit was measured."""
    peer = PEER.get(name, {"pulses_per_phase": int(np.clip(2 * device.n_states, 20, 1000)), "rows": []})
    length = peer["pulses_per_phase"]
    reads = {"up": {r["k"] for r in peer["rows"] if r["phase"] == "up"},
             "down": {r["k"] for r in peer["rows"] if r["phase"] == "down"}}  # fmt: skip
    even = set(np.unique(np.linspace(1, length, min(READS, length)).astype(int)).tolist())
    tile, twin = Tile(SIDE, SIDE, device, seed=SEED), Tile(1, 1, device.nominal())
    rows, nominal = {}, {}
    for phase, way in (("up", 1), ("down", -1)):
        done = 0
        for k in sorted(reads[phase] | even):
            tile.pulse(np.full(k - done, way), k - done)
            twin.pulse(np.full(k - done, way), k - done)
            done = k
            rows[phase, k] = tuple(v.numpy().astype(float).ravel() for v in (tile.hidden, tile.weights))
            nominal[phase, k] = twin.hidden.item()
    return Response(length, rows, nominal)


def crossing(device: Device, way: int) -> int | None:
    """Return the noise-free pulses from one bound to within 0.1 % of the range of the other, None beyond the limit."""
    low, high = device.range
    twin = Tile(1, 1, device.nominal())
    twin.hidden.fill_(low if way > 0 else high)
    states = twin.pulse(np.full(LIMIT, way, np.int8)).hidden.flatten().numpy()
    near = np.abs(states - (high if way > 0 else low)) <= 1e-3 * (high - low)
    return int(near.argmax()) + 1 if near.any() else None


# -- text --------------------------------------------------------------------------------------------------------


def number(value: float | str | bool | None) -> str:
    """Return a value for a table: five digits."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:.5g}".replace("-", "−")


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def derived(device: Device, peer: dict | None) -> str:
    """Return the table of numbers that follow from the parameters."""
    low, high = device.range
    rows = [
        ["granularity [w]", device.granularity, "weight_granularity"],
        ["number of states", device.n_states, "nominal_number_of_states"],
        ["symmetry point [w]", device.symmetry_point(), "nominal_symmetric_point"],
        *([f"{word} step at {place} [w]", float(device.step(w, way)), (f"step_{word}", key)]
          for word, way in (("up", 1), ("down", -1))
          for place, w, key in (("w_min", low, "at_w_min"), ("0", 0.0, "at_0"), ("w_max", high, "at_w_max"))),
        ["noise of one up pulse at 0 [w]", float(device.step_noise(0.0, 1)), "cycle_noise_std_abs_at_0"],
        ["write error [w]", write_noise(device) or 0.0, "write_noise_std_abs"],
        ["noise-free pulses from w_min to w_max (less 0.1 % of the range)", crossing(device, 1),
         "noise_free_pulses_w_min_to_w_max_minus_0p1pct"],
        ["noise-free pulses back", crossing(device, -1), "noise_free_pulses_w_max_to_w_min_plus_0p1pct"],
    ]  # fmt: skip
    if peer is None:
        return table(["number", "value"], [[text, number(rounded(value))] for text, value, _ in rows])
    told = peer["derived"]
    lines = []
    for text, value, key in rows:
        theirs = told[key[0]][key[1]] if isinstance(key, tuple) else told[key]
        lines.append([text, number(rounded(value)), "any" if theirs == "any" else number(rounded(theirs))])
    return table(["number", "here", "aihwkit 1.2.0"], lines)


def rounded(value):
    """Return a number without what single precision leaves of a zero."""
    return 0.0 if isinstance(value, float) and abs(value) < 5e-7 else value


def population(response: Response, peer: dict) -> str:
    """Return the table of means and spreads of the population, ours and the peer's."""
    lines = []
    for row in peer["rows"]:
        hidden, apparent = response.rows[row["phase"], row["k"]]
        lines.append([f"{row['phase']} {row['k']}",
                      *map(number, (hidden.mean(), row["hidden_mean"], hidden.std(), row["hidden_std"],
                                    apparent.std(), row["apparent_std"]))])  # fmt: skip
    head = ["pulses", "mean here", "aihwkit", "spread here", "aihwkit", "spread of reads here", "aihwkit"]
    return table(head, lines)


def parameters(preset: presets.Preset) -> str:
    """Return the table of all parameters."""
    rows = []
    for name, value in preset.device.values().items():
        told = preset.device.describe(name)
        shown = ", ".join(map(number, value)) if isinstance(value, list) else number(value)
        rows.append([f"`{name}`", shown, told["unit"] if told["kind"] in ("number", "table") else "",
                     preset.parameter_sources.get(name, "")])  # fmt: skip
    return table(["parameter", "value", "unit", "source"], rows)


def page(preset: presets.Preset, response: Response) -> str:
    """Return a preset's page as Markdown."""
    device, peer = preset.device, PEER.get(preset.name)
    sources = "\n".join(f"* “{s['title']}”, {s['venue']}, {s['year']}." for s in preset.sources)
    left_out = "\n".join(f"* {text}" for text in preset.not_modelled) or "Nothing that the source names."
    parts = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        f"# {preset.title}",
        f"`{preset.name}`, device class `{device.stem()}` ({type(device).title}: {type(device).formula}), see "
        "[the physics](../physics/devices.md), section 3. Written by `python tools/preset_pages.py` from "
        f"`engine/presets/{preset.name}.toml`; do not edit.",
        preset.note,
        f"![Pulse response of {preset.title}]({preset.name}.svg)",
        f"Left: {SIDE * SIDE} devices from weight 0, {response.length} pulses up, then down (seed {SEED}): what a read "
        f"sees, 5 to 95 % of the devices, their median, {SINGLE} single devices, and the nominal device without noise. "
        "Right: the nominal step.",
        "## Derived numbers",
        derived(device, peer).strip(),
    ]
    if peer:
        parts += [
            "## Population against aihwkit",
            f"Hidden weights of {SIDE * SIDE} devices here and {peer['n_devices']} there (measured, 20 tiles, "
            f"`{peer['peer_class']}`); their standard errors are 1 % and 0.4 % of the spread. aihwkit draws its noise "
            "from a table, which shifts the mean of a tile. The full comparison with its limits is "
            "`tests/engine/devices/test_presets_against_peer.py`.",
            population(response, peer).strip(),
        ]
    parts += ["## Not modelled", left_out, "## Parameters", parameters(preset).strip(), "## Sources", sources]
    return "\n\n".join(p for p in parts if p) + "\n"


def index() -> str:
    """Return the list of all presets as Markdown."""
    rows = []
    for name in presets.names():
        preset = presets.info(name)
        states = number(float(f"{preset.device.n_states:.4g}"))
        rows.append([f"[{preset.title}]({name}.md)", f"`{name}`", f"`{preset.device.stem()}`", states,
                     number(rounded(preset.device.symmetry_point()))])  # fmt: skip
    head = ["preset", "name", "device", "states", "symmetry point [w]"]
    intro = "Written by `python tools/preset_pages.py`; do not edit. A preset is one file in `engine/presets`."
    return f"<!-- SPDX-License-Identifier: Apache-2.0 -->\n# Presets\n\n{intro}\n\n{table(head, rows)}"


# -- plot --------------------------------------------------------------------------------------------------------


def draw(response: Response, device: Device) -> Figure:
    """Return the plot of a response and the nominal steps."""
    at = np.array([0, *(k + (response.length if phase == "down" else 0) for phase, k in response.rows)])
    reads = np.stack([np.zeros(SIDE * SIDE), *(apparent for _, apparent in response.rows.values())])
    low, middle, high = np.quantile(reads, (0.05, 0.5, 0.95), axis=1)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.6, 1))
        left.fill_between(at, low, high, color=palette.MODEL, alpha=palette.BAND_ALPHA, linewidth=0, label="5 to 95 %")
        left.plot(at, reads[:, :SINGLE], color=palette.NEUTRAL, alpha=palette.TRACE_ALPHA, linewidth=0.7)
        left.plot(at, middle, color=palette.MODEL, linewidth=1.2, label="median")
        left.plot(at, [0.0, *response.nominal.values()], color=palette.NOMINAL, linewidth=1.2, label="nominal")
        left.set(xlabel="pulses", ylabel="weight [w]", xlim=(0, at[-1]))
        left.legend(fontsize=7, loc="upper right")
        w = np.linspace(*device.range, 101)
        for word, way, color, dash in (("up", 1, palette.UP, "-"), ("down", -1, palette.DOWN, "--")):
            right.plot(w, device.step(w, way), dash, color=color, label=word)
        right.set(xlabel="weight [w]", ylabel="step [w]")
        right.legend(fontsize=7)
    return figure


def write() -> None:
    """Write all pages and plots."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "README.md").write_text(index(), encoding="utf-8")
    for name in presets.names():
        preset = presets.info(name)
        response = respond(name, preset.device)
        (FOLDER / f"{name}.md").write_text(page(preset, response), encoding="utf-8")
        about = {"Date": None, "Title": preset.title, "Description": f"data {response.digest()}"}
        with mpl.rc_context(_STYLE):
            draw(response, preset.device).savefig(FOLDER / f"{name}.svg", metadata=about)
        print(f"wrote docs/presets/{name}.md")


if __name__ == "__main__":
    write()
