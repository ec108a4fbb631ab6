# SPDX-License-Identifier: Apache-2.0
"""One way of putting a network on chips: devices, conductances, compensation, periphery, stuck devices."""

from __future__ import annotations

from typing import Any

import param

from engine.errors import ParameterError
from engine.inference import Compensation, Converter, Faults, NoiseModel
from engine.inference import compensation as compensations
from engine.inference import converters as converters
from engine.inference import noise as noises
from engine.quantity import Choice, Flag, Model
from engine.tiles import IOParameters, periphery_presets
from engine.tiles.faults import StuckFaults
from explorer.experiments.robust import TRAININGS

PERIPHERY = "pcm_read"
"""Periphery that a scenario begins with: the one of aihwkit's inference presets."""
RANGES = ("largest", "calibrated")
_PARTS = {"noise": noises, "converter": converters, "compensation": compensations}
_PLAIN = {"forward": IOParameters, "faults": StuckFaults}


class Scenario(Model):
    """Everything that may differ between two curves of accuracy over time.

    Examples
    --------
    >>> one = Scenario(title="No compensation", compensation="none")
    >>> Scenario.from_dict(one.to_dict()) == one
    True
    """

    # fmt: off
    title = param.String("PCM", doc="What the scenario is called; no two of an experiment alike.")
    training = Choice("direct", TRAININGS, group="Network", source="assumed",
                      doc="The network as it was trained digitally, or fine-tuned through a model of the hardware "
                          "(recipe explorer_small), put on the chips anew.")
    input_range = Choice("largest", RANGES, group="Network", source="assumed",
                         doc="Inputs of a tile are scaled to the largest of each vector, or to a range found once from "
                             "training data (their 0.999 quantile).")
    noise = param.ClassSelector(class_=NoiseModel, default=noises.get("pcm")(), instantiate=True,
                                doc="Statistics of the devices.")
    converter = param.ClassSelector(class_=Converter, default=None, allow_None=True, instantiate=True,
                                    doc="From weights to conductances; what belongs to the noise model where None.")
    compensation = param.ClassSelector(class_=Compensation, default=compensations.get("global")(), instantiate=True,
                                       doc="What is done against drift.")
    forward = param.ClassSelector(class_=IOParameters, default=periphery_presets.load(PERIPHERY), instantiate=True,
                                  doc="Periphery of the product.")
    faults = param.ClassSelector(class_=StuckFaults, default=StuckFaults(), instantiate=True,
                                 doc="Shares of devices that are stuck.")
    repair = Flag(False, group="Stuck devices", source="assumed",
                  doc="After a verifying read the healthy device of a pair makes up for a stuck one.")
    # fmt: on

    def __init__(self, **values: Any):
        for name, kind in _PARTS.items():
            given = values.get(name)
            if given is not None:
                values[name] = kind.made(given, f"Scenario.{name}")
        super().__init__(**values)

    def check(self) -> None:
        """Raise `ParameterError` where there is no title, or converter and noise model do not fit together."""
        super().check()
        if not self.title.strip():
            raise ParameterError("Scenario.title = '': is empty (allowed: any text). Give it a name.")
        self.noise.check_converter(self.made_converter())

    def made_converter(self) -> Converter:
        """Return the converter, the noise model's own where none is given."""
        return self.noise.converter() if self.converter is None else self.converter

    def made_faults(self) -> Faults | None:
        """Return the stuck devices; None where there are none."""
        rates = self.faults
        some = rates.p_low + rates.p_high + rates.p_value + rates.p_random > 0
        return Faults(rates.copy(), self.repair) if some else None

    def state(self) -> dict[str, Any]:
        """Return ``name -> value`` of all parameters, the parts included (not copied)."""
        return {n: getattr(self, n) for n in self.param if n != "name"}

    def copy(self, **changes: Any) -> Scenario:
        """Return an independent copy with some parameters changed."""
        kept = {n: v.copy() if isinstance(v, Model) else v for n, v in self.state().items() if n not in changes}
        return type(self)(**kept, **changes)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.to_dict() == other.to_dict()

    __hash__ = None

    def to_dict(self) -> dict[str, Any]:
        """Return the scenario as plain data, JSON-ready."""
        parts = {n: None if getattr(self, n) is None else getattr(self, n).to_dict() for n in _PARTS}
        plain = {n: getattr(self, n).values() for n in _PLAIN}
        return {"title": self.title} | self.values() | parts | plain

    @classmethod
    def from_dict(cls, written: dict[str, Any]) -> Scenario:
        """Return what `to_dict` was made from; what is absent takes its default.

        Raises
        ------
        ParameterError
            If it names a part or a parameter that does not exist, or a value breaks its rule.
        """
        values = dict(written)
        for name, kind in _PLAIN.items():
            if name in values:
                values[name] = kind(**values[name])
        return cls(**values)


def check_titles(scenarios: list[Scenario]) -> None:
    """Raise `ParameterError` unless there is a scenario and no two have the same title."""
    titles = [s.title for s in scenarios]
    if not titles:
        raise ParameterError("DriftAccuracy.scenarios = []: is empty (allowed: one or more). Add a scenario.")
    twice = next((t for t in titles if titles.count(t) > 1), None)
    if twice is not None:
        raise ParameterError(
            f"DriftAccuracy.scenarios: two are called {twice!r} (allowed: each title once). Rename one of them."
        )
