# SPDX-License-Identifier: Apache-2.0
"""Convolutional networks of the LeNet kind on clothes and on handwritten digits."""

from __future__ import annotations

from torch import nn

from explorer.networks import datasets
from explorer.networks.base import Network, Split
from explorer.networks.initial import seeded


def lenet() -> nn.Module:
    """Return two convolutions with pooling and two linear layers: ``(N, 1, 28, 28)`` to ``(N, 10)``.

    The shape of LeNet-5 (Y. LeCun et al., Proc. IEEE 86, 2278, 1998), wider, with ReLU and maximum pooling.
    """
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(800, 128), nn.ReLU(), nn.Linear(128, 10),
    )  # fmt: skip


class LenetFashion(Network):
    """LeNet, 117,066 parameters, on Fashion-MNIST."""

    name = "lenet-fashion"
    title = "LeNet on Fashion-MNIST"
    chance = 0.1
    digital_score = 0.9149
    score_tolerance = 0.001  # ten of 10,000 images

    def build(self, seed: int) -> nn.Module:
        """Return the network; torch's own initial weights, drawn with ``seed``."""
        return seeded(lenet, seed)

    def data(self) -> Split:
        """Return 60,000 training and 10,000 test images."""
        return datasets.fashion_mnist()


class LenetMnist(Network):
    """LeNet, 117,066 parameters, on 5,000 images of MNIST."""

    name = "lenet-mnist"
    title = "LeNet on MNIST-5k"
    chance = 0.1
    digital_score = 0.983
    score_tolerance = 0.002  # two of 1,000 images

    def build(self, seed: int) -> nn.Module:
        """Return the network; torch's own initial weights, drawn with ``seed``."""
        return seeded(lenet, seed)

    def data(self) -> Split:
        """Return 4,000 training and 1,000 test images."""
        return datasets.mnist_5k()
