# SPDX-License-Identifier: Apache-2.0
"""Pulse responses: many devices, one pulse after the other, read after every pulse."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from bench.cases import Case, Rows
from bench.operation import PAUSE_S, TimedOperation, WrongAnswer, device_of
from bench.peer import PeerJob, cell_arrays, device_settings
from engine import devices, presets
from engine.tiles import Tile


class Response(TimedOperation):
    """As many pulses up as down on every crosspoint, from the nominal lower end; ``batch`` is the number of pulses."""

    rows = Rows(
        device=tuple(n for n in devices.names() if devices.get(n).pulsed),
        shape=(1000, 1), batch=2000, bl=1, threads=(1, 2), variant=("up and down",),
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        device = device_of(case.device)
        self.tile = Tile(*case.shape, device)
        up = case.batch // 2
        self.pulses = np.repeat(np.array([1, -1], np.int8), [up, case.batch - up])
        self.reads = [up - 1, case.batch - 1]
        low = device.range[0]
        self.tile.set_weights(torch.full(case.shape, low if np.isfinite(low) else 0.0))
        self.start = self.tile.hidden.clone()

    @classmethod
    def verify(cls) -> None:
        """Compare noise-free constant steps with a straight line."""
        device = presets.load("idealized_symmetric").nominal()
        trace = Tile(2, 1, device).pulse(np.ones(100, np.int8)).hidden[:, 0, 0].numpy()
        line = device.dw_min * np.arange(1, 101)
        # A hundred float32 additions, half a unit in the last place of the sum each.
        if np.abs(trace - line).max() > 100 * 2.0**-25 * line[-1]:
            raise WrongAnswer("response: noise-free constant steps are no straight line")

    def prepare(self, repetition: int) -> None:
        """Go back to the first weights; the noise goes on."""
        self.tile.set_weights(self.start)
        self.tile.pulse(self.pulses[:1])
        self.tile.set_weights(self.start)

    def call(self) -> None:
        """Pulse and read."""
        self.trace = self.tile.pulse(self.pulses)

    def result(self) -> np.ndarray:
        """Return the states at the turning point and at the end, ``(2, devices)``."""
        return self.trace.apparent[self.reads].flatten(1).numpy()

    def directions(self) -> Mapping[str, np.ndarray]:
        """Compare the means at the turning point and at the end."""
        one = np.ones((2, self.tile.weights.numel()), np.float32)
        first = np.array([[1.0], [0.0]], np.float32)
        return {"turning point": first * one, "end": one - first * one}

    def peer_job(self) -> PeerJob:
        """Return the same pulses for the same devices."""
        settings = {
            "op": "response", "shape": self.case.shape, "reads": self.reads, "pause_s": PAUSE_S,
            "device": device_settings(self.tile.device),
        }  # fmt: skip
        arrays = {"directions": self.pulses, "weights": self.start.numpy()}
        return PeerJob(settings, arrays | cell_arrays(self.tile))
