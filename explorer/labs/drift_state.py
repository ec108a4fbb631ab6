# SPDX-License-Identifier: Apache-2.0
"""What a drift lab shows: parameters only, no widgets and no results."""

from __future__ import annotations

from typing import Any

import param

from engine.errors import ParameterError, say
from engine.inference import Converter
from engine.inference import compensation as compensations
from engine.inference import converters as converters
from engine.inference import noise as noises
from engine.quantity import Model
from engine.tiles import IOParameters
from engine.tiles.faults import StuckFaults
from explorer import durations, networks
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.scenario import Scenario
from explorer.labs.history import EditedModel

MAX_SCENARIOS = 6
"""Curves that can be told apart by colour, dash and marker."""
_REGISTRIES = {"noise": noises, "converter": converters, "compensation": compensations}
_OWN = "of the noise model"
_GROUPS = {"noise": "Devices", "converter": "Conductances", "compensation": "Compensation"}
_EXPERIMENT = ("n_chips", "n_read", "samples", "seed")


class FlatDrift:
    """The experiment of drift, and one of its scenarios as a list of parameters that a panel edits.

    Never changed; `copy` makes another one.

    Parameters
    ----------
    experiment : DriftAccuracy
    selected : int
        Scenario whose parameters are told.

    Examples
    --------
    >>> flat = FlatDrift(DriftAccuracy()).copy(noise="hermes_two", drift_scale=0.5, n_chips=8)
    >>> flat.scenario.noise.drift_scale, flat.experiment.n_chips, flat.g_max
    (0.5, 8, 20.7)
    """

    def __init__(self, experiment: DriftAccuracy, selected: int = 0):
        self.experiment, self.selected = experiment, selected
        if not 0 <= selected < len(experiment.scenarios):
            raise ParameterError(say("scenario", selected, "there is none", "one of the list", "Choose another."))

    @property
    def scenario(self) -> Scenario:
        """The selected scenario."""
        return self.experiment.scenarios[self.selected]

    @property
    def kind(self) -> tuple:
        """What decides which parameters there are."""
        return tuple(None if (p := getattr(self.scenario, n)) is None else type(p) for n in _REGISTRIES)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in ("experiment", "selected"):
            raise AttributeError(name)
        if name == "network" or name in _EXPERIMENT:
            return getattr(self.experiment, name)
        if name in _REGISTRIES:
            held = getattr(self.scenario, name)
            return _OWN if held is None else held.stem()
        holder = self._holder(name)
        if holder is None:
            raise AttributeError(name)
        return getattr(holder, name)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, FlatDrift) and self.selected == other.selected and self.experiment == other.experiment
        )

    __hash__ = None

    def fields(self) -> list[str]:
        """Return the names of all parameters: network and chips, devices, conductances, compensation, periphery."""
        scenario = self.scenario
        names = ["network", *_EXPERIMENT, "training", "input_range"]
        for part in _REGISTRIES:
            held = getattr(scenario, part)
            names += [part, *(n for n in (held.fields() if held is not None else ()) if n not in names)]
        return [*names, *StuckFaults.fields(), "repair", *IOParameters.fields()]

    def describe(self, name: str) -> dict[str, Any]:
        """Return what a panel needs to know of a parameter."""
        if name == "network":
            options = {networks.get_scored(n).title: n for n in networks.scored_names()}
            if networks.is_file(self.network):
                options[self.network] = self.network
            return _choice(name, options, "mlp-digits", "Network", "Network and data.")
        if name in _EXPERIMENT:
            return DriftAccuracy.describe(name) | {"group": "Chips"}
        if name in _REGISTRIES:
            return self._describe_part(name)
        holder = self._holder(name)
        if holder is None:
            raise ParameterError(f"drift lab: there is no parameter {name!r}.")
        about = type(holder).describe(name)
        return about | {"group": _group(self._part_of(name), about["group"])}

    def _describe_part(self, name: str) -> dict[str, Any]:
        kind, default = _REGISTRIES[name], getattr(Scenario(), name)
        options = {kind.get(stem).title or stem: stem for stem in kind.names()}
        if name == "converter":
            options = {"Of the noise model": _OWN} | options
        doc = Scenario.param[name].doc
        return _choice(name, options, _OWN if default is None else default.stem(), _GROUPS[name], doc)

    def values(self) -> dict[str, Any]:
        """Return ``name -> value``, plain Python values."""
        return {name: getattr(self, name) for name in self.fields()}

    def plain(self) -> FlatDrift:
        """Return the same choices of parts with all their parameters at their defaults."""
        scenario = self.scenario
        parts = {n: None if getattr(scenario, n) is None else getattr(scenario, n).stem() for n in _REGISTRIES}
        made = {n: _REGISTRIES[n].get(stem)() for n, stem in parts.items() if stem is not None}
        if "converter" in made:
            made["converter"] = _scaled(made["converter"], made["noise"].g_max)
        start = Scenario(title=scenario.title, **made)
        scenarios = [start if k == self.selected else s for k, s in enumerate(self.experiment.scenarios)]
        kept = {"times": list(self.experiment.times), "network": self.experiment.network}
        return FlatDrift(DriftAccuracy(scenarios=[s.copy() for s in scenarios], **kept), self.selected)

    def copy(self, **changes: Any) -> FlatDrift:
        """Return another one with some values changed; raises `ParameterError` as the classes do.

        Beside the parameters of `fields`: ``times``, ``title``, ``scenarios``, ``selected``.
        """
        selected = changes.pop("selected", self.selected)
        own = {n: changes.pop(n) for n in ("network", "times", "scenarios", *_EXPERIMENT) if n in changes}
        if changes:
            scenarios = list(own.get("scenarios", self.experiment.scenarios))
            scenarios[self.selected] = self._scenario(changes)
            own["scenarios"] = scenarios
        return FlatDrift(self.experiment.copy(**own) if own else self.experiment, selected)

    def _scenario(self, changes: dict[str, Any]) -> Scenario:
        """Return the selected scenario with other parts first, then other values in them."""
        scenario, parts = self.scenario, {n: changes.pop(n) for n in _REGISTRIES if n in changes}
        if parts:
            scenario = _with_parts(scenario, parts)
        by_part: dict[str, dict[str, Any]] = {}
        holder = FlatDrift(self.experiment.copy(scenarios=[scenario]))
        for name, value in changes.items():
            by_part.setdefault(holder._part_of(name), {})[name] = value
        own = by_part.pop("", {})
        made = {part: getattr(scenario, part).copy(**values) for part, values in by_part.items()}
        made = _same_g_max(scenario, made)
        return scenario.copy(**own, **made)

    def _part_of(self, name: str) -> str:
        """Return the part of the scenario that has a parameter; empty for the scenario itself."""
        if name in ("title", *Scenario.fields()):
            return ""
        for part in (*_REGISTRIES, "faults", "forward"):
            held = getattr(self.scenario, part)
            if held is not None and name in held.fields():
                return part
        raise ParameterError(f"Scenario.{name}: there is no such parameter. Choose another.")

    def _holder(self, name: str) -> Model | None:
        try:
            part = self._part_of(name)
        except ParameterError:
            return None
        return getattr(self.scenario, part) if part else self.scenario


def _group(part: str, group: str) -> str:
    """Return the heading of a parameter: all of one part together, but what devices do in groups of its own."""
    if part == "noise":
        return _GROUPS[part] if group in ("Conductance", "Scales", "Time") else f"{_GROUPS[part]}: {group.lower()}"
    if part == "faults":
        return "Stuck devices"
    return _GROUPS.get(part, {"General": "Product"}.get(group, group))


def _choice(name: str, options: dict[str, str], default: str, group: str, doc: str) -> dict[str, Any]:
    return {"name": name, "kind": "choice", "unit": "1", "source": "assumed", "doc": doc, "default": default,
            "bounds": None, "inclusive_bounds": None, "softbounds": None, "log": False, "integer": False,
            "objects": options, "group": group}  # fmt: skip


def _with_parts(scenario: Scenario, parts: dict[str, str]) -> Scenario:
    """Return a scenario with other parts, at their defaults; the converter follows the noise model's g_max."""
    made: dict[str, Any] = {}
    for name, stem in parts.items():
        made[name] = None if name == "converter" and stem == _OWN else _REGISTRIES[name].get(stem)()
    if "noise" in made and "converter" not in made:
        made["converter"] = None  # a pair for one kind of device is none for another
    return scenario.copy(**_same_g_max(scenario, made))


def _same_g_max(scenario: Scenario, made: dict[str, Any]) -> dict[str, Any]:
    noise, converter = made.get("noise", scenario.noise), made.get("converter", scenario.converter)
    if converter is not None and converter.g_max != noise.g_max:
        made["converter"] = _scaled(converter, noise.g_max)
    return made


def _scaled(converter: Converter, g_max: float) -> Converter:
    """Return a converter with another range: all its conductances in proportion."""
    factor = g_max / converter.g_max
    conductances = {n: v for n, v in converter.values().items() if converter.describe(n)["unit"] == "uS"}
    scaled = {n: [x * factor for x in v] if isinstance(v, list) else v * factor for n, v in conductances.items()}
    return converter.copy(**scaled | {"g_max": g_max})


class DriftState(EditedModel):
    """The experiment under study, the scenario under edit, and the time that is looked at; views watch ``revision``.

    ``drift`` is replaced, never mutated.
    """

    holds = "drift"
    noun = "drift"

    drift: FlatDrift = param.ClassSelector(class_=FlatDrift, doc="The last valid experiment.")  # type: ignore[assignment]
    time = param.Number(durations.DAY, bounds=(0, durations.LONGEST_S), doc="Time that weights are shown at, s.")

    def __init__(self, **values: Any):
        super().__init__(FlatDrift(DriftAccuracy(**values)))

    @property
    def experiment(self) -> DriftAccuracy:
        """The experiment on show; a copy before it is changed."""
        return self.drift.experiment

    @property
    def scenario(self) -> Scenario:
        """The scenario under edit."""
        return self.drift.scenario

    @property
    def edited(self) -> bool:
        """Whether the scenario differs from the defaults of its parts."""
        return bool(self.edited_fields())

    def edited_fields(self) -> list[str]:
        """Return the parameters that differ from the defaults of their parts."""
        start = self.start_values()
        return [n for n, v in self.drift.values().items() if v != start[n]]

    def start_value(self, name: str) -> Any:
        """Return the default of one parameter, among the parts as they are chosen."""
        return getattr(self.drift.plain(), name)

    def start_values(self) -> dict[str, Any]:
        """Return the defaults of all."""
        return self.drift.plain().values()

    def select(self, index: int) -> None:
        """Edit another scenario."""
        self.set(selected=index)

    def add(self, scenario: Scenario) -> bool:
        """Add a scenario, under a title that is free, and edit it; return whether there was room."""
        scenarios = self.experiment.scenarios
        if len(scenarios) >= MAX_SCENARIOS:
            rule, remedy = "are too many to tell apart", "Remove one first."
            self.refuse("title", say("scenarios", len(scenarios) + 1, rule, f"at most {MAX_SCENARIOS}", remedy))
            return False
        named = scenario.copy(title=self._free(scenario.title))
        return self.set(scenarios=[*scenarios, named], selected=len(scenarios))

    def duplicate(self) -> bool:
        """Add a copy of the scenario under edit and edit that."""
        return self.add(self.scenario)

    def remove(self) -> bool:
        """Remove the scenario under edit; the last one stays."""
        scenarios, at = self.experiment.scenarios, self.drift.selected
        if len(scenarios) == 1:
            return False
        return self.set(scenarios=[s for k, s in enumerate(scenarios) if k != at], selected=max(0, at - 1))

    def rename(self, title: str) -> bool:
        """Give the scenario under edit another title; return whether it was free."""
        return self.set(title=title.strip())

    def load_experiment(self, experiment: DriftAccuracy) -> None:
        """Show an experiment from elsewhere."""
        self._push()
        self._show("", FlatDrift(experiment.copy()))

    def _free(self, title: str) -> str:
        taken, k, found = {s.title for s in self.experiment.scenarios}, 2, title
        while found in taken:
            found, k = f"{title} {k}", k + 1
        return found

    def to_query(self) -> dict[str, Any]:
        """Return the whole state as plain values, for a link; a network of a file is not told."""
        experiment, plain = self.experiment, DriftAccuracy()
        own = {n: getattr(experiment, n) for n in ("network", "times", *_EXPERIMENT)}
        told = {n: v for n, v in own.items() if v != getattr(plain, n)}
        told["scenarios"] = [_told(s) for s in experiment.scenarios]
        return told | {"selected": self.drift.selected, "time": self.time}

    def from_query(self, query: dict[str, Any]) -> None:
        """Restore what `to_query` gave.

        Raises
        ------
        OhmscapeError
            If the link names an unknown part, parameter or network, a file, or a value out of bounds.
        """
        given = dict(query)
        network = given.pop("network", "mlp-digits")
        networks.get_scored(network)  # never a file: a link must not run one
        selected, time = given.pop("selected", 0), given.pop("time", durations.DAY)
        scenarios = [_untold(one) for one in given.pop("scenarios")]
        if len(scenarios) > MAX_SCENARIOS:
            remedy = "Leave some out."
            raise ParameterError(say("scenarios", len(scenarios), "are too many", f"{MAX_SCENARIOS} at most", remedy))
        made = FlatDrift(DriftAccuracy(network=network, scenarios=scenarios, **given), selected)
        self._push()
        self.time = durations.checked(float(time))
        self._show("", made)


def _told(scenario: Scenario) -> dict[str, Any]:
    """Return a scenario as what differs from its parts' defaults."""
    told: dict[str, Any] = {"title": scenario.title}
    for name, value in scenario.values().items():
        if value != Scenario.describe(name)["default"]:
            told[name] = value
    for name in _REGISTRIES:
        part = getattr(scenario, name)
        if part is not None:
            told[name] = {"kind": part.stem(), "parameters": _changed(part, type(part)())}
    start = Scenario()
    for name in ("forward", "faults"):
        if changed := _changed(getattr(scenario, name), getattr(start, name)):
            told[name] = changed
    return told


def _changed(model: Model, base: Model) -> dict[str, Any]:
    plain = base.values()
    return {n: v for n, v in model.values().items() if v != plain[n]}


def _untold(told: dict[str, Any]) -> Scenario:
    start, values = Scenario(), dict(told)
    for name in ("forward", "faults"):
        values[name] = getattr(start, name).copy(**values.get(name, {}))
    return Scenario(**values)
