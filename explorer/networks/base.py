# SPDX-License-Identifier: Apache-2.0
"""What a network of the gallery offers: a model and the data it is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch


@dataclass(frozen=True)
class Split:
    """Training and test data: inputs ``(samples, ...)`` float32, labels ``(samples,)`` int64."""

    x_train: torch.Tensor
    y_train: torch.Tensor
    x_test: torch.Tensor
    y_test: torch.Tensor


class Network:
    """A classification task: subclasses give `name`, `title`, `build` and `data`."""

    name: ClassVar[str]
    title: ClassVar[str]
    threads: ClassVar[int] = 1
    """Threads that training gains from; small networks lose by more than one."""

    def build(self, seed: int) -> torch.nn.Module:
        """Return the digital model with its initial weights fixed by ``seed``."""
        raise NotImplementedError(f"{type(self).__name__}.build: a network must define it.")

    def data(self) -> Split:
        """Return the data; the same split on every call."""
        raise NotImplementedError(f"{type(self).__name__}.data: a network must define it.")
