# SPDX-License-Identifier: Apache-2.0
"""Memory of programmed networks, before they are programmed."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from engine.errors import CapacityError
from engine.inference import converters
from engine.inference import noise as noises
from engine.inference.converters import Converter
from engine.inference.noise import NoiseModel
from engine.nn.checkpoint import analog_layers
from engine.nn.memory import available_memory, shown

_FLOAT = 4
_WORKING = 2  # arrays of one tile, of all chips, that a read makes on its way


@dataclass(frozen=True)
class Forecast:
    """What a programmed network holds.

    Attributes
    ----------
    weights : int
        Analog weights of the model.
    slices : int
        Devices of a weight.
    chip_bytes : int
        Of each chip: what stays of every device, and the weights in use.
    fixed_bytes : int
        For all chips together: wanted weights and targets.
    working_bytes : int
        Of each chip while its largest tile is read.
    chips : int
    """

    weights: int
    slices: int
    chip_bytes: int
    fixed_bytes: int
    working_bytes: int
    chips: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.fixed_bytes + self.chips * (self.chip_bytes + self.working_bytes)

    def chips_within(self, free_bytes: int) -> int:
        """Return how many chips fit into so much memory."""
        return max(0, (free_bytes - self.fixed_bytes) // max(1, self.chip_bytes + self.working_bytes))

    def __str__(self) -> str:
        return (
            f"{shown(self.total_bytes)} for {self.chips} chips of {self.weights:,} weights on {self.slices} devices "
            f"each ({shown(self.chip_bytes)} a chip)"
        )


def forecast(
    model: torch.nn.Module,
    noise: NoiseModel | str = "pcm",
    converter: Converter | str | None = None,
    *,
    chips: int = 25,
) -> Forecast:
    """Return the memory that `program` would take; times cost nothing, they follow one another.

    Examples
    --------
    >>> from engine.nn import AnalogLinear
    >>> from engine.tiles import TileConfig
    >>> print(forecast(AnalogLinear(512, 512, config=TileConfig("idealized_symmetric")), chips=5))
    58.0 MiB for 5 chips of 262,144 weights on 2 devices each (7.0 MiB a chip)
    """
    chosen = noises.made(noise, "forecast.noise")
    given = chosen.converter() if converter is None else converters.made(converter, "forecast.converter")
    sizes = [tile.weights.numel() for layer in analog_layers(model).values() for tile in layer.tiles]
    weights, each = sum(sizes), given.slices
    return Forecast(
        weights=weights,
        slices=each,
        chip_bytes=_FLOAT * weights * (each * len(chosen.state_names()) + 1),
        fixed_bytes=_FLOAT * weights * (each + 1),
        working_bytes=_FLOAT * max(sizes, default=0) * each * _WORKING if each else 0,
        chips=chips,
    )


def check_memory(needed: Forecast, held_bytes: int = 0) -> None:
    """Raise `CapacityError` with advice where a network will not fit; ``held_bytes`` are given back first."""
    free = available_memory()
    if free is None or needed.total_bytes <= free + held_bytes:
        return
    fits = needed.chips_within(free + held_bytes)
    advice = f"Take {fits} chips at a time (chip k of a seed is always the same)" if fits else "Take a larger machine"
    raise CapacityError(
        f"program.chips = {needed.chips}: need {needed} (allowed: {shown(free)}, what is free). {advice}, or a "
        "converter with fewer devices."
    )
