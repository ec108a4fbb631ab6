# SPDX-License-Identifier: Apache-2.0
"""A recurrent network that tells nine speakers apart."""

from __future__ import annotations

import torch
from torch import nn

from explorer.networks import datasets
from explorer.networks.base import Network, Split
from explorer.networks.initial import seeded


class LastState(nn.Module):
    """LSTM and a linear layer on its last state: series ``(N, steps, inputs)`` to ``(N, classes)``."""

    def __init__(self, inputs: int, hidden: int, classes: int):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(x)
        return self.head(states[:, -1])


class LstmVowels(Network):
    """LSTM of 64 units and a linear layer on JapaneseVowels (speech of nine men, 12 coefficients a step, UCI)."""

    name = "lstm-vowels"
    title = "LSTM 64 on JapaneseVowels"
    chance = 1 / 9
    digital_score = 0.9757
    score_tolerance = 0.006  # two of 370 series

    def build(self, seed: int) -> nn.Module:
        """Return the network, 20,553 parameters."""
        return seeded(lambda: LastState(12, 64, 9), seed)

    def data(self) -> Split:
        """Return 270 training and 370 test series."""
        return datasets.japanese_vowels()
