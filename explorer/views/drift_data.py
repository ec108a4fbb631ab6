# SPDX-License-Identifier: Apache-2.0
"""What the drift lab draws, as plain columns: curves of accuracy, weights at a moment, rows of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr

from engine.inference import ProgrammedNetwork, program
from explorer import durations, networks
from explorer.experiments.chips import WeightStatistics, analog, first_layers, sampled
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.levels import Levels, levels
from explorer.experiments.scenario import Scenario
from explorer.experiments.spread import mean
from explorer.experiments.threads import torch_threads

TABLE = (1.0, durations.HOUR, durations.DAY, durations.MONTH, durations.YEAR, 10 * durations.YEAR)
"""Times of the table, where the run has them."""
LIVE_WEIGHTS = 150_000
"""Weights of the first layers that are shown of a network of full size."""
MAX_POINTS = 600
BINS, REACH = 61, 1.3


@dataclass(frozen=True, eq=False)
class Curve:
    """Score of one scenario over time.

    Attributes
    ----------
    title : str
    times, mean, half_width, low, high : array, (time,)
        Seconds; mean over chips, half of its 95 % interval, 10 % and 90 % quantiles over chips; shares of 1.
    digital : float
        Score in floating point on the same samples.
    chips, samples : int
        Chips; test samples at most, 0 for all.
    full : bool
        Of a full run, not of a quick estimate.
    stale : bool
        Of other parameters than those on show.
    """

    title: str
    times: np.ndarray
    mean: np.ndarray
    half_width: np.ndarray
    low: np.ndarray
    high: np.ndarray
    digital: float
    chips: int
    samples: int
    full: bool = False
    stale: bool = False

    def named(self, title: str, *, stale: bool) -> Curve:
        """Return the curve under another title, fresh or stale."""
        return replace(self, title=title, stale=stale)


def curves(ds: xr.Dataset, experiment: DriftAccuracy, *, full: bool) -> list[Curve]:
    """Return the curves of a result, one for each scenario."""
    found = []
    for k, title in enumerate(ds.scenario.values.tolist()):
        one = ds.isel(scenario=k)
        one = one.isel(time=one.accuracy_mean.notnull().values)  # times without statistics
        scores = one.accuracy.mean("read").values
        halves = np.array([mean(chips).half_width for chips in scores])
        found.append(Curve(
            str(title), one.time.values.astype(float), scores.mean(-1), halves, one.accuracy_low.values,
            one.accuracy_high.values, float(ds.digital_accuracy), ds.sizes["chip"], int(experiment.samples), full,
        ))  # fmt: skip
    return found


@dataclass(frozen=True)
class Moment:
    """What to look at: one scenario on the first chip, at one time."""

    network: str
    scenario: Scenario
    time: float
    seed: int


@dataclass(frozen=True, eq=False)
class Weights:
    """Weights of the first chip at a moment, in units of each tile's largest target.

    Attributes
    ----------
    edges : array, (edge,)
    target, programmed, drifted : array, (bin,)
        Counts; drifted are those in use, before compensation.
    compensated : array, (bin,)
        Drifted times the factor of the compensation; the same as drifted where there is none.
    wanted, was, now : array, (weight,)
        Some weights: target, programmed, at the time.
    alpha, slope, dispersion, error : float
        `explorer.experiments.chips.WeightStatistics` of the chip.
    levels : Levels
        Devices at their targets, at the time.
    g_max : float
        uS.
    count : int
        Weights counted; ``partly`` tells that the network has more.
    """

    time: float
    edges: np.ndarray
    target: np.ndarray
    programmed: np.ndarray
    drifted: np.ndarray
    compensated: np.ndarray
    wanted: np.ndarray
    was: np.ndarray
    now: np.ndarray
    alpha: float
    slope: float
    dispersion: float
    error: float
    levels: Levels
    g_max: float
    count: int
    partly: bool


class LiveChip:
    """The first chip of a scenario, kept between two moves of the time slider."""

    def __init__(self) -> None:
        self._key: tuple | None = None
        self._chip: ProgrammedNetwork | None = None
        self._was: tuple[np.ndarray, np.ndarray] | None = None  # all weights as programmed, and some of them
        self._partly = False

    def at(self, moment: Moment) -> Weights:
        """Return the weights at a moment; programs the chip where the scenario is another one."""
        with torch_threads(1):  # at the pace of a slider a second thread costs more than it brings
            return self._at(moment)

    def _at(self, moment: Moment) -> Weights:
        scenario = moment.scenario
        key = (moment.network, moment.seed, repr(scenario.copy(title="-").to_dict()))
        if key != self._key:
            self._program(moment)
            self._key = key
        chip, (all_was, was) = self._chip, self._was
        assert chip is not None
        chip.drift_to(moment.time)
        tiles = list(chip.tiles.values())
        told = WeightStatistics.of(chip)
        wanted, now = _flat([t.wanted for t in tiles]), _flat([t.weights[0] for t in tiles])
        factored = _flat([_times_alpha(t.weights[0], t.alpha) for t in tiles])
        edges = np.linspace(-REACH, REACH, BINS + 1)
        return Weights(
            moment.time, edges, *(_counted(w, edges) for w in (wanted, all_was, now, factored)),
            sampled(tiles, MAX_POINTS, "wanted"), was, sampled(tiles, MAX_POINTS, "weights"),
            *(float(v[0]) for v in (told.alpha, told.slope, told.dispersion, told.error)),
            levels(scenario.noise, [moment.time], moment.seed), scenario.noise.g_max, len(wanted), self._partly,
        )  # fmt: skip

    def _program(self, moment: Moment) -> None:
        scenario = moment.scenario
        self._partly = networks.find(moment.network).full_size
        if self._partly:
            model = first_layers(moment.network, scenario, LIVE_WEIGHTS)
        else:
            model = analog(moment.network, scenario)
        self._chip = program(
            model, scenario.noise, scenario.made_converter(), scenario.compensation, chips=1, seed=moment.seed,
            faults=scenario.made_faults(),
        )  # fmt: skip
        tiles = list(self._chip.tiles.values())
        self._was = _flat([t.weights[0] for t in tiles]), sampled(tiles, MAX_POINTS, "weights")


def _flat(weights: list[torch.Tensor]) -> np.ndarray:
    return torch.cat([w.flatten() for w in weights]).numpy()


def _times_alpha(weights: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    factor = alpha[0] if alpha.dim() == 1 else alpha[0][:, None]
    return weights * factor


def _counted(weights: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.histogram(weights.clip(edges[0], edges[-1]), edges)[0]


def table_rows(found: list[Curve]) -> tuple[list[tuple[str, str]], list[list[str]]]:
    """Return columns and rows of the table: score in percent with interval, and points to floating point."""
    times = [t for t in TABLE if any(t in c.times for c in found)]
    columns = [("Scenario", "")]
    columns += [(durations.worded(t), "Mean over chips ± half of its 95 % interval (Student's t).") for t in times]
    columns += [("To floating point", "Difference of the mean at the last time of the table, percentage points."),
                ("Chips", "Chips of the mean."), ("Run", "Full run, or quick estimate on few chips.")]  # fmt: skip
    rows = [_row(curve, times) for curve in found]
    digital = next((c.digital for c in found if c.full), found[0].digital if found else None)
    if digital is not None:
        rows.append(["Floating point", *[percent(digital)] * len(times), "", "", ""])
    return columns, rows


def _row(curve: Curve, times: list[float]) -> list[str]:
    at = {t: k for k, t in enumerate(curve.times.tolist())}
    cells = [_cell(curve, at[t]) if t in at else "–" for t in times]
    last = next((at[t] for t in reversed(times) if t in at), None)
    gap = "" if last is None else f"{100 * (curve.mean[last] - curve.digital):+.1f} points".replace("-", "−")
    kind = ("full run" if curve.full else "quick estimate") + (", stale" if curve.stale else "")
    return [curve.title, *cells, gap, str(curve.chips), kind]


def _cell(curve: Curve, k: int) -> str:
    half = curve.half_width[k]
    return percent(curve.mean[k]) if np.isnan(half) else f"{percent(curve.mean[k])} ± {100 * half:.1f}"


def percent(share: float) -> str:
    """Return a score in percent, one decimal."""
    return f"{100 * share:.1f}"
