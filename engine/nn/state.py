# SPDX-License-Identifier: Apache-2.0
"""Saving, loading and moving a layer on tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from engine.errors import StateError
from engine.nn.grid import Block
from engine.nn.weight import AnalogWeight
from engine.tiles import InputRangeParameters, MappingParameters, Tile

_TILES_FORMAT = "tiles 1"


class LastingLayer(torch.nn.Module):
    """The tiles of a layer as part of torch's ``state_dict()`` and ``to()``; all tiles have one configuration."""

    _blocks: dict[str, Block]
    _mapping: MappingParameters
    _ranges: InputRangeParameters

    @property
    def analog_weights(self) -> dict[str, AnalogWeight]:
        """The weights of all tiles by parameter name, row of tiles by row of tiles."""
        return {name: self._parameters[name] for name in self._blocks}

    @property
    def tiles(self) -> list[Tile]:
        """All tiles, row of tiles by row of tiles."""
        return [weight.tile for weight in self.analog_weights.values()]

    def get_extra_state(self) -> dict[str, Any]:
        """Return the full state of the tiles; part of ``state_dict()``, loadable with ``weights_only=True``."""
        states = {name: weight.tile.state_dict() for name, weight in self.analog_weights.items()}
        return states["weight"] if len(states) == 1 else {"format": _TILES_FORMAT, "tiles": states}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the tiles; a differing configuration raises `ConfigMismatch` (see `engine.nn.load_state`)."""
        self.load_tiles(state)

    def tile_states(self, state: dict[str, Any], subject: str) -> dict[str, dict[str, Any]]:
        """Return the states of the tiles by parameter name, from what `get_extra_state` gave.

        Raises
        ------
        StateError
            A state of another number of tiles.
        """
        several = state.get("format") == _TILES_FORMAT
        states = state["tiles"] if several else {"weight": state}
        if set(states) != set(self._blocks):
            raise StateError(
                f"{subject}: holds {len(states)} tiles, the layer has {len(self._blocks)} (allowed: the same tiles). "
                "Build the layer with the saved mapping."
            )
        return states

    def check_loadable(self, state: dict[str, Any], *, config: str = "same", subject: str = "tile state") -> None:
        """Raise what `load_tiles` would raise, and change nothing; ``subject`` begins the message."""
        for name, tile_state in self.tile_states(state, subject).items():
            self._parameters[name].tile.check_loadable(tile_state, config=config, subject=subject)

    def load_tiles(self, state: dict[str, Any], *, config: str = "same") -> None:
        """Restore all tiles; ``config`` says what to do if the saved configuration differs (`Tile.load_state_dict`)."""
        self.check_loadable(state, config=config)
        for name, tile_state in self.tile_states(state, "tile state").items():
            self._parameters[name].tile.load_state_dict(tile_state, config=config)
        config = self.tiles[0].config
        self._mapping, self._ranges = config.mapping, config.input_range

    def differences(self, state: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return ``field -> (saved, here)`` where the saved configuration differs; all tiles of a layer have one."""
        saved = next(iter(self.tile_states(state, "tile state").values()))
        return self.tiles[0].config.differences(saved["config"])

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
        """Check before torch copies anything; the tiles' state is the truth, the weights only its visible part."""
        saved = state_dict.get(f"{prefix}_extra_state")
        if saved is not None:
            self.check_loadable(saved, config="same")
        elif any(f"{prefix}{name}" in state_dict for name in ["weight", *self._blocks]):
            errors.append(
                f"{prefix}weight: comes without the state of a tile (allowed: the state_dict of an analog model). "
                "Load it into the digital model, then call engine.nn.convert."
            )
            return
        kept = {**local_metadata, "assign_to_params_buffers": False}  # the weight stays the tile's memory
        super()._load_from_state_dict(state_dict, prefix, kept, strict, missing, unexpected, errors)

    def moved_to(self, fn: Callable[[torch.Tensor], torch.Tensor]) -> torch.device:
        """Return where `_apply` would move the layer.

        Raises
        ------
        StateError
            If it would do anything else, such as cast it.
        """
        probe = fn(torch.zeros(1, device=self.tiles[0].torch_device))
        if probe.dtype != torch.float32 or probe.device.type not in ("cpu", "cuda"):
            raise StateError(
                f"{type(self).__name__}: cannot become {probe.dtype} on {probe.device} (allowed: torch.float32 on cpu "
                "or cuda). Leave analog layers as they are; cast the digital layers only."
            )
        return probe.device

    def _apply(self, fn, recurse=True):
        """Move the layer between the CPU and a GPU; nothing else can be done to an analog weight."""
        where = self.moved_to(fn)
        for weight in self.analog_weights.values():
            weight.move(where)
        for name, parameter in self._parameters.items():
            if parameter is not None and name not in self._blocks:
                parameter.data = fn(parameter.data)
                if parameter.grad is not None:
                    parameter.grad.data = fn(parameter.grad.data)
        self._buffers.update({name: fn(b) for name, b in self._buffers.items() if b is not None})
        return self
