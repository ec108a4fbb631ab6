# SPDX-License-Identifier: Apache-2.0
"""What becomes of a network's accuracy while the devices that hold its weights drift: seconds to years, many chips."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import param
import xarray as xr

from engine.errors import ParameterError, say
from engine.inference import ProgrammedNetwork
from engine.quantity import Quantity, Table
from explorer import durations, networks
from explorer.experiments import robust
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.chips import Answers, Setting, WeightStatistics, pooled, sampled
from explorer.experiments.levels import Levels, levels
from explorer.experiments.scenario import Scenario, check_titles
from explorer.experiments.spread import band, mean

TIMES = [0.0, 1.0, durations.MINUTE, durations.HOUR, durations.DAY, durations.WEEK, durations.MONTH, durations.YEAR,
         10 * durations.YEAR]  # fmt: skip
BINS, REACH = 61, 1.3  # of a weight histogram, in units of the largest weight that was asked for
SAMPLE = 800
"""Weights of the first chip that are kept one by one."""
LEVEL_DEVICES = 1000


class DriftAccuracy(Experiment):
    """Program a trained network on chips and score it from right after programming to years later.

    All scenarios run on the same chips: chip k is made of the same draws, so differences between scenarios are paired.
    Where a noise model has no statistics at a time, the scenario has no numbers there (NaN).
    Bands are quantiles over chips; intervals of a mean are Student's t over chips.

    Examples
    --------
    >>> ds = DriftAccuracy(n_chips=3, samples=60, times=[1.0, 3.1536e7]).run()
    >>> ds.accuracy.dims, ds.accuracy.sizes["chip"]
    (('scenario', 'time', 'chip', 'read'), 3)
    """

    # fmt: off
    network = param.String("mlp-digits", doc="Network of the gallery, or file.py:name of your own.")
    n_chips = Quantity(25, bounds=(1, 10_000), softbounds=(1, 100), integer=True, unit="chips", group="Chips",
                       source="assumed", doc="Chips that are programmed, each with devices of its own.")
    n_read = Quantity(1, bounds=(1, 1000), softbounds=(1, 10), integer=True, unit="reads", group="Chips",
                      source="assumed", doc="Independent reads of each chip at each time.")
    samples = Quantity(0, bounds=(0, 1_000_000), softbounds=(0, 1000), integer=True, unit="samples", group="Chips",
                       source="assumed", doc="Test samples, evenly spaced; 0 takes all.")
    times = Table(list(TIMES), unit="s", lowest=0, group="Chips", source="assumed",
                  doc="Times after the reference read, which comes t_0 after the last write pulse; ascending.")
    scenarios = param.List([Scenario()], item_type=Scenario, doc="What is compared, on the same chips.")
    # fmt: on

    @classmethod
    def prepare(cls) -> None:
        """Load data, weights and the parts of torch that load late, once in each worker."""
        cls(n_chips=2, samples=4, times=[0.0, 1.0]).run()

    def check(self) -> None:
        """Raise `ParameterError` for an unknown network, bad times, or scenarios that cannot be told apart."""
        super().check()
        check_network(self.network)
        check_titles(self.scenarios)
        check_times(self.times, self.scenarios)
        for scenario in self.scenarios:
            robust.check(self.network, scenario.training)

    @property
    def setting(self) -> Setting:
        """What all scenarios share."""
        return Setting(self.network, int(self.n_chips), int(self.samples), int(self.seed))

    def copy(self, **changes: Any) -> DriftAccuracy:
        """Return an independent copy, scenarios included."""
        return super().copy(**{"scenarios": [s.copy() for s in self.scenarios]} | changes)

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return accuracy, factors, weight errors and samples of weights for each scenario, time and chip."""
        setting = self.setting
        progress(0.0, "making tiles")
        for scenario in self.scenarios:
            robust.train(self.network, scenario.training, lambda text: progress(0.0, text))
        setting.require_memory(self.scenarios)
        record = _Record.empty(self, setting.digital())
        with setting.threads():
            for k, scenario in enumerate(self.scenarios):
                share = _Share(progress, k, len(self.scenarios), len(self.times) * int(self.n_read), scenario.title)
                self._follow(setting, k, scenario, record, share)
        return record.dataset(self)

    def _follow(self, setting: Setting, k: int, scenario: Scenario, record: _Record, share: _Share) -> None:
        share.tell(0.0, "programming")
        chips = setting.programmed(scenario)
        record.begin(k, scenario, chips)
        for at, t in enumerate(self.times):
            for read in range(int(self.n_read) if has_statistics(scenario, t) else 0):
                chips.drift_to(float(t), read_id=read)
                if read == 0:
                    record.weights(k, at, chips)
                answers = Answers(setting.exam())
                for done in answers.ask(chips):
                    share.tell(at * int(self.n_read) + read + done, durations.about(t))
                record.accuracy[k, at, :, read] = answers.scores()
            if has_statistics(scenario, t):
                share.finished(k, at, record, int(self.n_read))


def check_network(network: str) -> None:
    """Raise `ParameterError` where there is no such network."""
    networks.find(network)


def absolute(network: str) -> str:
    """Return a network's name so that it means the same in another folder."""
    if not networks.is_file(network):
        return network
    path, _, name = network.rpartition(":")
    return f"{Path(path).resolve()}:{name}"


def check_times(times: list[float], scenarios: list[Scenario]) -> None:
    """Raise `ParameterError` where times do not ascend, or a noise model has statistics for none of them."""
    for earlier, later in itertools.pairwise(times):
        if later <= earlier:
            remedy = "Sort them, each once."
            raise ParameterError(say("DriftAccuracy.times", later, "does not ascend", f"> {earlier:g}", remedy,
                                     unit="s"))  # fmt: skip
    for t in times:
        durations.checked(t, "DriftAccuracy.times")
    for scenario in scenarios:
        if not any(has_statistics(scenario, t) for t in times):
            scenario.noise.check_time(float(times[-1]))  # says what it has statistics for


def has_statistics(scenario: Scenario, t: float) -> bool:
    """Return whether the scenario's noise model has statistics at a time (s)."""
    try:
        scenario.noise.check_time(float(t))
    except ParameterError:
        return False
    return True


@dataclass
class _Share:
    """The part of the progress that belongs to one scenario."""

    progress: Progress
    index: int
    count: int
    steps: int
    title: str

    def tell(self, done: float, text: str, **payload: Any) -> None:
        self.progress(min((self.index + done / self.steps) / self.count, 1.0), f"{self.title}, {text}", **payload)

    def finished(self, k: int, at: int, record: _Record, reads: int) -> None:
        """Tell the scores of one time: a page draws them while others are on their way."""
        scores = record.accuracy[k, at].mean(-1)
        low, high = band(scores)
        told = {"scenario": k, "at": at, "mean": float(scores.mean()), "low": float(low), "high": float(high)}
        self.tell((at + 1) * reads, durations.about(record.times[at]), digital=record.digital, **told)


@dataclass
class _Record:
    """All numbers of a run, filled scenario by scenario and time by time."""

    digital: float
    times: list[float]
    accuracy: np.ndarray
    numbers: dict[str, np.ndarray]
    histograms: dict[str, np.ndarray]
    samples: dict[str, np.ndarray]
    edges: np.ndarray = field(default_factory=lambda: np.linspace(-REACH, REACH, BINS + 1))
    levels: list[Levels] = field(default_factory=list)

    @classmethod
    def empty(cls, experiment: DriftAccuracy, digital: float) -> _Record:
        count, times, chips = len(experiment.scenarios), len(experiment.times), int(experiment.n_chips)
        return cls(
            digital,
            list(experiment.times),
            np.full((count, times, chips, int(experiment.n_read)), np.nan),
            {name: np.full((count, times, chips), np.nan) for name in _NUMBERS},
            {"target": np.zeros((count, BINS), np.int64), "programmed": np.zeros((count, BINS), np.int64),
             "drifted": np.zeros((count, times, BINS), np.int64)},
            {"target": np.zeros((count, 0)), "programmed": np.zeros((count, 0)),
             "drifted": np.zeros((count, times, 0))},
        )  # fmt: skip

    def begin(self, k: int, scenario: Scenario, chips: ProgrammedNetwork) -> None:
        """Take what a scenario is before time begins."""
        wanted, tiles = pooled(chips, "wanted"), list(chips.tiles.values())
        self.histograms["target"][k] = self._counted(wanted)
        self.histograms["programmed"][k] = self._counted(pooled(chips))
        self._keep("target", k, sampled(tiles, SAMPLE, "wanted"))
        self._keep("programmed", k, sampled(tiles, SAMPLE, "weights"))
        self.levels.append(_levels(scenario, self.times, chips.seed))

    def weights(self, k: int, at: int, chips: ProgrammedNetwork) -> None:
        """Take the weights as they are now."""
        found = WeightStatistics.of(chips)
        for name, values in self.numbers.items():
            values[k, at] = getattr(found, name)
        self.histograms["drifted"][k, at] = self._counted(pooled(chips))
        self._keep("drifted", (k, at), sampled(list(chips.tiles.values()), SAMPLE, "weights"))

    def _counted(self, weights: np.ndarray) -> np.ndarray:
        return np.histogram(weights.clip(self.edges[0], self.edges[-1]), self.edges)[0]

    def _keep(self, name: str, at: Any, values: np.ndarray) -> None:
        if self.samples[name].shape[-1] == 0:
            self.samples[name] = np.full((*self.samples[name].shape[:-1], len(values)), np.nan)
        self.samples[name][at] = values

    def dataset(self, experiment: DriftAccuracy) -> xr.Dataset:
        measure = networks.find(experiment.network).measure
        data = {
            "accuracy": (("scenario", "time", "chip", "read"), self.accuracy, "1", f"Score: {measure}"),
            "digital_accuracy": ((), self.digital, "1", "Score in floating point on the same samples"),
        }
        data |= {n: (("scenario", "time", "chip"), v, "1", _NUMBERS[n]) for n, v in self.numbers.items()}
        for name, dims in (("target", ()), ("programmed", ()), ("drifted", ("time",))):
            data[f"{name}_histogram"] = (("scenario", *dims, "bin"), self.histograms[name], "1", f"Weights, {name}")
            data[f"{name}_sample"] = (("scenario", *dims, "weight"), self.samples[name], "w", f"Some weights, {name}")
        data["bin_edge"] = ("edge", self.edges, "w", "Edges of the bins; the end bins collect all beyond")
        data["level_target"] = (
            ("scenario", "level"),
            np.stack([n.target for n in self.levels]),
            "uS",
            "Target of devices",
        )
        for name, text in (("mean", "Mean"), ("std", "Standard deviation")):
            values = np.stack([getattr(one, name) for one in self.levels])
            data[f"level_{name}"] = (("scenario", "time", "level"), values, "uS", f"{text} of conductances, simulated")
        data |= _summed(self.accuracy.mean(-1))
        made = {name: xr.Variable(dims, v, {"units": u, "long_name": t}) for name, (dims, v, u, t) in data.items()}
        return xr.Dataset(made, self._coordinates(experiment), {"measure": measure})

    def _coordinates(self, experiment: DriftAccuracy) -> dict[str, Any]:
        return {
            "scenario": [s.title for s in experiment.scenarios],
            "time": ("time", self.times, {"units": "s", "long_name": "Time after the reference read"}),
            "chip": np.arange(int(experiment.n_chips)),
            "read": np.arange(int(experiment.n_read)),
        }


def _levels(scenario: Scenario, times: list[float], seed: int) -> Levels:
    """Return devices at the times that the model has statistics for, NaN at the others."""
    there = [has_statistics(scenario, t) for t in times]
    found = levels(scenario.noise, [t for t, yes in zip(times, there, strict=True) if yes], seed, LEVEL_DEVICES)
    mean, std = (np.full((len(times), len(found.target)), np.nan) for _ in range(2))
    mean[there], std[there] = found.mean, found.std
    return Levels(found.target, mean, std)


_NUMBERS = {
    "alpha": "Factor of the drift compensation, mean over tiles",
    "slope": "What is left of the weights, before compensation",
    "dispersion": "Spread of the weights about their slope, relative",
    "error": "Error of the compensated weights, relative",
}


def _summed(scores: np.ndarray) -> dict[str, tuple]:
    """Return mean, its interval and the band over chips of scores ``(scenario, time, chip)``."""
    low, high = band(scores)
    dims = ("scenario", "time")
    halves = np.array([[mean(chips).half_width for chips in row] for row in scores])
    return {
        "accuracy_mean": (dims, scores.mean(-1), "1", "Mean over chips"),
        "accuracy_half_width": (dims, halves, "1", "Half of the 95 % interval of the mean, Student's t over chips"),
        "accuracy_std": (dims, scores.std(-1, ddof=1) if scores.shape[-1] > 1 else halves, "1", "Spread over chips"),
        "accuracy_low": (dims, low, "1", "10 % quantile over chips"),
        "accuracy_high": (dims, high, "1", "90 % quantile over chips"),
    }
