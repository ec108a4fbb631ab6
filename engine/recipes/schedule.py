# SPDX-License-Identifier: Apache-2.0
"""How weights are trained: optimizer, learning rate over time, ramp of the noise, teacher."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity

_SHARE = {"bounds": (0, 1), "softbounds": (0, 1)}
_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class Schedule(Model):
    """Optimizer and schedule of a fine-tuning; the defaults are those of the acceptance experiment."""

    # fmt: off
    optimizer = Choice("adam", tuple(_OPTIMIZERS), group="Optimizer", source="assumed: as for the digital network",
                       doc="Adam, Adam with decoupled decay, or gradient descent with momentum.")
    lr = Quantity(2e-3, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-5, 0.1), log=True,
                  group="Optimizer", source="assumed: acceptance experiment on digits",
                  doc="Learning rate at the beginning; a tenth of the digital one for large networks.")
    momentum = Quantity(0.9, bounds=(0, 1), inclusive_bounds=(True, False), softbounds=(0, 0.99), group="Optimizer",
                        source="recipes of ResNet-32", doc="Momentum of 'sgd'.")
    weight_decay = Quantity(0.0, bounds=(0, None), softbounds=(0, 0.1), group="Optimizer", source="assumed",
                            doc="Weight decay.")
    clip_gradient = Quantity(0.0, bounds=(0, None), softbounds=(0, 10), group="Optimizer", source="assumed: off",
                             doc="Largest norm of the gradient of all parameters; 0 sets no limit.")
    decay = Choice("cosine", ("cosine", "steps", "constant"), group="Schedule", source="recipe of ResNet-32, tutorial",
                   doc="The learning rate falls as a cosine to 0, by a tenth at half and at five sixths, or not.")
    epochs = Quantity(40, bounds=(1, 10_000), softbounds=(1, 200), integer=True, unit="epochs", group="Schedule",
                      source="assumed: acceptance experiment on digits", doc="Passes over the training data.")
    batch_size = Quantity(64, bounds=(1, 100_000), softbounds=(8, 512), integer=True, unit="samples", group="Schedule",
                          source="assumed: acceptance experiment on digits", doc="Samples of a mini-batch.")
    ramp = Quantity(0.0, **_SHARE, group="Schedule", source="assumed: off",
                    doc="Share of the training over which the modifier's noise grows.")
    ramp_start = Quantity(1e-3, **_SHARE, group="Schedule", source="device-specification study (LU-zhw323/CNN_HWA)",
                          doc="Share of the noise at the beginning of the ramp.")
    freeze_scales = Quantity(0.0, **_SHARE, group="Schedule", source="assumed: off",
                             doc="Share of the training, at its end, with fixed input ranges and output scales.")
    distil = Flag(False, group="Teacher", source="assumed", doc="Learn from the digital network's outputs too.")
    temperature = Quantity(4.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 10), group="Teacher",
                           source="replications of the hardware-aware training paper",
                           doc="Temperature of the softmax of teacher and student.")
    teacher_share = Quantity(0.9, **_SHARE, group="Teacher", source="replications of the hardware-aware training paper",
                             doc="Share of the teacher in the loss.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` where the noise would still grow when scales are frozen."""
        super().check()
        if self.ramp + self.freeze_scales > 1:
            raise ParameterError(
                say("Schedule.ramp", self.ramp, "overlaps with freeze_scales", f"0 .. {1 - self.freeze_scales:g}",
                    "Lower one of them.")
            )  # fmt: skip

    def make_optimizer(self, parameters: Iterable[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimizer of some parameters."""
        extra = {"momentum": self.momentum} if self.optimizer == "sgd" else {}
        return _OPTIMIZERS[self.optimizer](parameters, self.lr, weight_decay=self.weight_decay, **extra)

    def factor(self, share: float) -> float:
        """Return the factor on the learning rate after a share of the training."""
        if self.decay == "cosine":
            return 0.5 * (1 + math.cos(math.pi * share))
        if self.decay == "steps":
            return 0.1 ** ((share >= 1 / 2) + (share >= 5 / 6))
        return 1.0
