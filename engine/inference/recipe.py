# SPDX-License-Identifier: Apache-2.0
"""How the tiles of a network are programmed, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.errors import ParameterError, say
from engine.inference import compensation as compensations
from engine.inference import converters
from engine.inference import noise as noises
from engine.inference.compensation import Compensation
from engine.inference.converters import Converter
from engine.inference.faults import Faults
from engine.inference.noise import NoiseModel

PAIR_STATES = ("separate", "merged")


@dataclass
class Recipe:
    """How tiles are programmed; the same for all tiles of a network.

    Parameters
    ----------
    noise : NoiseModel
    converter : Converter
    compensation : Compensation
    faults : Faults, optional
    pair_state : {"separate", "merged"}
        Every device keeps its own conductance; or only the net weight is kept after programming and converted again for
        each reading, as aihwkit does.
    peer_compat : bool
        The net weights of ``"merged"`` are converted with a scale of their own, as aihwkit does.
    """

    noise: NoiseModel
    converter: Converter
    compensation: Compensation
    faults: Faults | None = None
    pair_state: str = "separate"
    peer_compat: bool = False

    def __post_init__(self) -> None:
        self.noise.check_converter(self.converter)
        if self.pair_state not in PAIR_STATES:
            raise ParameterError(
                say("pair_state", self.pair_state, "is unknown", ", ".join(PAIR_STATES), "Choose one of these.")
            )
        if self.faults is not None and not isinstance(self.faults, Faults):
            allowed = "an engine.inference.Faults, or None"
            raise ParameterError(say("program.faults", self.faults, "is no Faults", allowed, "Pass Faults(...)."))
        if self.peer_compat and self.pair_state != "merged":
            rule = "has no effect on separate devices"
            raise ParameterError(say("peer_compat", True, rule, "False", "Set pair_state='merged', or leave it off."))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, JSON-ready."""
        parts = {name: getattr(self, name).to_dict() for name in ("noise", "converter", "compensation")}
        faults = None if self.faults is None else self.faults.to_dict()
        return parts | {"faults": faults, "pair_state": self.pair_state, "peer_compat": self.peer_compat}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Recipe:
        """Return the recipe of `to_dict`."""
        return Recipe(
            noises.made(data["noise"], "recipe.noise"),
            converters.made(data["converter"], "recipe.converter"),
            compensations.made(data["compensation"], "recipe.compensation"),
            None if data["faults"] is None else Faults.from_dict(data["faults"]),
            data["pair_state"],
            data["peer_compat"],
        )
