# SPDX-License-Identifier: Apache-2.0
"""Accuracy of a classifier with analog layers on many programmed chips over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from engine.inference import Converter, ProgrammedNetwork, program
from engine.inference import noise as noises
from engine.nn import calibrate

TIMES = [1.0, 3600.0, 86400.0, 365 * 86400.0]
"""One second, one hour, one day, one year, in seconds."""
_PASS = 500  # vectors of one pass, chips times samples: bounds the memory of unfolded convolutions


@dataclass(frozen=True)
class ChipTest:
    """Labelled inputs, and the chips that they are tried on.

    Parameters
    ----------
    x, y : torch.Tensor
        Inputs ``(samples, ...)`` and labels ``(samples,)``.
    times : list of float
        Seconds after the reference read.
    chips, seed : int
        Chip k of a seed is made of the same draws for every network and compensation.
    noise : str
        Statistics of the devices, by name.
    compensations : tuple of str
    converter : Converter, optional
        From weights to conductances; what belongs to the noise model if not given.
    scales : dict
        What differs from the defaults of the noise model.
    """

    x: torch.Tensor
    y: torch.Tensor
    times: list[float] = field(default_factory=lambda: list(TIMES))
    chips: int = 25
    seed: int = 0
    noise: str = "pcm"
    compensations: tuple[str, ...] = ("global",)
    converter: Converter | None = None
    scales: dict[str, float] = field(default_factory=dict)

    def accuracy(self, model: torch.nn.Module, tick: Callable[[float], None] | None = None) -> np.ndarray:
        """Return the share of samples right, ``(compensation, time, chip)``."""
        devices = noises.get(self.noise)(**self.scales)
        found = np.empty((len(self.compensations), len(self.times), self.chips))
        for c, compensation in enumerate(self.compensations):
            chips = program(model, devices, self.converter, compensation, chips=self.chips, seed=self.seed)
            for t, time in enumerate(self.times):
                found[c, t] = self._right(chips.drift_to(time))
                if tick is not None:
                    tick((c * len(self.times) + t + 1) / (len(self.compensations) * len(self.times)))
        return found

    def _right(self, chips: ProgrammedNetwork) -> np.ndarray:
        parts = self.x.split(max(1, _PASS // self.chips))
        found = torch.cat([chips(part).argmax(-1) for part in parts], 1)
        return (found == self.y).double().mean(1).numpy()


def share_right(model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the share of samples that a model without chips gets right; its mode is kept."""
    training = model.training
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part).argmax(-1) for part in x.split(_PASS)])
    model.train(training)
    return (found == y).double().mean().item()


def calibrated(model: torch.nn.Module, x: torch.Tensor, quantile: float = 0.999) -> torch.nn.Module:
    """Set the input ranges of a model from the first 640 training inputs, and return it in evaluation mode."""
    calibrate(model.eval(), x[:640].split(64), "cache_quantile", quantile=quantile)
    return model
