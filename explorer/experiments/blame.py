# SPDX-License-Identifier: Apache-2.0
"""Which non-ideality costs how many points: each one switched off alone, and each one switched on alone."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import param
import xarray as xr

from engine.errors import ParameterError
from engine.quantity import Quantity
from engine.tiles import IOParameters
from explorer import durations
from explorer.experiments import robust
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.chips import Answers, Setting
from explorer.experiments.drift_accuracy import check_network, check_times
from explorer.experiments.scenario import Scenario
from explorer.experiments.spread import Mean, paired

_OPEN_BOUND = 1e5  # of an ADC that clips nothing: more than any sum of weights here


@dataclass(frozen=True)
class Cause:
    """One non-ideality, by the parameters that make it.

    Attributes
    ----------
    name, title : str
        In code, and for people.
    part : str
        Parameter of `Scenario` that has the fields; empty for fields of its own.
    off : dict
        Field to the value without the effect, or to what makes it from the part.
    on : dict
        Field to what makes its value from a part that has the effect, where that is not the part's own.
    needs : str
        Field of the part without which there is no such effect.
    """

    name: str
    title: str
    part: str
    off: dict[str, float | str | Callable]
    on: dict[str, Callable] = field(default_factory=dict)
    needs: str = ""

    def applies(self, scenario: Scenario) -> bool:
        """Return whether the scenario has the parameters, and the effect is there."""
        held = self._held(scenario)
        if not set(self.off) <= set(held.fields()) or (self.needs and getattr(held, self.needs) == 0):
            return False
        return any(getattr(held, name) != value for name, value in self._values(held).items())

    def without(self, scenario: Scenario) -> Scenario:
        """Return the scenario without the effect."""
        return self._changed(scenario, self._values(self._held(scenario)))

    def only(self, ideal: Scenario, scenario: Scenario) -> Scenario:
        """Return an ideal scenario with the effect as it is in another."""
        held = self._held(scenario)
        own = {name: getattr(held, name) for name in self.off}
        return self._changed(ideal, {name: make(held) for name, make in self.on.items()} or own)

    def _held(self, scenario: Scenario):
        return getattr(scenario, self.part) if self.part else scenario

    def _values(self, held) -> dict:
        return {name: value(held) if callable(value) else value for name, value in self.off.items()}

    def _changed(self, scenario: Scenario, values: dict) -> Scenario:
        if not self.part:
            return scenario.copy(**values)
        return scenario.copy(**{self.part: self._held(scenario).copy(**values)})


def _wide(io: IOParameters) -> float:
    return max(io.out_bound, _OPEN_BOUND) if io.out_bound > 0 else 0.0


def _same_step(io: IOParameters) -> float:
    """Return the resolution that keeps the ADC's step once its bound is open."""
    return _share(io.out_res) * io.out_bound / _wide(io) if io.out_bound > 0 else io.out_res


def _share(resolution: float) -> float:
    """Return a resolution as a share of the range; above 1 it is a number of steps."""
    return 1 / resolution if resolution > 1 else resolution


_STAGE = ("out_nonlinearity", "out_nonlinearity_std", "out_asymmetry", "inp_asymmetry", "r_series", "v_offset_std",
          "w_read_asymmetry_dtod")  # fmt: skip
CAUSES = (
    Cause("programming", "Programming error", "noise", {"prog_noise_scale": 0.0}),
    Cause("drift", "Drift", "noise", {"drift_scale": 0.0}),
    # alone it comes with the drift whose spread it is
    Cause("drift_spread", "Spread of drift over devices", "noise", {"drift_spread_scale": 0.0},
          {name: operator.attrgetter(name) for name in ("drift_scale", "drift_spread_scale")}, needs="drift_scale"),
    Cause("read_noise", "Read noise since programming (1/f)", "noise", {"read_noise_scale": 0.0}),
    Cause("levels", "Finite number of levels", "noise", {"states": 0}),
    Cause("stuck", "Stuck devices", "faults", dict.fromkeys(("p_low", "p_high", "p_value", "p_random"), 0.0)),
    Cause("weight_noise", "Read noise of each product", "forward", {"w_noise": 0.0}),
    Cause("wires", "Wire resistance (IR drop)", "forward", {"ir_drop": 0.0}),
    Cause("dac", "DAC resolution", "forward", {"inp_res": 0.0}),
    Cause("input_range", "Input range (DAC clipping)", "", {"input_range": "largest"}),
    Cause("input_noise", "Input noise", "forward", {"inp_noise": 0.0}),
    Cause("adc", "ADC resolution", "forward", {"out_res": 0.0}, {"out_res": _same_step}),
    Cause(
        "adc_range",
        "Output range (ADC clipping)",
        "forward",
        {"out_bound": _wide, "out_res": _same_step},
        {"out_bound": operator.attrgetter("out_bound")},
    ),
    Cause("output_noise", "Output noise", "forward", {"out_noise": 0.0, "out_noise_std": 0.0}),
    Cause("output_stage", "Bent and unequal converters", "forward", dict.fromkeys(_STAGE, 0.0)),
)


def causes_of(scenario: Scenario) -> list[Cause]:
    """Return the non-idealities that a scenario has; none of the periphery where it is perfect."""
    found = [cause for cause in CAUSES if cause.applies(scenario)]
    return [c for c in found if c.part != "forward"] if scenario.forward.is_perfect else found


def ideal(scenario: Scenario) -> Scenario:
    """Return a scenario with every non-ideality switched off."""
    for cause in causes_of(scenario):
        scenario = cause.without(scenario)
    return scenario


class Blame(Experiment):
    """Score a programmed network at one time with each non-ideality removed, and with only it present.

    All cases run on the same chips, so costs are paired differences; intervals are Student's t over chips. Costs do not
    add up: effects hide each other.

    Examples
    --------
    >>> ds = Blame(n_chips=3, samples=60).run()
    >>> ds.cost_removed.dims, ds.cost_removed.attrs["units"]
    (('cause',), '1')
    """

    # fmt: off
    network = param.String("mlp-digits", doc="Network of the gallery, or file.py:name of your own.")
    time = Quantity(durations.YEAR, bounds=(0, durations.LONGEST_S), softbounds=(1, 10 * durations.YEAR), log=True,
                    unit="s", group="Chips", source="assumed", doc="Time after the reference read.")
    n_chips = Quantity(25, bounds=(1, 10_000), softbounds=(1, 100), integer=True, unit="chips", group="Chips",
                       source="assumed", doc="Chips that are programmed, the same in every case.")
    samples = Quantity(0, bounds=(0, 1_000_000), softbounds=(0, 1000), integer=True, unit="samples", group="Chips",
                       source="assumed", doc="Test samples, evenly spaced; 0 takes all.")
    scenario = param.ClassSelector(class_=Scenario, default=Scenario(), instantiate=True,
                                   doc="The scenario whose non-idealities are told apart.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for an unknown network, a bad time, or a scenario without any non-ideality."""
        super().check()
        check_network(self.network)
        check_times([float(self.time)], [self.scenario])
        robust.check(self.network, self.scenario.training)
        if not causes_of(self.scenario):
            raise ParameterError(
                "Blame.scenario: has no non-ideality (allowed: at least one). Switch one on, such as drift_scale."
            )

    @property
    def setting(self) -> Setting:
        """What all cases share."""
        return Setting(self.network, int(self.n_chips), int(self.samples), int(self.seed))

    def cases(self) -> dict[str, Scenario]:
        """Return ``name -> scenario``: ``all``, ``none``, and ``without`` and ``only`` each cause."""
        found, base = causes_of(self.scenario), ideal(self.scenario)
        made = {"all": self.scenario, "none": base}
        for cause in found:
            made[f"without {cause.name}"] = cause.without(self.scenario)
            made[f"only {cause.name}"] = cause.only(base, self.scenario)
        return made

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return the scores of every case and chip, and what each cause costs."""
        setting, cases = self.setting, self.cases()
        progress(0.0, "making tiles")
        robust.train(self.network, self.scenario.training, lambda text: progress(0.0, text))
        setting.require_memory([self.scenario])
        scores = {}
        with setting.threads():
            for k, (name, scenario) in enumerate(cases.items()):
                chips = setting.programmed(scenario).drift_to(float(self.time))
                answers = Answers(setting.exam())
                for done in answers.ask(chips):
                    progress((k + done) / len(cases), _worded(name))
                scores[name] = answers.scores()
        return _dataset(causes_of(self.scenario), scores, setting.digital())


def _worded(case: str) -> str:
    how, _, name = case.partition(" ")
    title = next((c.title for c in CAUSES if c.name == name), "")
    return {"all": "everything", "none": "nothing"}.get(how, f"{how} {title[:1].lower()}{title[1:]}")


def _dataset(causes: list[Cause], scores: dict[str, np.ndarray], digital: float) -> xr.Dataset:
    removed = [paired(scores[f"without {c.name}"], scores["all"]) for c in causes]
    alone = [paired(scores["none"], scores[f"only {c.name}"]) for c in causes]
    together = paired(scores["none"], scores["all"])
    both = ("cause", "chip")
    data = {
        "accuracy_all": ("chip", scores["all"], "Score with everything"),
        "accuracy_none": ("chip", scores["none"], "Score with every non-ideality off"),
        "accuracy_without": (both, np.stack([scores[f"without {c.name}"] for c in causes]), "Score without the cause"),
        "accuracy_only": (both, np.stack([scores[f"only {c.name}"] for c in causes]), "Score with only the cause"),
        "digital_accuracy": ((), digital, "Score in floating point"),
        "cost_all": ((), together.value, "What all causes cost together, mean over chips"),
        "cost_all_half_width": ((), together.half_width, "Half of its 95 % interval"),
    }
    told = {"removed": "What the score gains without the cause", "alone": "What the score loses by the cause alone"}
    for (name, text), found in zip(told.items(), (removed, alone), strict=True):
        data[f"cost_{name}"] = ("cause", np.array([m.value for m in found]), f"{text}, mean over chips")
        halves = np.array([m.half_width for m in found])
        data[f"cost_{name}_half_width"] = ("cause", halves, "Half of its 95 % interval")
    made = {n: xr.Variable(dims, v, {"units": "1", "long_name": t}) for n, (dims, v, t) in data.items()}
    coords = {"cause": [c.name for c in causes], "title": ("cause", [c.title for c in causes]),
              "chip": np.arange(len(scores["all"]))}  # fmt: skip
    return xr.Dataset(made, coords)


def sentence(ds: xr.Dataset) -> str:
    """Return what a result of `Blame` says, in one or two sentences.

    Only what is larger than its own interval is called a cost.
    """
    total = _mean(ds.cost_all, ds.cost_all_half_width, ds.sizes["chip"])
    where = f"after {durations.about(_time(ds))}"
    if not abs(total.value) > total.half_width:
        return f"All non-idealities together cost nothing that {total.n} chips could tell from zero {where}."
    order = np.argsort(-ds.cost_removed.values)
    told = [_told(ds, k) for k in order if ds.cost_removed.values[k] > ds.cost_removed_half_width.values[k]]
    first = f"All non-idealities together cost {_points(total)} {where}"
    if not told:
        return f"{first}; no single one, removed alone, gives back more than its interval."
    rest = f"; then {', '.join(told[1:3])}" if len(told) > 1 else ""
    return f"{first}. Removing {told[0]} gives back most{rest}."


def _told(ds: xr.Dataset, k: int) -> str:
    title = str(ds.title.values[k])
    name = title if title[:3].isupper() else title[:1].lower() + title[1:]
    return f"{name} ({_points(_mean(ds.cost_removed[k], ds.cost_removed_half_width[k]))})"


def _mean(value: xr.DataArray, half_width: xr.DataArray, n: int = 0) -> Mean:
    return Mean(float(value), float(half_width), n)


def _points(found: Mean) -> str:
    return f"{100 * found.value:.2f} ± {100 * found.half_width:.2f} points".replace("-", "−")


def _time(ds: xr.Dataset) -> float:
    return float(json.loads(ds.attrs["experiment"])["parameters"]["time"])
