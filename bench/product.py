# SPDX-License-Identifier: Apache-2.0
"""Analog products of a batch, beside torch's plain ones; `bench.operations` has one for each direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from bench.cases import Case, Rows
from bench.operation import PAUSE_S, TimedOperation, WrongAnswer, device_of, generator, signed
from bench.peer import PeerJob, cell_arrays, device_settings
from engine.tiles import IOParameters, Tile

# Periphery, and the range of the weights over that of torch's linear layers, 1/sqrt(inputs): with weights of 1/2 about
# every second vector of 512 inputs meets the ADC's bound and is repeated.
VARIANTS = {
    "default": ({}, 1.0),
    "default, repeated": ({}, None),
    "perfect": ({"is_perfect": True}, 1.0),
    "weight noise": ({"w_noise": 0.02}, 1.0),
}
REPEATED_WEIGHT = 0.5

# What the peer's Python does not know, here at values without effect.
NOT_THERE = ("nm_decay", "nm_assumed_wmax", "r_series_max_total", "inp_noise_before_clip", "w_noise_power")


class ProductOperation(TimedOperation):
    """One product of a batch, with one of `VARIANTS`; inputs uniform in -1 .. 1. Subclasses say the direction."""

    way: ClassVar[str]
    rows = Rows(
        device=("ideal",), shape=(512, 512), batch=64, bl=31, threads=(1, 2), variant=tuple(VARIANTS)
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        source = generator()
        if case.variant not in VARIANTS:
            raise ValueError(f"variant = {case.variant!r}: unknown (allowed: {', '.join(VARIANTS)}). Choose one.")
        periphery, width = VARIANTS[case.variant]
        self.io = IOParameters(**periphery)
        self.tile = Tile(*case.shape, device_of(case.device), self.io, self.io)
        inputs = case.shape[self.way == "forward"]
        largest = REPEATED_WEIGHT if width is None else width / inputs**0.5
        self.tile.set_weights(largest * signed(case.shape, source))
        self.v = signed((case.batch, inputs), source)
        w = self.tile.weights
        self.w = w if self.way == "forward" else w.T.contiguous()

    @classmethod
    def verify(cls) -> None:
        """Compare the perfect product with torch's in double precision, and the default one's noise with its size."""
        one = cls(Case(cls.way, "ideal", (96, 128), 8, 31, 1, "perfect"))
        one.call()
        wanted = torch.nn.functional.linear(one.v.double(), one.w.double())
        error = float((one.output.double() - wanted).abs().max() / wanted.abs().max())
        if error > one.w.shape[1] * 2.0**-24:  # as many float32 additions, half a unit in the last place each
            raise WrongAnswer(f"{cls.way}: relative error {error:.1e}")
        two = cls(Case(cls.way, "ideal", (512, 512), 64, 31, 1, "default"))
        two.call()
        lost = two.output.double() - torch.nn.functional.linear(two.v.double(), two.w.double())
        spread = float((lost / two.v.abs().amax(1, keepdim=True)).std())
        # Output noise, an ADC step's and 512 DAC steps' rounding; 32,768 outputs know a deviation to 0.4 %, z = 4.5.
        expected = (0.06**2 + (24 / 510) ** 2 / 12 + float(two.w.square().sum(1).mean()) / 63**2 / 12) ** 0.5
        if abs(spread / expected - 1) > 0.018:
            raise WrongAnswer(f"{cls.way}: noise {spread:.4f}, expected {expected:.4f}")

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

    def facts(self) -> dict[str, Any]:
        """Return how often a vector was multiplied, on average."""
        return {"rounds": float(self.tile.rounds.double().mean())}

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
