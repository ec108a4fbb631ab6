# SPDX-License-Identifier: Apache-2.0
"""What a tile is made of at one moment: saved, restored, moved to another device of torch."""

from __future__ import annotations

from typing import Any

import torch

from engine import ops
from engine.cuda.arrays import checked_device
from engine.errors import ConfigMismatch, ParameterError, ShapeError, StateError, say
from engine.tiles.config import TileConfig
from engine.tiles.temporal import TemporalTile

_FORMAT = 2
AVERAGES = ("forward", "backward", "read_columns", "read_rows")
"""Products that may keep a running mean of their inputs."""
COUNTERS = (*AVERAGES, "update", "pulse", "set", "time")
"""Streams of draws that a tile keeps its place in. A state may lack those that came later: they stand at the start."""


class LastingTile(TemporalTile):
    """Saving and restoring a tile, and moving it: each is followed by the same bits as if it had not happened."""

    hidden: torch.Tensor
    weights: torch.Tensor
    seed: int
    construction_seed: int
    _arrays: ops.TileArrays
    _config: TileConfig
    _granularity: float
    _steps: dict[str, int]
    _averages: dict[str, float]

    def _advance(self, stream: str, steps: int) -> int:
        """Return where a stream stands, and move it on."""
        first = self._steps[stream]
        self._steps[stream] += steps
        return first

    @property
    def follows_gradient(self) -> bool:
        """Whether an optimizer of torch changes the weights, instead of pulses."""
        return self._config.update.pulse_type == "none_but_gradient"

    def _join_states(self) -> None:
        """Let what pulses act on and what a read sees be one memory, where an optimizer writes to it."""
        if self.follows_gradient:
            self._arrays.hidden = self._arrays.apparent

    @property
    def torch_device(self) -> torch.device:
        """Where the tile lives and computes."""
        return self._arrays.hidden.device

    def to(self, torch_device: str | torch.device) -> LastingTile:
        """Move the tile to another device of torch and return it; it goes on bit by bit as it would have here."""
        where = checked_device(torch_device)
        if where != self.torch_device:
            self._place(self.state_dict(), where)
        return self

    def state_dict(self) -> dict[str, Any]:
        """Return all that defines the tile's future: configuration, states, stream positions."""
        return {
            "format": _FORMAT,
            "config": self._config.to_dict(),
            "seed": self.seed,
            "construction_seed": self.construction_seed,
            "steps": dict(self._steps),
            "averages": dict(self._averages),
            "hidden": self.hidden.clone(),
            "apparent": self.weights.clone(),
            "cells": {n: c.clone() for n, c in self._arrays.cells.items()},
            "time": self._time_state(),
            "counters": [c.clone() for c in self._arrays.counters or ()],
        }

    def load_state_dict(self, state: dict[str, Any], *, config: str = "same") -> None:
        """Restore what `state_dict` gave; the tile then continues bit by bit as the saved one would have.

        Parameters
        ----------
        state : dict
        config : {"same", "saved", "keep"}
            What to do if the saved configuration differs: refuse and show the difference, take the saved one, or
            keep the tile's own and restore only states and stream positions.

        Raises
        ------
        ConfigMismatch
            With ``config="same"`` if any field differs; nothing has been changed then.
        ShapeError
            The saved tile has another size.
        StateError
            The state has a format this version does not know.
        """
        self.check_loadable(state, config=config)
        if config == "saved":
            self._config = TileConfig.from_dict(state["config"])
            self._granularity = self.device.granularity
        self._restore(state)

    def check_loadable(self, state: dict[str, Any], *, config: str = "same", subject: str = "tile state") -> None:
        """Raise what `load_state_dict` would raise, and change nothing; ``subject`` begins the message."""
        if config not in ("same", "saved", "keep"):
            raise ParameterError(say("config", config, "is not an option", "same, saved, keep", "Choose one of these."))
        if state.get("format") != _FORMAT:
            raise StateError(
                f"{subject} format = {state.get('format')!r}: unknown (allowed: {_FORMAT}). "
                "Load it with the version of Ohmscape that saved it."
            )
        if state["hidden"].shape != self.hidden.shape:
            raise ShapeError(
                f"{subject}: got (out, in) = {tuple(state['hidden'].shape)}, this tile has "
                f"{tuple(self.hidden.shape)}. Build the tile with the saved size."
            )
        differences = self._config.differences(state["config"])
        if differences and config == "same":
            raise ConfigMismatch(_tell(subject, differences), differences)
        device = TileConfig.from_dict(state["config"]).device if config == "saved" else self.device
        if set(state["cells"]) != set(device.cell_names()):
            raise ConfigMismatch(
                f"{subject}: per-device arrays {sorted(state['cells'])} do not fit {device.stem()}. "
                "Load with config='saved'.",
                differences,
            )

    def _restore(self, state: dict[str, Any]) -> None:
        self.seed, self.construction_seed = state["seed"], state["construction_seed"]
        self._steps = dict.fromkeys(COUNTERS, 0) | state["steps"]
        self._averages = dict.fromkeys(AVERAGES, 0.0) | state["averages"]
        self.hidden.copy_(state["hidden"])
        self.weights.copy_(state["apparent"])
        self._place(state | {"hidden": self.hidden, "apparent": self.weights}, self.torch_device)

    def _place(self, state: dict[str, Any], where: torch.device) -> None:
        """Take the arrays of ``state`` to ``where``: per-device values, states, counters, processes in time."""
        cells = {n: state["cells"][n].to(where, copy=True) for n in self.device.cell_names()}
        held = state["hidden"].to(where), state["apparent"].to(where)
        self._arrays = self.device.arrays_of(cells, *held, self.seed, self.construction_seed)
        self._join_states()
        if state["counters"]:
            self._arrays.counters = tuple(c.to(where, copy=True) for c in state["counters"])
        self._restore_time(state["time"])


def _tell(subject: str, differences: dict[str, tuple[Any, Any]]) -> str:
    shown = "; ".join(f"{k}: saved {a!r}, here {b!r}" for k, (a, b) in list(differences.items())[:8])
    more = f"; and {len(differences) - 8} more" if len(differences) > 8 else ""
    return (
        f"{subject}: its configuration differs from this tile's ({shown}{more}). "
        "Load with config='saved' to take the saved one, or config='keep' to keep this one."
    )
