# SPDX-License-Identifier: Apache-2.0
"""How often the 95 % intervals of a fit hold the truth: ``python -m bench.fit_coverage``.

Populations are made by the engine from known parameters, read along pulse ramps, and fitted as measured ones are. The
share of repeats whose interval holds the truth has a standard error of 1.5 % at 200 repeats and a share of 95 %.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine import devices
from engine.devices import Device
from engine.rng import derive_seed
from engine.tiles import Tile
from explorer.experiments import schedules
from explorer.fitting import Measured, ResponseFit, fit_response
from explorer.fitting.trace import pulse_trace

LOW, HIGH = 0.90, 0.98
"""Shares of repeats between which an interval that claims 95 % is taken as honest."""

D2D = {"dw_min_dtod": 0.2, "up_down_dtod": 0.08, "w_max_dtod": 0.12, "w_min_dtod": 0.12}


@dataclass(frozen=True)
class Truth:
    """A population and how it is read.

    Attributes
    ----------
    model : str
    values : dict
        Parameters of the class.
    form : dict or None
        Form of the candidate (noise, nodes).
    judged : tuple of str
        Parameters whose intervals are judged.
    ramp, cycles : int
        Pulses of a ramp, up-and-down cycles.
    start : float
        Weight before the first pulse, weight units.
    """

    model: str
    values: Mapping[str, Any]
    form: Mapping[str, Any] | None
    judged: tuple[str, ...]
    ramp: int = 60
    cycles: int = 2
    start: float = -0.6
    known: Mapping[str, float] = field(default_factory=dict)

    def device(self) -> Device:
        """Return the population."""
        return devices.get(self.model)(**self.values)

    def truth(self, name: str) -> float:
        """Return the true value of a parameter."""
        base, bracket, rest = name.partition("[")
        if name in self.known:
            return float(self.known[name])
        value = getattr(self.device(), base)
        return float(value[int(rest[:-1])] if bracket else value)


SCALE = ("dw_min", "dw_min_dtod", "up_down", "up_down_dtod")
BOUNDS = ("w_max", "w_max_dtod", "w_min", "w_min_dtod")
NOISE = ("dw_min_std", "write_noise_std")
COMMON = {"dw_min": 0.04, "up_down": 0.2, "w_max": 1.0, "w_min": -1.0, "dw_min_std": 0.3, **D2D}
WRITTEN = {**COMMON, "write_noise_std": 0.3}
HARD = {"top": True, "bottom": True}  # the ramps of these populations end at the bounds

TRUTHS = (
    Truth("constant_step", COMMON, HARD, (*SCALE, *BOUNDS, "dw_min_std"), ramp=170, cycles=1),
    Truth("linear_step", {**WRITTEN, "gamma_up": 0.4, "gamma_down": 0.6, "gamma_up_dtod": 0.1, "gamma_down_dtod": 0.1},
          {"mult_noise": True, **HARD},
          (*SCALE, *BOUNDS, *NOISE, "gamma_up", "gamma_up_dtod", "gamma_down", "gamma_down_dtod"), ramp=150, cycles=1),
    Truth("soft_bounds", WRITTEN, {"mult_noise": True}, (*SCALE, *BOUNDS, *NOISE)),
    Truth("soft_bounds_reference", {**WRITTEN, "mult_noise": True, "reference_std": 0.15}, {"mult_noise": True},
          ("dw_min", "dw_min_dtod", "up_down", "w_max", "w_min", *NOISE, "reference_std")),
    Truth("soft_bounds_pmax", {"alpha": 0.04, "p_max": 60, "range_min": -0.8, "range_max": 0.8, "dw_min_std": 0.5,
                               "write_noise_std": 0.5, **D2D, "up_down_dtod": 0.0},
          {"mult_noise": True}, ("alpha", "range_min", "range_max", *NOISE)),
    Truth("exp_step", {**WRITTEN, "A_up": 0.3, "A_down": 0.25, "gamma_up": 2.0, "gamma_down": 2.5, "a": 0.5, "b": 0.0},
          HARD, (*SCALE, *BOUNDS, *NOISE, "A_up", "A_down", "gamma_up", "gamma_down"), ramp=150, cycles=2),
    Truth("pow_step", {**WRITTEN, "dw_min": 0.08, "pow_gamma": 1.5, "pow_gamma_dtod": 0.1, "pow_up_down": 0.1,
                       "pow_up_down_dtod": 0.03, "dw_min_std": 0.15, "write_noise_std": 0.1}, None,
          (*SCALE, *BOUNDS, *NOISE, "pow_gamma", "pow_gamma_dtod", "pow_up_down", "pow_up_down_dtod"), cycles=6),
    Truth("pow_step_reference", {**COMMON, "dw_min": 0.08, "pow_gamma": 1.5, "pow_gamma_dtod": 0.1, "pow_up_down": 0.1,
                                 "pow_up_down_dtod": 0.03, "dw_min_std": 0.15, "reference_std": 0.15}, None,
          (*SCALE[:3], "w_max", "w_min", "dw_min_std", "pow_gamma", "pow_gamma_dtod", "pow_up_down", "reference_std"),
          cycles=6),
    Truth("piecewise_step", {**WRITTEN, "up_down": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0,
                             "piecewise_up": [1.4, 1.2, 0.4], "piecewise_down": [0.5, 1.1, 1.4]},
          {"nodes": 3, "ends": (-1.0, 1.0), "unit": 0.04},
          ("dw_min", "dw_min_dtod", "up_down_dtod", *NOISE, *(f"piecewise_{w}[{k}]" for w in ("up", "down")
                                                             for k in range(3)))),
    Truth("lookup_table", {**WRITTEN, "up_down": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0, "dw_min_std": 1.0,
                           "mean_up": [0.056, 0.048, 0.016], "mean_down": [0.02, 0.044, 0.056],
                           "spread_up": [0.02, 0.02, 0.01], "spread_down": [0.01, 0.02, 0.02]},
          {"nodes": 3, "ends": (-1.0, 1.0), "unit": 0.04},
          ("dw_min_dtod", *(f"{n}[{k}]" for n in ("mean_up", "mean_down", "spread_up", "spread_down")
                            for k in range(3)))),
)  # fmt: skip


def population(truth: Truth, n_devices: int, seed: int) -> Measured:
    """Return readings of a population, one trace a device, the first reading before any pulse."""
    tile = Tile(n_devices, 1, truth.device(), seed=derive_seed(seed, "chip"))
    tile.set_weights(torch.full((n_devices, 1), truth.start))
    first = tile.weights[:, 0].numpy().copy()
    ways = schedules.ramps(2 * truth.ramp * truth.cycles, truth.ramp)
    read = tile.pulse(ways).apparent[:, :, 0].numpy()
    if "write_noise_std" not in truth.device().fields():  # such a class has exact readings; give them read noise
        read = read + 0.01 * np.random.default_rng(derive_seed(seed, "read")).standard_normal(read.shape)
    directions = np.concatenate([[0], ways])
    traces = [pulse_trace(f"d{i}", 1, directions, np.concatenate([[first[i]], read[:, i]])) for i in range(n_devices)]
    return Measured(tuple(traces), "1", "synthetic")


def fitted(truth: Truth, n_devices: int, seed: int) -> ResponseFit:
    """Return the fit of one population; weights are the readings."""
    data = population(truth, n_devices, seed).normalise(-1.0, 1.0, -1.0, 1.0)
    return fit_response(data, truth.model, form=truth.form, corrupt="keep")


def covered(truth: Truth, fit: ResponseFit) -> dict[str, tuple[bool, float, float]]:
    """Return for every judged parameter whether its interval holds the truth, its error and its standard error."""
    found = {}
    for name in truth.judged:
        p, value = fit.parameters[name], truth.truth(name)
        found[name] = (bool(p.low <= value <= p.high), p.value - value, p.stderr)
    return found


def coverage(
    truth: Truth,
    n_devices: int,
    repeats: int,
    seed: int = 0,
    seconds: float = float("inf"),
    known: list[dict[str, list[float]]] | None = None,
    kept: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """Return one row a parameter: share covered, bias and scatter; stops early after ``seconds`` of processor time.

    ``known`` holds the repeats done before and gets those done now; ``kept`` is called after each.
    """
    begin, known = time.process_time(), [] if known is None else known
    for k in range(len(known), repeats):
        found = covered(truth, fitted(truth, n_devices, derive_seed(seed, truth.model, k)))
        known.append({name: [float(x) for x in row] for name, row in found.items()})
        kept()
        if k and time.process_time() - begin > seconds:
            break
    return [_row(truth, name, np.array([one[name] for one in known], float)) for name in truth.judged]


def _row(truth: Truth, name: str, rows: np.ndarray) -> dict[str, Any]:
    share = float(rows[:, 0].mean())
    error = np.nan_to_num(rows[:, 2]).mean()
    scatter = float(rows[:, 1].std(ddof=1)) if len(rows) > 1 else np.nan
    return {
        "model": truth.model, "parameter": name, "truth": truth.truth(name), "repeats": len(rows), "covered": share,
        "bias": float(rows[:, 1].mean()), "scatter": scatter, "mean_stderr": float(error),
        "honest": LOW <= share <= HIGH,
    }  # fmt: skip


def table(rows: list[dict[str, Any]]) -> str:
    """Return rows as text."""
    lines = [f"{'class':22}{'parameter':20}{'truth':>9}{'covered':>9}{'bias':>10}{'scatter':>10}{'stderr':>10}"]
    for r in rows:
        mark = "" if r["honest"] else "  outside 90..98 %"
        lines.append(f"{r['model']:22}{r['parameter']:20}{r['truth']:9.4g}{r['covered']:8.1%} {r['bias']:10.2g}"
                     f"{r['scatter']:10.2g}{r['mean_stderr']:10.2g}{mark}")  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Print the coverage table of the classes asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.fit_coverage", description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="+", default=[t.model for t in TRUTHS])
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="processor time for a class, at most")
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--raw", type=Path, help="keep every interval there, and go on from those that are there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    raw = json.loads(options.raw.read_text(encoding="utf-8")) if options.raw and options.raw.exists() else {}

    def kept() -> None:
        if options.raw:
            options.raw.write_text(json.dumps(raw), encoding="utf-8")

    every = []
    for truth in TRUTHS:
        if truth.model in options.model:
            begin, known = time.process_time(), raw.setdefault(truth.model, [])
            rows = coverage(truth, options.devices, options.repeats, options.seed, options.seconds, known, kept)
            took = time.process_time() - begin
            print(f"{table(rows)}\n{took:.0f} s of processor time\n", flush=True)
            every += rows
            if options.json:
                options.json.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")
    judged = [r["honest"] for r in every]
    done = sorted({r["repeats"] for r in every})
    counts = f"{done[0]}" if len(done) == 1 else f"{done[0]} to {done[-1]}"
    print(f"{sum(judged)} of {len(judged)} intervals cover the truth in 90 to 98 % of {counts} repeats")


if __name__ == "__main__":
    main()
