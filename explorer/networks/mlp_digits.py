# SPDX-License-Identifier: Apache-2.0
"""A small perceptron on the 8 x 8 digits."""

from __future__ import annotations

import functools

import numpy as np
import torch

from explorer.networks.base import Network, Split
from explorer.networks.initial import seeded

_TEST_SHARE = 5  # every fifth image of a fixed shuffle is kept for the test


class MlpDigits(Network):
    """Perceptron 64-64-10 with tanh on scikit-learn's digits (1797 images, 8 x 8 pixels, UCI)."""

    name = "mlp-digits"
    title = "MLP 64-64-10 on 8×8 digits"
    chance = 0.1
    digital_score = 0.9778
    score_tolerance = 0.006  # two of 360 images

    def build(self, seed: int) -> torch.nn.Module:
        """Return the perceptron; torch's own initial weights, drawn with ``seed``."""
        return seeded(_perceptron, seed)

    def data(self) -> Split:
        """Return 1437 training and 360 test images, pixels scaled to 0..1."""
        return _digits()


def _perceptron() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10))


@functools.cache
def _digits() -> Split:
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    order = np.random.RandomState(0).permutation(len(labels))  # a frozen stream: the split never changes
    x = torch.tensor(pixels[order] / 16, dtype=torch.float32)
    y = torch.tensor(labels[order])
    test = torch.arange(len(y)) % _TEST_SHARE == 0
    return Split(x[~test], y[~test], x[test], y[test])
