# SPDX-License-Identifier: Apache-2.0
"""Train digital low-rank adapters beside frozen analog layers, and score both on the same chips."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import param
import torch
import xarray as xr

from engine.errors import ParameterError, say
from engine.inference import ProgrammedNetwork, program
from engine.inference import compensation as compensations
from engine.inference import noise as noises
from engine.nn import HardwareAware, add_adapters, calibrate, convert, use_adapter
from engine.nn.checkpoint import analog_layers
from engine.nn.modifiers import Modifier
from engine.nn.modifiers.add_normal import AddNormal
from engine.quantity import Choice, Quantity, Table
from engine.recipes import Schedule, load
from engine.rng import derive_seed
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, TileConfig
from explorer import networks
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.chip_scores import TIMES
from explorer.experiments.fine_tuning import Lesson, fine_tune
from explorer.experiments.threads import torch_threads
from explorer.networks.base import Network
from explorer.networks.minilm import MiniLM

_CHIP = load("standard_aimc").config
_SOURCE = load("lora_mobilebert")
_REPORT_S = 0.2
_PASS = 100  # samples of one pass through all chips
VARIANTS = ("direct", "adapted")


class AdapterTraining(Experiment):
    r"""Freeze a network's analog weights, train digital adapters of low rank beside them, score it with and without.

    A classifier learns from its labels. The transformer has none here: its adapters learn to give the vectors of the
    digital network for texts that are not scored. Analog weights are programmed once: chip k is the same with and
    without adapters. "Efficient transformer adaptation for analog in-memory computing via low-rank adapters",
    arXiv:2411.17367.
    """

    # fmt: off
    network = Choice("mlp-digits-deep", ("mlp-digits", "mlp-digits-deep", "minilm-l6"), source="assumed",
                     doc="Network, of linear layers, with its data.")
    rank = Quantity(8, bounds=(1, 1024), softbounds=(1, 64), integer=True, group="Adapter",
                    source="arXiv:2411.17367, code: 8", doc="Rows of the adapter's inner product.")
    alpha = Quantity(32.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 128), group="Adapter",
                     source="arXiv:2411.17367, code: 32", doc="The adapter's factor is this over the rank.")
    dropout = Quantity(0.0, bounds=(0, 1), inclusive_bounds=(True, False), softbounds=(0, 0.5), group="Adapter",
                       source="assumed: off (arXiv:2411.17367, code: 0.1)",
                       doc="Share of the adapter's inputs that are zero in training.")
    targets = param.List(["*"], item_type=str, doc="Patterns of the names of layers that get an adapter.")
    samples = Quantity(0, bounds=(0, 10_000_000), softbounds=(0, 60_000), integer=True, unit="samples",
                       source="assumed", doc="Training samples of an epoch; 0 are all.")
    n_chips = Quantity(25, bounds=(1, 10_000), softbounds=(1, 100), integer=True, unit="chips", group="Chips",
                       source="assumed", doc="Chips that the network is programmed on.")
    noise = Choice("pcm", noises.names(), group="Chips", source="assumed", doc="Statistics of the devices.")
    compensation = Choice("global", compensations.names(), group="Chips", source="assumed",
                          doc="What is done against drift.")
    times = Table(list(TIMES), unit="s", lowest=0, group="Chips", source="assumed",
                  doc="Times after the reference read.")
    quantile = Quantity(0.999, bounds=(0, 1), inclusive_bounds=(False, True), softbounds=(0.9, 1), group="Chips",
                        source="assumed", doc="Input ranges are this quantile of absolute training inputs.")
    modifier = param.ClassSelector(class_=Modifier, default=AddNormal(std_dev=0.06), allow_None=True, instantiate=True,
                                   doc="What perturbs the frozen weights in training.")
    schedule = param.ClassSelector(class_=Schedule, default=Schedule(), instantiate=True,
                                   doc="Optimizer, rate, epochs of the adapters.")
    forward = param.ClassSelector(class_=IOParameters, default=_CHIP.forward, instantiate=True,
                                  doc="Periphery of the product.")
    mapping = param.ClassSelector(class_=MappingParameters, default=_CHIP.mapping, instantiate=True,
                                  doc="How weights are laid out on tiles.")
    input_range = param.ClassSelector(class_=InputRangeParameters, default=_CHIP.input_range, instantiate=True,
                                      doc="Range of a tile's inputs.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` where labels are asked for that a network does not have."""
        super().check()
        if self.schedule.distil and self.network != MiniLM.name:
            raise ParameterError(
                say("AdapterTraining.schedule.distil", True, "is for hardware-aware training", "False",
                    "Set it to False: classifiers learn from labels here.")
            )  # fmt: skip

    def model(self) -> torch.nn.Module:
        """Return the trained network on tiles, input ranges calibrated, without adapters."""
        config = TileConfig(_CHIP.device, self.forward, _CHIP.backward, _CHIP.update, self.mapping, self.input_range)
        model = convert(self._network.trained(), config, seed=derive_seed(int(self.seed), "adapters")).eval()
        if self.input_range.enable:
            calibrate(model, self._lesson().some(), "cache_quantile", quantile=self.quantile)
        return model

    @property
    def _network(self) -> networks.ScoredNetwork:
        return networks.get_scored(self.network)

    def _lesson(self) -> _Labels | _Texts:
        seed = derive_seed(int(self.seed), "adapters", "order")
        return (_Texts if self.network == MiniLM.name else _Labels).of(self._network, self, seed)

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return scores with and without adapters by time and chip, and the training's course."""
        lesson, epochs = self._lesson(), int(self.schedule.epochs)
        curve, last = np.full((2, epochs), np.nan), time.perf_counter()

        def after(epoch: int, loss: float, right: float) -> None:
            curve[:, epoch] = loss, right
            progress(0.5 * (epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}", epoch=epoch + 1, loss=loss)

        def tick(share: float) -> None:
            nonlocal last
            if time.perf_counter() - last > _REPORT_S:
                last = time.perf_counter()
                progress(0.5 * share, "training adapters")

        with torch_threads(self._network.threads):
            model = self.model()
            before = [
                w.detach().clone() for layer in analog_layers(model).values() for w in layer.analog_weights.values()
            ]
            trained = add_adapters(
                model, int(self.rank), self.alpha, dropout=self.dropout, targets=self.targets, seed=int(self.seed)
            )
            aware = HardwareAware(self.modifier)
            fine_tune(model, lesson, aware, parameters=trained, after_epoch=after, tick=tick)
            scores = self._scores(model, progress)
            after_all = [w for layer in analog_layers(model).values() for w in layer.analog_weights.values()]
        changed = max(float((a.detach() - b).abs().max()) for a, b in zip(after_all, before, strict=True))
        return self._dataset(scores, curve, sum(p.numel() for p in trained), changed)

    def _scores(self, model: torch.nn.Module, progress: Progress) -> np.ndarray:
        """Return scores ``(variant, time, chip)``; programmed once, adapters off and on."""
        found = np.empty((len(VARIANTS), len(self.times), int(self.n_chips)))
        chips = program(model, self.noise, None, self.compensation, chips=int(self.n_chips), seed=int(self.seed))
        for t, moment in enumerate(self.times):
            for v, name in enumerate((None, "default")):
                use_adapter(chips.model, name)
                found[v, t] = _chip_scores(self._network, chips.drift_to(moment))
                done = (t * len(VARIANTS) + v + 1) / (len(VARIANTS) * len(self.times))
                progress(min(0.5 + 0.5 * done, 1.0), f"{VARIANTS[v]} at {moment:g} s")
        return found

    def _dataset(self, scores: np.ndarray, curve: np.ndarray, count: int, changed: float) -> xr.Dataset:
        network = self._network
        told = {
            "score": (("variant", "time", "chip"), scores, f"Score on a chip: {network.measure}"),
            "digital": ((), network.score(network.trained()), "The same of the network in floating point"),
            "loss": ("epoch", curve[0], "Loss, mean over the epoch"),
            "train_accuracy": ("epoch", curve[1], "Share of training samples right in that epoch"),
            "trainable": ((), float(count), "Parameters of the adapters"),
            "weights_changed": ((), changed, "Largest change of an analog weight by the training"),
        }
        data = {name: (dims, v, {"units": "1", "long_name": text}) for name, (dims, v, text) in told.items()}
        moment = ("time", list(self.times), {"units": "s", "long_name": "Time after the reference read"})
        epochs = np.arange(1, len(curve[0]) + 1)
        return xr.Dataset(data, {"variant": list(VARIANTS), "time": moment, "epoch": epochs})


def _chip_scores(network: networks.ScoredNetwork, chips: ProgrammedNetwork) -> list[float]:
    exam = network.exam(batch=_PASS)
    outputs = [chips(x) for x in exam.inputs]
    return [exam.judge([part[chip] for part in outputs]) for chip in range(chips.chips)]


class _Labels(Lesson):
    """Labelled samples."""

    @classmethod
    def of(cls, network: Network, own: AdapterTraining, seed: int) -> _Labels:
        """Return the lesson of a classifier."""
        split, count = network.data(), int(own.samples) or None
        return cls(split.x_train[:count], split.y_train[:count], own.schedule, seed)

    def some(self) -> list[torch.Tensor]:
        """Return inputs to calibrate with."""
        return list(self.x[:640].split(64))


@dataclass
class _Texts(Lesson):
    """Texts of several lengths; the digital network's vectors are what is to be given."""

    groups: dict[int, torch.Tensor] | None = None
    per_epoch: int = 0

    @classmethod
    def of(cls, network: MiniLM, own: AdapterTraining, seed: int) -> _Texts:
        """Return the lesson of the transformer."""
        groups, none = network.texts(), torch.empty(0)
        every = sum(map(len, groups.values()))
        return cls(none, none, own.schedule, seed, network.trained(), groups, min(int(own.samples) or every, every))

    @property
    def count(self) -> int:
        """Texts of one epoch."""
        return self.batches * int(self.schedule.batch_size)

    @property
    def batches(self) -> int:
        """Mini-batches of one epoch, each of texts of one length."""
        return max(1, self.per_epoch // int(self.schedule.batch_size))

    @property
    def chance(self) -> float:
        """Share that guessing gets right among the texts of a mini-batch."""
        return 1 / int(self.schedule.batch_size)

    def some(self) -> list[torch.Tensor]:
        """Return inputs to calibrate with: a few hundred texts of every common length."""
        return [tokens[:128] for tokens in self.groups.values() if len(tokens) >= 64]

    def epoch(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield texts and the digital network's vectors; lengths by their share of all texts."""
        size = int(self.schedule.batch_size)
        usable = {steps: tokens for steps, tokens in self.groups.items() if len(tokens) >= size}
        shares = torch.tensor([float(len(tokens)) for tokens in usable.values()])
        lengths = list(usable)
        for which in torch.multinomial(shares, self.batches, replacement=True, generator=self.order).tolist():
            tokens = usable[lengths[which]]
            chosen = tokens[torch.randperm(len(tokens), generator=self.order)[:size]]
            with torch.no_grad():
                taught = self.teacher(chosen)
            yield chosen, taught

    def loss(self, z: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Return 1 - the mean cosine of vectors of length 1."""
        return 1 - (z * y).sum(-1).mean()

    def right(self, z: torch.Tensor, y: torch.Tensor) -> int:
        """Return how many vectors are nearer to their own text's than to any other of the mini-batch."""
        return int(((z.detach() @ y.T).argmax(1) == torch.arange(len(y))).sum())
