# SPDX-License-Identifier: Apache-2.0
"""What a network of the gallery offers: a model, the data it is scored on, and trained weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from explorer.networks import weights

_BATCH = 500  # images of one forward pass while a network is scored: bounds the memory of unfolded convolutions


@dataclass(frozen=True)
class Split:
    """Training and test data: inputs ``(samples, ...)`` float32, labels ``(samples,)`` int64."""

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor


@dataclass(frozen=True)
class Exam:
    """What a network is asked, and what its answers are worth.

    Attributes
    ----------
    inputs : sequence of Tensor
        The model is called with each of them.
    judge : callable
        Takes the outputs, one for each input, and returns the score.
    """

    inputs: Sequence[torch.Tensor]
    judge: Callable[[Sequence[torch.Tensor]], float]

    def score(self, model: torch.nn.Module) -> float:
        """Return the score of a model; its mode is kept."""
        training = model.training
        model.eval()
        with torch.no_grad():
            outputs = [model(x) for x in self.inputs]
        model.train(training)
        return self.judge(outputs)


def spaced(count: int, most: int) -> torch.Tensor:
    """Return at most ``most`` places below ``count``, evenly spaced; all where ``most`` is 0."""
    if not most or most >= count:
        return torch.arange(count)
    return torch.linspace(0, count - 1, most).round().long()


class ScoredNetwork:
    """A trained network with a score on real inputs: subclasses give the attributes, `trained` and `exam`."""

    name: ClassVar[str]
    title: ClassVar[str]
    measure: ClassVar[str] = "accuracy"
    """What `score` returns, a share of 1."""
    digital_score: ClassVar[float]
    """Score of the trained weights in floating point, as measured (docs/networks.md)."""
    score_tolerance: ClassVar[float]
    """How far another build of torch may stay below: sums in another order move samples that lie on a border."""
    chance: ClassVar[float] = 0.0
    """Score of who only guesses."""
    seeds: ClassVar[int] = 10
    """Seeds of the table of converted networks."""
    threads: ClassVar[int] = 1
    """Threads that training gains from; small networks lose by more than one."""

    def trained(self) -> torch.nn.Module:
        """Return the digital model with its trained weights, in evaluation mode."""
        raise NotImplementedError(f"{type(self).__name__}.trained: a network must define it.")

    def probe(self) -> tuple[torch.Tensor, ...]:
        """Return arguments of one small forward pass, with which two versions of the model are compared."""
        raise NotImplementedError(f"{type(self).__name__}.probe: a network must define it.")

    def exam(self, samples: int = 0, batch: int = 0) -> Exam:
        """Return inputs and how their outputs are scored.

        Parameters
        ----------
        samples : int
            Take so many at most, evenly spaced; 0 takes all.
        batch : int
            Samples in one input at most; 0 leaves it to the network.
        """
        raise NotImplementedError(f"{type(self).__name__}.exam: a network must define it.")

    def score(self, model: torch.nn.Module) -> float:
        """Return the score of ``model``, a digital or a converted one."""
        return self.exam().score(model)


class Network(ScoredNetwork):
    """A classification task that can be trained: subclasses give the attributes, `build` and `data`."""

    def build(self, seed: int) -> torch.nn.Module:
        """Return the digital model with its initial weights fixed by ``seed``."""
        raise NotImplementedError(f"{type(self).__name__}.build: a network must define it.")

    def data(self) -> Split:
        """Return the data; the same split on every call."""
        raise NotImplementedError(f"{type(self).__name__}.data: a network must define it.")

    def trained(self) -> torch.nn.Module:
        """Return the model with the weights that are shipped, in evaluation mode.

        Raises
        ------
        StateError
            If none are shipped.
        """
        return weights.load(self.name, self.build(0)).eval()

    def probe(self) -> tuple[torch.Tensor, ...]:
        """Return the first 32 test samples."""
        return (self.data().x_test[:32],)

    def exam(self, samples: int = 0, batch: int = 0) -> Exam:
        """Return test samples, and how to find the share of them that is classified rightly."""
        split = self.data()
        chosen = spaced(len(split.y_test), samples)
        labels = split.y_test[chosen]

        def judge(outputs: Sequence[torch.Tensor]) -> float:
            return (torch.cat(list(outputs)).argmax(1) == labels).double().mean().item()

        return Exam(split.x_test[chosen].split(batch or _BATCH), judge)
