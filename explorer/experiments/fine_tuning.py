# SPDX-License-Identifier: Apache-2.0
"""Training a network that is already trained: digital epochs, or hardware-aware ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch

from engine.errors import StateError
from engine.nn import HardwareAware, distillation_loss
from engine.nn.hardware_aware import freeze_scales
from engine.recipes import Schedule, TrainingRecipe

Tick = Callable[[float], None]
_LOST = 1.5  # times the accuracy of guessing, below which a fine-tuning counts as lost


@dataclass
class Lesson:
    """What a network learns from, and how.

    Parameters
    ----------
    x, y : torch.Tensor
        Inputs ``(samples, ...)`` and labels ``(samples,)`` int64.
    schedule : Schedule
    seed : int
        Fixes the order of samples.
    teacher : torch.nn.Module, optional
        Whose outputs the network learns from where the schedule says so.
    """

    x: torch.Tensor
    y: torch.Tensor
    schedule: Schedule
    seed: int
    teacher: torch.nn.Module | None = None
    order: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.order = torch.Generator().manual_seed(self.seed)

    @property
    def batches(self) -> int:
        """Mini-batches of one epoch."""
        return -(-len(self.y) // int(self.schedule.batch_size))

    def epoch(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the mini-batches of one epoch in a new order."""
        for chosen in torch.randperm(len(self.y), generator=self.order).split(int(self.schedule.batch_size)):
            yield self.x[chosen], self.y[chosen]

    def loss(self, z: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return the loss of outputs ``z`` for inputs ``x``."""
        if not self.schedule.distil or self.teacher is None:
            return torch.nn.functional.cross_entropy(z, y)
        with torch.no_grad():
            taught = self.teacher(x)
        settings = {"temperature": self.schedule.temperature, "share": self.schedule.teacher_share}
        return distillation_loss(z, taught, y, **settings)


def hardware_aware(recipe: TrainingRecipe, batches: int) -> HardwareAware:
    """Return what a recipe does around ``batches`` mini-batches."""
    ramp = math.ceil(recipe.schedule.ramp * batches)
    return HardwareAware(
        recipe.modifier, recipe.clip, recipe.remap, ramp_batches=ramp, ramp_start=recipe.schedule.ramp_start
    )


def fine_tune(
    model: torch.nn.Module,
    lesson: Lesson,
    aware: HardwareAware | None = None,
    *,
    parameters: list[torch.nn.Parameter] | None = None,
    after_epoch: Callable[[int, float, float], None] | None = None,
    tick: Tick | None = None,
) -> torch.nn.Module:
    """Train a model in place and return it in evaluation mode.

    Parameters
    ----------
    model : torch.nn.Module
    lesson : Lesson
    aware : HardwareAware, optional
        Perturbs, clips and remaps analog weights; none for a digital model.
    parameters : list, optional
        What is trained; all that need a gradient if not given.
    after_epoch : callable, optional
        Told epoch (from 0), mean loss and share of training samples right.
    tick : callable, optional
        Told the share of the work done; what it raises passes through.

    Raises
    ------
    StateError
        The loss is not finite, or the model has fallen back to guessing; the text says what to change.
    """
    schedule = lesson.schedule
    trained = parameters if parameters is not None else [p for p in model.parameters() if p.requires_grad]
    optimizer = schedule.make_optimizer(trained)
    total, done, learned = int(schedule.epochs) * lesson.batches, 0, aware is not None
    frozen_from = total * (1 - schedule.freeze_scales)
    with nullcontext() if aware is None else aware.attached(model, optimizer):
        for epoch in range(int(schedule.epochs)):
            model.train()
            loss_sum, right = 0.0, 0
            for x, y in lesson.epoch():
                if schedule.freeze_scales and done >= frozen_from:
                    freeze_scales(model)
                for group in optimizer.param_groups:
                    group["lr"] = schedule.lr * schedule.factor(done / total)
                loss, hits = _step(model, optimizer, lesson, trained, x, y)
                loss_sum, right, done = loss_sum + loss * len(y), right + hits, done + 1
                if tick is not None:
                    tick(done / total)
            learned = _check_alive(loss_sum, right, lesson, learned)
            if after_epoch is not None:
                after_epoch(epoch, loss_sum / len(lesson.y), right / len(lesson.y))
    return model.eval()


def _step(model, optimizer, lesson, trained, x, y) -> tuple[float, int]:
    optimizer.zero_grad()
    z = model(x)
    loss = lesson.loss(z, x, y)
    loss.backward()
    if lesson.schedule.clip_gradient:
        torch.nn.utils.clip_grad_norm_(trained, lesson.schedule.clip_gradient)
    optimizer.step()
    return loss.item(), int((z.detach().argmax(1) == y).sum())


def _check_alive(loss_sum: float, right: int, lesson: Lesson, learned: bool) -> bool:
    """Return whether the network does more than guess; raise if it does no longer, or if its loss is not finite."""
    classes = int(lesson.y.max()) + 1
    share, finite = right / len(lesson.y), math.isfinite(loss_sum)
    if finite and (share > _LOST / classes or not learned):
        return share > _LOST / classes
    what = f"the network guesses ({100 * share:.1f} % of the training samples)" if finite else "the loss is not finite"
    raise StateError(
        f"Schedule.lr = {lesson.schedule.lr:g}: {what} (allowed: rates at which the network keeps learning). "
        "Lower lr, set clip_gradient to 1, or let the noise grow with ramp."
    )
