# SPDX-License-Identifier: Apache-2.0
"""Analog matrix-vector product, beside torch's plain one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch

from bench.cases import Case, Rows
from bench.operation import PAUSE_S, TimedOperation, WrongAnswer, device_of, generator, signed, start_weights
from bench.peer import PeerJob, cell_arrays, device_settings
from engine.tiles import IOParameters, Tile

PERIPHERIES = {"perfect": {"is_perfect": True}, "default": {}, "weight noise": {"w_noise": 0.02}}


# What the peer's Python does not know, here at values without effect.
NOT_THERE = ("nm_decay", "nm_assumed_wmax", "r_series_max_total", "inp_noise_before_clip", "w_noise_power")


class Mvm(TimedOperation):
    """One product of a batch, forward or backward, with one of `PERIPHERIES`; inputs uniform in -1 .. 1."""

    rows = Rows(
        device=("ideal",), shape=(512, 512), batch=64, bl=31, threads=(1, 2),
        variant=tuple(f"{name} {way}" for name in PERIPHERIES for way in ("forward", "backward")),
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        source = generator()
        name, _, self.way = case.variant.rpartition(" ")
        self.io = IOParameters(**PERIPHERIES[name])
        device = device_of(case.device)
        self.tile = Tile(*case.shape, device, self.io, self.io)
        self.tile.set_weights(start_weights(device, case.shape, source))
        self.v = signed((case.batch, case.shape[self.way == "forward"]), source)
        w = self.tile.weights
        self.w = w if self.way == "forward" else w.T.contiguous()

    @classmethod
    def verify(cls) -> None:
        """Compare the perfect product with torch's in double precision."""
        for way in ("forward", "backward"):
            one = cls(Case("mvm", "ideal", (96, 128), 8, 31, 1, f"perfect {way}"))
            one.call()
            wanted = torch.nn.functional.linear(one.v.double(), one.w.double())
            error = float((one.output.double() - wanted).abs().max() / wanted.abs().max())
            if error > one.w.shape[1] * 2.0**-24:  # as many float32 additions, half a unit in the last place each
                raise WrongAnswer(f"mvm {way}: relative error {error:.1e}")

    def prepare(self, repetition: int) -> None:
        """Warm up."""
        self.call()

    def call(self) -> None:
        """Multiply."""
        self.output = getattr(self.tile, self.way)(self.v)

    def result(self) -> np.ndarray:
        """Return the output, ``(batch, out)`` or ``(batch, in)``."""
        return self.output.numpy()

    def directions(self) -> Mapping[str, np.ndarray]:
        """Compare along the exact product."""
        return {"product": torch.nn.functional.linear(self.v, self.w).numpy()}

    def floor(self) -> Callable[[], object]:
        """Return torch's product."""
        return lambda: torch.nn.functional.linear(self.v, self.w)

    def peer_job(self) -> PeerJob:
        """Return the same product with the same weights."""
        values = self.io.values()
        for name in ("noise_management", "bound_management", "mv_type", "w_noise_type"):
            del values[name]  # words with the same default on both sides
        for name in NOT_THERE:
            del values[name]
        settings = {
            "op": "mvm", "shape": self.case.shape, "way": self.way, "pause_s": PAUSE_S,
            "device": device_settings(self.tile.device), "forward": values, "backward": values,
        }  # fmt: skip
        arrays = {"v": self.v.numpy(), "weights": self.tile.weights.numpy()}
        return PeerJob(settings, arrays | (cell_arrays(self.tile) if self.tile.device.pulsed else {}))
