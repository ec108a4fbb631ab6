# SPDX-License-Identifier: Apache-2.0
"""What programming, time and a read make of devices with a given target: mean and spread, simulated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.inference import NoiseModel
from engine.inference.draws import Draws
from engine.rng import derive_seed

LEVELS = 26
DEVICES = 4000
"""Devices for each target: their standard deviation is sure to 1.1 %, 1/√(2·4000)."""


@dataclass(frozen=True)
class Levels:
    """Devices of one noise model at their targets.

    Attributes
    ----------
    target : array, (level,)
        From the converter's g_min to g_max, uS.
    mean, std : array, (time, level)
        Of g(t) over devices, uS.
    """

    target: np.ndarray
    mean: np.ndarray
    std: np.ndarray


def levels(noise: NoiseModel, times: list[float], seed: int = 0, devices: int = DEVICES) -> Levels:
    """Simulate devices at evenly spaced targets.

    Parameters
    ----------
    noise : NoiseModel
    times : list of float
        Seconds after the reference read.
    seed : int
    devices : int
        Devices for each target.
    """
    converter = noise.converter()
    target = torch.linspace(converter.g_min, converter.g_max, LEVELS)
    wanted = target[None, :, None].expand(1, LEVELS, devices).contiguous()
    draws = Draws((derive_seed(seed, "levels"),), (1, LEVELS, devices), wanted.device)
    state = noise.program(wanted, draws, 0)
    found = [noise.conductances(wanted[None], state, float(t), draws, 0)[0, 0].double() for t in times]
    return Levels(
        target.numpy(),
        np.stack([g.mean(1).numpy() for g in found]),
        np.stack([g.std(1).numpy() for g in found]),
    )
