# SPDX-License-Identifier: Apache-2.0
"""A trained network on many programmed chips at several times, beside the peer and floating point."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from bench.cases import Case, Rows
from bench.operation import TimedOperation, WrongAnswer
from bench.peer import PeerJob, PeerLacks
from engine.devices.ideal import Ideal
from engine.inference import ProgrammedNetwork, noise, program
from engine.nn import convert
from engine.tiles import MappingParameters, TileConfig
from engine.tiles.periphery_presets import load
from explorer import networks

TIMES = (1.0, 60.0, 3600.0, 86400.0, 2.592e6, 3.1536e7, 3.1536e8)  # s
# Test samples of each evaluation: the peer takes a minute for a few images of the residual network.
SAMPLES = {"mlp-digits": 360, "resnet8-fashion": 16, "lstm-vowels": 370}
WHOLE = {"minilm-l6": (5, 5)}  # chips and times of a network that is scored as a whole, beside floating point alone


class Drift(TimedOperation):
    """Accuracy of 25 chips at 7 times, PCM with global compensation, converters of 8 bits; programming included."""

    rows = Rows(
        device=("ideal",), shape=(25, 7), batch=1, bl=31, threads=(1, 2), variant=("mlp-digits", "resnet8-fashion")
    )  # fmt: skip

    def __init__(self, case: Case):
        super().__init__(case)
        self.network = networks.get_scored(case.variant)
        self.model = self.network.trained()
        chips, times = WHOLE.get(case.variant, case.shape)
        self.chips, self.times = chips, TIMES[:times]
        self.periphery = load("eight_bits")
        mapping = MappingParameters(weight_scaling_omega=1.0, weight_scaling_columnwise=True, max_input_size=512)
        self.analog = convert(self.model, TileConfig(Ideal(), self.periphery, mapping=mapping)).eval()
        if case.variant in SAMPLES:
            split = self.network.data()
            self.x, self.y = split.x_test[: SAMPLES[case.variant]], split.y_test[: SAMPLES[case.variant]]

    @classmethod
    def verify(cls) -> None:
        """Compare chips without any error with the network itself."""
        one = cls(Case("drift", "ideal", (2, 1), 1, 31, 1, "mlp-digits"))
        exact = noise.get("pcm")(prog_noise_scale=0.0, read_noise_scale=0.0, drift_scale=0.0)
        with torch.no_grad():
            wanted = (one.model(one.x).argmax(1) == one.y).double().mean().item()
        found = one.accuracy(program(one.analog, exact, chips=2).drift_to(3600.0))
        if abs(found - wanted) > 3 / len(one.y):  # converters of 8 bits move a sample or two at the border
            raise WrongAnswer(f"drift: accuracy {found} without errors, {wanted} in floating point")

    def prepare(self, repetition: int) -> None:
        """Let each repetition have chips of its own."""
        self.seed = repetition

    def call(self) -> None:
        """Program all chips, then let each time pass and evaluate."""
        chips = program(self.analog, chips=self.chips, seed=self.seed)
        score = self.accuracy if self.case.variant in SAMPLES else self.score
        self.scores = [score(chips.drift_to(t)) for t in self.times]

    def accuracy(self, chips: ProgrammedNetwork) -> float:
        """Return the mean accuracy over chips."""
        return (chips(self.x).argmax(2) == self.y).double().mean().item()

    def score(self, chips: ProgrammedNetwork) -> float:
        """Return the mean score over chips of a network that is scored as a whole."""
        return float(np.mean(chips.each(self.network.score)))

    def result(self) -> np.ndarray:
        """Return the mean accuracy at each time, ``(times,)``."""
        return np.array(self.scores)

    def directions(self) -> Mapping[str, np.ndarray]:
        """Compare the mean over times."""
        return {"accuracy": np.full(len(self.times), 1 / len(self.times))}

    def facts(self) -> dict[str, Any]:
        """Return what is not in the case."""
        return {"chips": self.chips, "times_s": list(self.times), "samples": SAMPLES.get(self.case.variant)}

    def floor(self) -> Callable[[], object]:
        """Return one evaluation in floating point."""
        if self.case.variant not in SAMPLES:
            return lambda: self.network.score(self.model)
        return self._floating_point

    @torch.no_grad()
    def _floating_point(self) -> torch.Tensor:
        return self.model(self.x)

    def peer_job(self) -> PeerJob:
        """Return the same network for the peer, as a graph of torch's own layers."""
        if self.case.variant not in SAMPLES:
            raise PeerLacks(f"{self.case.variant} is compared with floating point alone")
        held = io.BytesIO()
        torch.save(torch.fx.symbolic_trace(self.model), held)
        values = self.periphery.values()
        names = ("inp_res", "out_res", "inp_bound", "out_bound", "out_noise")
        settings = {
            "op": "drift", "device": {"class": "IdealDevice", "parameters": {}, "idle": []}, "chips": self.chips,
            "times": list(self.times), "forward": {name: values[name] for name in names},
        }  # fmt: skip
        arrays = {"x": self.x.numpy(), "y": self.y.numpy(), "model": np.frombuffer(held.getvalue(), np.uint8)}
        return PeerJob(settings, arrays)
