# SPDX-License-Identifier: Apache-2.0
"""A convolutional network of full size: CREPE, which hears the pitch of a tone, scored on tones made here."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn

from explorer.networks.base import Exam, ScoredNetwork, spaced
from explorer.networks.packages import CREPE

RATE_HZ, FRAME = 16_000, 1024
_CHANNELS = (1, 1024, 128, 128, 128, 256, 512)
_BINS, _CENTS_PER_BIN, _FIRST_CENTS, _REFERENCE_HZ = 360, 20.0, 1997.3794084376191, 10.0
_NEAR = 4  # bins on either side of the largest that its mean takes in
_TONES, _LOWEST_HZ, _HIGHEST_HZ, _SNR_DB, _HARMONICS = 100, 60.0, 1000.0, 20.0, 8
_RIGHT_CENTS = 10.0  # at 50, the usual limit, no tone of these is missed and the score would only show the cliff
_BATCH = 10  # frames of one pass: a frame unfolds to 34 MB in the second convolution


class Stage(nn.Module):
    """Convolution, ReLU, normalisation and pooling: ``(N, inputs, T)`` to ``(N, outputs, T / stride / 2)``."""

    def __init__(self, inputs: int, outputs: int, first: bool):
        super().__init__()
        self.pads = (254, 254) if first else (31, 32)
        self.conv = nn.Conv1d(inputs, outputs, 512 if first else 64, stride=4 if first else 1)
        self.norm = nn.BatchNorm1d(outputs, eps=0.001)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(torch.relu(self.conv(nn.functional.pad(x, self.pads))))
        return nn.functional.max_pool1d(y, 2)


class PitchNet(nn.Module):
    """Frames ``(N, 1024)`` of mean 0 and deviation 1 to the likeliness of 360 pitches, 20 cents apart."""

    def __init__(self):
        super().__init__()
        widths = itertools.pairwise(_CHANNELS)
        self.stages = nn.Sequential(*(Stage(a, b, k == 0) for k, (a, b) in enumerate(widths)))
        self.head = nn.Linear(4 * _CHANNELS[-1], _BINS)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        states = self.stages(frames[:, None])
        return torch.sigmoid(self.head(states.transpose(1, 2).flatten(1)))


class Crepe(ScoredNetwork):
    """CREPE "full", 22.2 M parameters: six convolutions and a linear layer; normalisation stays digital.

    J. W. Kim et al., ICASSP 2018 (arXiv:1802.06182). Score: the share of 100 harmonic tones, 60 to 1000 Hz at 20 dB
    signal to noise, whose pitch is heard within 10 cents.
    """

    name = "crepe-full"
    title = "CREPE on harmonic tones"
    measure = "share within 10 cents"
    digital_score = 0.95
    score_tolerance = 0.02  # two of 100 tones
    seeds = 3

    def trained(self) -> nn.Module:
        """Return the network with the package's weights, in evaluation mode."""
        kept = torch.load(CREPE.path(), map_location="cpu", weights_only=True)
        model = PitchNet()
        model.load_state_dict({name: _packaged(kept, name) for name in model.state_dict()})
        return model.eval()

    def probe(self) -> tuple[torch.Tensor, ...]:
        """Return the first four tones."""
        return (tones()[0][:4],)

    def exam(self, samples: int = 0, batch: int = 0) -> Exam:
        """Return tones, and how to find the share of them that is heard rightly."""
        frames, hertz = tones()
        chosen = spaced(len(hertz), samples)

        def judge(outputs: Sequence[torch.Tensor]) -> float:
            heard = torch.cat([pitch(part) for part in outputs])
            wrong = 1200 * (heard / hertz[chosen]).log2().abs()
            return (wrong <= _RIGHT_CENTS).double().mean().item()

        return Exam(frames[chosen].split(batch or _BATCH), judge)


def _packaged(kept: dict[str, torch.Tensor], name: str) -> torch.Tensor:
    """Return the package's entry for one of ours: its kernels have an axis of one more."""
    parts = name.split(".")
    if parts[0] == "head":
        return kept[f"classifier.{parts[1]}"]
    values = kept[f"conv{int(parts[1]) + 1}{'_BN' if parts[2] == 'norm' else ''}.{parts[3]}"]
    return values.squeeze(-1) if values.ndim == 4 else values


def pitch(likeliness: torch.Tensor) -> torch.Tensor:
    """Return pitches, Hz, from ``(N, 360)``: the weighted mean of cents around the largest."""
    bins = torch.arange(_BINS)
    near = (bins - likeliness.argmax(1, keepdim=True)).abs() <= _NEAR
    weights = likeliness * near
    cents = _FIRST_CENTS + _CENTS_PER_BIN * (weights * bins).sum(1) / weights.sum(1)
    return _REFERENCE_HZ * 2 ** (cents / 1200)


@functools.cache
def tones(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return 100 frames of tones with normal noise, mean 0 and deviation 1, and their pitches, Hz.

    Eight harmonics with amplitudes 1/k, k = 1, 2, ..., and random phases, those above half the sampling rate left out;
    pitches are spread evenly over the logarithm.
    """
    draws = torch.Generator().manual_seed(seed)
    hertz = _LOWEST_HZ * (_HIGHEST_HZ / _LOWEST_HZ) ** torch.rand(_TONES, generator=draws)
    order = torch.arange(1, _HARMONICS + 1)
    phases = 2 * math.pi * torch.rand(_TONES, _HARMONICS, 1, generator=draws)
    cycles = (hertz[:, None] * order)[..., None] * torch.arange(FRAME) / RATE_HZ
    heard = (hertz[:, None] * order < RATE_HZ / 2)[..., None] / order[:, None]
    clean = (heard * torch.sin(2 * math.pi * cycles + phases)).sum(1)
    spread = clean.std(1, keepdim=True) * 10 ** (-_SNR_DB / 20)
    noisy = clean + spread * torch.randn(_TONES, FRAME, generator=draws)
    return (noisy - noisy.mean(1, keepdim=True)) / noisy.std(1, keepdim=True), hertz
