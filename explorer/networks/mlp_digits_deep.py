# SPDX-License-Identifier: Apache-2.0
"""A deep, narrow perceptron on the 8 x 8 digits: five hidden layers add up what the tiles lose."""

from __future__ import annotations

import functools

import torch
from torch import nn

from explorer.networks.base import Network, Split
from explorer.networks.initial import seeded

_WIDTHS = (64, 32, 32, 32, 32, 32, 10)


class MlpDigitsDeep(Network):
    """Perceptron 64-32-32-32-32-32-10 with ReLU on scikit-learn's digits; a quarter of the images is the test."""

    name = "mlp-digits-deep"
    title = "MLP 64-5×32-10 on 8×8 digits"
    digital_score = 0.0
    score_tolerance = 0.005  # two of 450 images

    def build(self, seed: int) -> torch.nn.Module:
        """Return the perceptron, 6,634 parameters; torch's own initial weights, drawn with ``seed``."""
        return seeded(_perceptron, seed)

    def data(self) -> Split:
        """Return 1347 training and 450 test images, pixels scaled to 0..1, the same shares of every digit."""
        return _digits()


def _perceptron() -> nn.Module:
    layers: list[nn.Module] = []
    for inputs, outputs in zip(_WIDTHS[:-1], _WIDTHS[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@functools.cache
def _digits() -> Split:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    x, y = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels)
    parts = train_test_split(x.numpy(), y.numpy(), test_size=0.25, random_state=0, stratify=labels)
    x_train, x_test, y_train, y_test = map(torch.from_numpy, parts)
    return Split(x_train, y_train, x_test, y_test)
