# SPDX-License-Identifier: Apache-2.0
"""Making a tile: memory and the draw of every device."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.agreement import against, along
from bench.cases import Case, Rows
from bench.operation import PAUSE_S, TimedOperation, WrongAnswer, device_of
from bench.peer import PeerJob, device_settings
from engine import devices
from engine.tiles import Tile


class Construct(TimedOperation):
    """One tile, another chip each time."""

    rows = Rows(
        device=tuple(n for n in devices.names() if devices.get(n).pulsed),
        shape=(512, 512), batch=1, bl=31, threads=(1, 2), variant=("new chip",),
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        self.device, self.seed = device_of(case.device), 0

    @classmethod
    def verify(cls) -> None:
        """Compare the mean step of a constant-step population with its parameter."""
        one = cls(Case("construct", "constant_step", (64, 64), 1, 31, 1, "new chip"))
        steps = []
        for seed in range(20):
            one.prepare(seed)
            one.call()
            steps.append(one.result())
        # |1 + 0.3 xi| is folded where xi < -3.3: the mean rises by less than 1e-4 of it, far below the error here.
        found = against(along(steps, np.ones_like(steps[0])), one.device.dw_min)
        if not found.agrees:
            raise WrongAnswer(f"construct: mean step {found.ratio:.4f} +- {found.ratio_se:.4f} of dw_min")

    def prepare(self, repetition: int) -> None:
        """Choose the chip."""
        self.seed = 1 + repetition

    def call(self) -> None:
        """Make the tile."""
        self.tile = Tile(*self.case.shape, self.device, seed=self.seed)

    def result(self) -> np.ndarray:
        """Return the devices' up steps, ``(out, in)``."""
        return self.tile.cells["dwmin_up"].numpy()

    def directions(self) -> Mapping[str, np.ndarray]:
        """Compare the mean steps."""
        return {"mean": np.ones(self.case.shape, np.float32)}

    def peer_job(self) -> PeerJob:
        """Return the same population."""
        settings = {"op": "construct", "shape": self.case.shape, "pause_s": PAUSE_S}
        return PeerJob(settings | {"device": device_settings(self.device)})
