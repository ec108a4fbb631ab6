# SPDX-License-Identifier: Apache-2.0
"""Train a network on analog tiles, beside the same network in floating point."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import param
import torch
import xarray as xr

from engine.devices import Device
from engine.nn import analog_layers, convert
from engine.optim import AnalogSGD
from engine.presets import load
from engine.quantity import Choice, Flag, Quantity
from engine.rng import derive_seed
from engine.tiles import IOParameters, TileConfig, UpdateParameters
from explorer import networks
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.threads import torch_threads

_BINS = 60
_REPORT_S = 0.2  # how often progress is told: often enough to cancel at once, too seldom to cost anything
KINDS = ("analog", "baseline")


class Training(Experiment):
    """Train a network with every linear layer on analog tiles of one device; several seeds, a digital baseline.

    Seed k of the analog and of the digital run start from the same weights and see the samples in the same order.
    """

    # fmt: off
    device = param.ClassSelector(class_=Device, default=load("idealized_symmetric"), instantiate=True,
                                 doc="The device model of all tiles.")
    network = Choice("mlp-digits", networks.names(), source="assumed", doc="Network and data.")
    epochs = Quantity(20, bounds=(1, 10_000), softbounds=(1, 100), integer=True, unit="epochs", source="assumed",
                      doc="Passes over the training data.")
    batch_size = Quantity(8, bounds=(1, 10_000), softbounds=(1, 128), integer=True, unit="samples", source="assumed",
                          doc="Samples between two updates; within a batch each sample is one pulsed update.")
    lr = Quantity(0.1, bounds=(0, None), softbounds=(0.001, 1), log=True, source="assumed",
                  doc="Learning rate of plain stochastic gradient descent.")
    n_seeds = Quantity(1, bounds=(1, 1000), softbounds=(1, 10), integer=True, unit="seeds", source="assumed",
                       doc="Independent runs: other devices, other initial weights, other order of samples.")
    baseline = Flag(True, source="assumed", doc="Also train the same network in floating point.")
    forward = param.ClassSelector(class_=IOParameters, default=IOParameters(), instantiate=True,
                                  doc="Periphery of the product.")
    backward = param.ClassSelector(class_=IOParameters, default=IOParameters(), instantiate=True,
                                   doc="Periphery of the transposed product.")
    update = param.ClassSelector(class_=UpdateParameters, default=UpdateParameters(), instantiate=True,
                                 doc="Pulse trains of the update.")
    # fmt: on

    @classmethod
    def prepare(cls) -> None:
        """Load what every run needs, once in each worker: data, and the parts of torch that load late."""
        network = networks.get(cls.param["network"].default)
        model = network.build(0)
        torch.nn.functional.cross_entropy(model(network.data().x_train[:1]), network.data().y_train[:1]).backward()

    def config(self) -> TileConfig:
        """Return the configuration of every tile."""
        return TileConfig(self.device, self.forward, self.backward, self.update)

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return loss and accuracy per kind, seed and epoch, weight histograms, and seconds per epoch."""
        kinds = KINDS if self.baseline else KINDS[:1]
        record = _Record.empty(kinds, self)
        total = len(kinds) * self.n_seeds * self.epochs
        with torch_threads(networks.get(self.network).threads):
            for run, (seed_index, kind) in enumerate((s, k) for s in range(self.n_seeds) for k in reversed(kinds)):
                self._train(kind, seed_index, record, _Share(progress, run * self.epochs, total))
        return record.dataset(self)

    def _train(self, kind: str, seed_index: int, record: _Record, share: _Share) -> None:
        seed = derive_seed(self.seed, "run", seed_index)
        network, order = networks.get(self.network), torch.Generator().manual_seed(seed)
        model = network.build(seed)
        if kind == "analog":
            model = convert(model, self.config(), seed=seed)
        optimizer = AnalogSGD(model.parameters(), self.lr)
        split = network.data()
        for epoch in range(self.epochs):
            began = time.perf_counter()
            text = f"{kind}, seed {seed_index + 1} of {self.n_seeds}, epoch {epoch + 1} of {self.epochs}"
            loss, train_accuracy = self._epoch(model, optimizer, split, order, share.within(epoch, text))
            seconds = time.perf_counter() - began
            found = _Epoch(kind, seed_index, epoch, loss, train_accuracy, network.score(model), seconds)
            shown = record.add(found, model)
            share.tell(epoch + 1, text, epochs=self.epochs, histograms=shown, **found.payload())

    def _epoch(self, model, optimizer, split, order, tick) -> tuple[float, float]:
        shuffled = torch.randperm(len(split.y_train), generator=order)
        loss_sum, right = 0.0, 0
        for first in range(0, len(shuffled), self.batch_size):
            chosen = shuffled[first : first + self.batch_size]
            optimizer.zero_grad()
            y = model(split.x_train[chosen])
            loss = torch.nn.functional.cross_entropy(y, split.y_train[chosen])
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(chosen)
            right += int((y.argmax(1) == split.y_train[chosen]).sum())
            tick((first + len(chosen)) / len(shuffled))
        return loss_sum / len(shuffled), right / len(shuffled)


@dataclass
class _Epoch:
    """What one epoch of one run gave."""

    kind: str
    seed_index: int
    epoch: int
    loss: float
    train_accuracy: float
    test_accuracy: float
    seconds: float

    def payload(self) -> dict:
        return {
            "kind": self.kind,
            "seed_index": self.seed_index,
            "epoch": self.epoch + 1,
            "loss": self.loss,
            "accuracy": self.train_accuracy,
            "test_accuracy": self.test_accuracy,
            "seconds": self.seconds,
        }


@dataclass
class _Share:
    """The part of the progress bar that belongs to one run."""

    progress: Progress
    done: int
    total: int
    last: float = field(default_factory=time.perf_counter)

    def tell(self, part: float, text: str, **payload) -> None:
        self.last = time.perf_counter()
        self.progress(min((self.done + part) / self.total, 1.0), text, **payload)

    def within(self, epoch: int, text: str):
        def tick(part: float) -> None:
            if time.perf_counter() - self.last > _REPORT_S:
                self.tell(epoch + part, text)

        return tick


@dataclass
class _Record:
    """All numbers of all runs, filled epoch by epoch."""

    kinds: tuple[str, ...]
    scalars: dict[str, np.ndarray]
    layers: list[str]
    edges: np.ndarray
    histograms: np.ndarray

    @classmethod
    def empty(cls, kinds: tuple[str, ...], experiment: Training) -> _Record:
        shape = (len(kinds), experiment.n_seeds, experiment.epochs)
        names = ("loss", "train_accuracy", "accuracy", "seconds")
        model = convert(networks.get(experiment.network).build(0), TileConfig("idealized_symmetric"))
        layers = list(analog_layers(model))
        reach = _reach(experiment.device)
        return cls(
            kinds,
            {n: np.full(shape, np.nan) for n in names},
            layers,
            np.linspace(-reach, reach, _BINS + 1),
            np.zeros((len(layers), experiment.n_seeds, experiment.epochs, _BINS), np.int64),
        )

    def add(self, found: _Epoch, model: torch.nn.Module) -> dict[str, dict[str, list]]:
        at = (self.kinds.index(found.kind), found.seed_index, found.epoch)
        values = (found.loss, found.train_accuracy, found.test_accuracy, found.seconds)
        for array, value in zip(self.scalars.values(), values, strict=True):
            array[at] = value
        if found.kind != "analog":
            return {}
        shown = {}
        for k, layer in enumerate(analog_layers(model).values()):
            weights = torch.cat([tile.weights.flatten() for tile in layer.tiles])
            inside = weights.clamp(self.edges[0], self.edges[-1]).numpy()
            counts = np.histogram(inside, self.edges)[0]
            self.histograms[k, found.seed_index, found.epoch] = counts
            shown[self.layers[k]] = {"counts": counts.tolist(), "edges": self.edges.tolist()}
        return shown

    def dataset(self, experiment: Training) -> xr.Dataset:
        dims = ("kind", "seed", "epoch")
        units = {
            "loss": ("1", "Cross-entropy, mean over the epoch"),
            "train_accuracy": ("1", "Share of training samples right, during the epoch"),
            "accuracy": ("1", "Share of test samples right, after the epoch"),
            "seconds": ("s", "Time of the epoch's training"),
        }
        data = {n: (dims, self.scalars[n], {"units": u, "long_name": t}) for n, (u, t) in units.items()}
        data["weights_histogram"] = (
            ("layer", "seed", "epoch", "bin"),
            self.histograms,
            {"units": "1", "long_name": "Number of weights as read; the end bins collect all beyond"},
        )
        data["bin_edge"] = ("edge", self.edges, {"units": "w", "long_name": "Edges of the weight bins"})
        data["seconds_per_epoch"] = (
            "kind",
            np.nanmean(self.scalars["seconds"], axis=(1, 2)),
            {"units": "s", "long_name": "Mean time per epoch"},
        )
        middle = 0.5 * (self.edges[1:] + self.edges[:-1])
        coords = {
            "kind": list(self.kinds),
            "seed": np.arange(experiment.n_seeds),
            "epoch": np.arange(1, experiment.epochs + 1),
            "layer": self.layers,
            "bin": ("bin", middle, {"units": "w", "long_name": "Middle of the weight bin"}),
        }
        return xr.Dataset(data, coords)


def _reach(device: Device) -> float:
    """Return a weight that few devices exceed: the nominal bounds widened by the spread; 1 without bounds."""
    low, high = device.range
    if not np.isfinite(high):
        return 1.0
    return 1.5 * max(abs(low), abs(high)) or 1.0
