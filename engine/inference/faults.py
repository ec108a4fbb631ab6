# SPDX-License-Identifier: Apache-2.0
"""Stuck devices of programmed tiles, and the repair of a pair by its healthy device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.errors import ParameterError
from engine.inference.converters import Converter
from engine.inference.draws import Draws
from engine.tiles.faults import StuckFaults


@dataclass(frozen=True)
class Faults:
    """Which devices of a programmed network are stuck, and what is done about it.

    Parameters
    ----------
    rates : StuckFaults
        Shares of devices stuck at the ends of the range, at a value, anywhere; drawn once for each chip.
    repair : bool
        After a verifying read, write the healthy device of a pair so that the difference is right.
    read_noise : bool
        Stuck devices show the read noise of their conductance.
    """

    rates: StuckFaults
    repair: bool = False
    read_noise: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.rates, StuckFaults):
            raise ParameterError(
                f"Faults.rates = {self.rates!r}: must be rates of stuck devices (allowed: a StuckFaults). "
                "Use engine.tiles.faults.StuckFaults(p_high=0.01)."
            )

    def to_dict(self) -> dict:
        """Return plain values, JSON-ready."""
        return {"rates": self.rates.values(), "repair": self.repair, "read_noise": self.read_noise}

    @staticmethod
    def from_dict(data: dict) -> Faults:
        """Return what `to_dict` was made from."""
        return Faults(StuckFaults(**data["rates"]), data["repair"], data["read_noise"])


@dataclass
class StuckDevices:
    """The stuck devices of one tile on all chips.

    Attributes
    ----------
    where : torch.Tensor
        bool ``(chip, slices, out, in)``.
    levels : torch.Tensor
        ``(chip, slices, out, in)`` uS; only those of stuck devices count.
    """

    where: torch.Tensor
    levels: torch.Tensor

    @staticmethod
    def drawn(faults: Faults, converter: Converter, draws: Draws) -> StuckDevices:
        """Draw for every chip and slice."""
        slices, *shape = draws.shape
        maps = [
            faults.rates.draw(tuple(shape), converter.g_min, converter.g_max, seed=key, name=str(k))
            for key in draws.keys("stuck")
            for k in range(slices)
        ]
        size = len(draws.seeds), *draws.shape
        where = torch.from_numpy(np.stack([m.stuck for m in maps])).reshape(size)
        levels = torch.from_numpy(np.stack([m.values for m in maps]).astype(np.float32)).reshape(size)
        return StuckDevices(where.to(draws.device), levels.to(draws.device))

    def applied(self, conductances: torch.Tensor) -> torch.Tensor:
        """Return conductances ``(chip, slices, out, in)`` with those of stuck devices in place."""
        return torch.where(self.where, self.levels, conductances)

    def repaired(self, target: torch.Tensor, converter: Converter) -> torch.Tensor:
        """Return targets ``(chip, slices, out, in)`` that make up for a stuck device of a pair by its partner.

        Raises
        ------
        ParameterError
            Where a weight is on a single device, which has no partner.
        """
        if not converter.paired:
            raise ParameterError(
                f"Faults.repair = True: {type(converter).__name__} has no pairs (allowed: converters with pairs). "
                "Switch repair off, or take SinglePair."
            )
        target = target.expand(self.where.shape)
        positive, negative = target[:, 0::2], target[:, 1::2]
        wanted = positive - negative
        stuck_up, stuck_down = self.where[:, 0::2], self.where[:, 1::2]
        ends = converter.g_min, converter.g_max
        to_down = torch.where(stuck_up & ~stuck_down, (self.levels[:, 0::2] - wanted).clamp(*ends), negative)
        to_up = torch.where(stuck_down & ~stuck_up, (self.levels[:, 1::2] + wanted).clamp(*ends), positive)
        return torch.stack([to_up, to_down], 2).reshape(target.shape)

    def report(self) -> dict[str, float]:
        """Return means over chips: stuck devices, their share, pairs of which both devices are stuck."""
        chips = len(self.where)
        both = self.where[:, 0::2] & self.where[:, 1::2] if self.where.shape[1] > 1 else self.where[:, :0]
        return {
            "stuck": self.where.sum().item() / chips,
            "share": self.where.double().mean().item(),
            "lost_pairs": both.sum().item() / chips,
        }
