# SPDX-License-Identifier: Apache-2.0
"""Pulsed rank-1 updates of a batch, beside ``W -= lr * d.T @ x`` in floating point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from bench.agreement import against, along
from bench.cases import Case, Rows
from bench.operation import PAUSE_S, TimedOperation, WrongAnswer, device_of, generator, signed, start_weights
from bench.peer import PeerJob, cell_arrays, device_settings
from engine import presets
from engine.tiles import Tile, UpdateParameters

COINCIDENCES = {"dense": 1.9, "moderate": 0.38, "sparse": 0.04}
"""Mean pulses per crosspoint and sample: trains of 8, 2 and 1 slots under update BL management."""


class Update(TimedOperation):
    """A tile's update with default settings; inputs in -1 .. 1. Short ones follow one another as in training."""

    repeatable = True

    rows = Rows(
        device=("constant_step", "soft_bounds", "soft_bounds_reference", "exp_step"),
        shape=(512, 512), batch=64, bl=31, threads=(1, 2), variant=tuple(COINCIDENCES),
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        source = generator()
        out, in_ = case.shape
        device = device_of(case.device)
        self.parameters = UpdateParameters(desired_bl=case.bl)
        self.tile = Tile(out, in_, device, update=self.parameters)
        self.x, self.d = signed((case.batch, in_), source), signed((case.batch, out), source)
        # The mean of |x d| is a quarter.
        self.lr = 4 * COINCIDENCES[case.variant] * device.granularity
        self.tile.set_weights(start_weights(device, case.shape, source))
        self.start = self.tile.hidden.clone()
        self.floating = torch.zeros(out, in_)

    @classmethod
    def verify(cls) -> None:
        """Compare noise-free constant steps far from the bounds with the floating-point update: equal in the mean."""
        device = presets.load("idealized_symmetric").nominal().copy(w_max=10.0, w_min=-10.0)
        source = generator()
        x, d, lr = signed((16, 64), source), signed((16, 64), source), 7.6 * device.granularity
        tile = Tile(64, 64, device)
        changes = []
        for _ in range(20):
            tile.set_weights(torch.zeros(64, 64))
            tile.update(x, d, lr)
            changes.append(tile.weights.numpy().copy())
        found = against(along(changes, (-lr * d.T @ x).numpy()), 1.0)
        if not found.agrees:
            raise WrongAnswer(
                f"update: {found.ratio:.4f} +- {found.ratio_se:.4f} of the floating-point one (p {found.p:.1e})"
            )

    def prepare(self, repetition: int) -> None:
        """Go back to the first weights; the noise goes on."""
        self.tile.set_weights(self.start)
        self.call()
        self.tile.set_weights(self.start)

    def call(self) -> None:
        """Update with the batch."""
        self.tile.update(self.x, self.d, self.lr)

    def result(self) -> np.ndarray:
        """Return the change of the weights, ``(out, in)``."""
        return (self.tile.weights - self.start).numpy()

    def directions(self) -> Mapping[str, np.ndarray]:
        """Compare along the floating-point update, and the plain mean."""
        return {"gradient": (-self.lr * self.d.T @ self.x).numpy(), "mean": np.ones(self.case.shape, np.float32)}

    def floor(self) -> Callable[[], object]:
        """Return the floating-point update."""
        return lambda: self.floating.addmm_(self.d.T, self.x, alpha=-self.lr)

    def facts(self) -> dict[str, Any]:
        """Return the learning rate and the pulses to expect."""
        slots, coincidences = self.trains()
        return {"lr": self.lr, "mean_slots": float(slots.mean()), "mean_coincidences": float(coincidences.mean())}

    def trains(self) -> tuple[np.ndarray, np.ndarray]:
        """Return each sample's slots, and its pulses per crosspoint expected from p and q, ``(batch,)``."""
        largest = (v.abs().amax(1).numpy() for v in (self.x, self.d))
        length, x_scale, d_scale = self.parameters.scales(*largest, self.lr, self.tile.device.granularity)
        p, q = (
            np.minimum(v.abs().numpy() * scale[:, None], 1).mean(1)
            for v, scale in ((self.x, x_scale), (self.d, d_scale))
        )
        return length, length * p * q

    def peer_job(self) -> PeerJob:
        """Return the same update of the same devices."""
        settings = {
            "op": "update", "shape": self.case.shape, "lr": self.lr, "pause_s": PAUSE_S,
            "device": device_settings(self.tile.device), "update": {"desired_bl": self.case.bl},
        }  # fmt: skip
        arrays = {"x": self.x.numpy(), "d": self.d.numpy(), "weights": self.start.numpy()}
        return PeerJob(settings, arrays | cell_arrays(self.tile))
