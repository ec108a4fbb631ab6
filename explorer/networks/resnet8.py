# SPDX-License-Identifier: Apache-2.0
"""A residual network of eight layers on clothes."""

from __future__ import annotations

import torch
from torch import nn

from explorer.networks import datasets
from explorer.networks.base import Network, Split
from explorer.networks.initial import seeded


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut; the shortcut is a 1 x 1 convolution where the width changes.

    K. He et al., Deep residual learning for image recognition, CVPR 2016, section 3.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.first_norm(self.first(x)))
        return torch.relu(self.second_norm(self.second(y)) + self.shortcut(x))


def resnet8() -> nn.Module:
    """Return one convolution, three residual blocks and a linear layer: ``(N, 1, 28, 28)`` to ``(N, 10)``."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
        Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10),
    )  # fmt: skip


class Resnet8Fashion(Network):
    """ResNet-8 of 16, 32 and 64 channels, 77,754 parameters, on Fashion-MNIST; batch normalisation stays digital."""

    name = "resnet8-fashion"
    title = "ResNet-8 on Fashion-MNIST"
    chance = 0.1
    digital_score = 0.9251
    score_tolerance = 0.001  # ten of 10,000 images
    seeds = 3  # one takes over a minute

    def build(self, seed: int) -> nn.Module:
        """Return the network; torch's own initial weights, drawn with ``seed``."""
        return seeded(resnet8, seed)

    def data(self) -> Split:
        """Return 60,000 training and 10,000 test images."""
        return datasets.fashion_mnist()
