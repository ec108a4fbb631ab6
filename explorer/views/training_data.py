# SPDX-License-Identifier: Apache-2.0
"""The numbers of a training as its plots need them, from a job's events or from a stored result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

QUANTITIES = ("loss", "train_accuracy", "accuracy", "seconds")
MAX_POINTS = 600
"""Points drawn of one curve; more are not seen."""
MAX_COLUMNS = 200
"""Epochs drawn of one weight distribution."""

_OF_EVENT = {"loss": "loss", "train_accuracy": "accuracy", "accuracy": "test_accuracy", "seconds": "seconds"}


@dataclass(frozen=True, eq=False)
class Curve:
    """Mean over seeds and their extremes, each ``(point,)``; a point counts the seeds that have reached it."""

    epoch: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


@dataclass(frozen=True, eq=False)
class Density:
    """Share of the weights of a layer, all seeds together.

    Attributes
    ----------
    percent : array, (bin, epoch)
        Percent of the weights in a bin; NaN where no weight is.
    edges : array, (bin + 1,)
        In weight units.
    first, last : int
        Epochs of the first and the last column.
    """

    percent: np.ndarray
    edges: np.ndarray
    first: int
    last: int


@dataclass(frozen=True)
class Outcome:
    """What a kind of run came to after its last epoch; spreads are standard deviations over seeds."""

    kind: str
    n_seeds: int
    accuracy: float
    accuracy_std: float
    loss: float
    seconds_per_epoch: float


@dataclass(eq=False)
class History:
    """What is known of a training; grows with every event.

    Attributes
    ----------
    epochs : int
        Epochs of one run, as planned.
    values : dict
        ``(quantity, kind) -> {(seed, epoch): value}``; accuracies are shares, seconds are per epoch.
    weights : dict
        ``layer -> {(seed, epoch): counts}``, counts as arrays ``(bin,)``.
    edges : dict
        ``layer -> bin edges`` in weight units.
    """

    epochs: int = 0
    values: dict[tuple[str, str], dict[tuple[int, int], float]] = field(default_factory=dict)
    weights: dict[str, dict[tuple[int, int], np.ndarray]] = field(default_factory=dict)
    edges: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether nothing has been reported yet."""
        return not self.values

    @property
    def kinds(self) -> list[str]:
        """Kinds of run seen so far, analog first."""
        return sorted({kind for _, kind in self.values})

    def add(self, event: dict[str, Any]) -> None:
        """Take the payload of one epoch; others (a start, a message) are passed over."""
        if "kind" not in event or "epoch" not in event:
            return
        at = (int(event["seed_index"]), int(event["epoch"]))
        self.epochs = max(self.epochs, int(event.get("epochs", 0)), at[1])
        for quantity, name in _OF_EVENT.items():
            self.values.setdefault((quantity, event["kind"]), {})[at] = float(event[name])
        for layer, histogram in event.get("histograms", {}).items():
            self.edges[layer] = np.asarray(histogram["edges"], float)
            self.weights.setdefault(layer, {})[at] = np.asarray(histogram["counts"], float)

    @classmethod
    def of(cls, ds: xr.Dataset) -> History:
        """Return the history of a finished training from its result."""
        epochs = [int(e) for e in ds["epoch"].values]
        made = cls(epochs=max(epochs))
        keys = [(s, e) for s in range(ds.sizes["seed"]) for e in epochs]
        for quantity in QUANTITIES:
            for kind in ds["kind"].values:
                flat = ds[quantity].sel(kind=kind).transpose("seed", "epoch").values.ravel()
                made.values[quantity, str(kind)] = dict(zip(keys, flat.tolist(), strict=True))
        counts = ds["weights_histogram"].transpose("layer", "seed", "epoch", "bin").values.astype(float)
        for layer, held in zip(ds["layer"].values, counts, strict=True):
            made.edges[str(layer)] = ds["bin_edge"].values
            made.weights[str(layer)] = dict(zip(keys, held.reshape(len(keys), -1), strict=True))
        return made

    def curve(self, quantity: str, kind: str) -> Curve:
        """Return a quantity over the epochs, at most `MAX_POINTS` of them."""
        found = self.values.get((quantity, kind), {})
        grouped: dict[int, list[float]] = {}
        for (_, epoch), value in found.items():
            grouped.setdefault(epoch, []).append(value)
        epochs = _thinned(sorted(grouped), MAX_POINTS)
        groups = [grouped[e] for e in epochs]
        return Curve(
            np.array(epochs, int),
            np.array([np.mean(g) for g in groups]),
            np.array([min(g) for g in groups]),
            np.array([max(g) for g in groups]),
            np.array([len(g) for g in groups], int),
        )

    def density(self, layer: str) -> Density | None:
        """Return the weight distribution of a layer over the epochs, or None before the first one."""
        held = self.weights.get(layer)
        if not held:
            return None
        total: dict[int, np.ndarray] = {}
        for (_, epoch), counts in held.items():
            total[epoch] = total.get(epoch, 0) + counts
        chosen = _thinned(sorted(total), MAX_COLUMNS)
        columns = np.array([total[e] / total[e].sum() for e in chosen]).T * 100.0
        return Density(np.where(columns > 0, columns, np.nan), self.edges[layer], chosen[0], chosen[-1])

    def outcomes(self) -> list[Outcome]:
        """Return what each kind came to, over the seeds that have run all epochs."""
        return [o for o in map(self._outcome, self.kinds) if o is not None]

    def _outcome(self, kind: str) -> Outcome | None:
        last = {q: [v for (_, e), v in self.values[q, kind].items() if e == self.epochs] for q in QUANTITIES[:3]}
        if not last["accuracy"]:
            return None
        return Outcome(
            kind,
            len(last["accuracy"]),
            float(np.mean(last["accuracy"])),
            float(np.std(last["accuracy"], ddof=1)) if len(last["accuracy"]) > 1 else float("nan"),
            float(np.mean(last["loss"])),
            float(np.mean(list(self.values["seconds", kind].values()))),
        )


def _thinned(items: list[int], most: int) -> list[int]:
    """Return at most ``most`` of the items, evenly spread, the last one always among them."""
    if len(items) <= most:
        return items
    at = np.linspace(0, len(items) - 1, most).round().astype(int)
    return [items[i] for i in at]
