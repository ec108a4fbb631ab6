# SPDX-License-Identifier: Apache-2.0
"""Train a network for analog hardware, and see on many chips what it gains over time."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import param
import torch
import xarray as xr

from engine.devices.ideal import Ideal
from engine.errors import ParameterError, say
from engine.inference import compensation as compensations
from engine.inference import noise as noises
from engine.nn import WeightClip, WeightRemap, convert
from engine.nn.modifiers import Modifier
from engine.quantity import Choice, Flag, Quantity, Table
from engine.recipes import Schedule, TrainingRecipe, load
from engine.rng import derive_seed
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, TileConfig, UpdateParameters
from explorer import networks
from explorer.experiments.base import Experiment, Progress
from explorer.experiments.chip_scores import TIMES, ChipTest, calibrated, share_right
from explorer.experiments.fine_tuning import Lesson, fine_tune, hardware_aware
from explorer.experiments.threads import torch_threads

VARIANTS = ("direct", "control", "hardware_aware")
_DEFAULT = load("explorer_small")
_REPORT_S = 0.2  # how often progress is told


def _part(name: str, cls: type, doc: str, *, optional: bool = False) -> param.ClassSelector:
    made = getattr(_DEFAULT, name, None) or getattr(_DEFAULT.config, name, None)
    return param.ClassSelector(class_=cls, default=made, allow_None=optional, instantiate=True, doc=doc)


class HardwareAwareTraining(Experiment):
    """Fine-tune a trained network through a model of the hardware; score it on chips beside the network as it was.

    ``direct`` is the trained network put on chips as it is, ``control`` the same after as many digital epochs (whatever
    it gains is not the hardware's doing), ``hardware_aware`` the fine-tuned one. Chip k is made of the same draws for
    all of them.
    """

    # fmt: off
    network = Choice("mlp-digits", networks.names(), source="assumed", doc="Network and data, with trained weights.")
    n_seeds = Quantity(1, bounds=(1, 100), softbounds=(1, 5), integer=True, unit="trainings", source="assumed",
                       doc="Independent fine-tunings of the same network.")
    samples = Quantity(0, bounds=(0, 10_000_000), softbounds=(0, 60_000), integer=True, unit="samples",
                       source="assumed", doc="Training samples of an epoch, the first ones; 0 are all.")
    test_samples = Quantity(0, bounds=(0, 10_000_000), softbounds=(0, 10_000), integer=True, unit="samples",
                            source="assumed", doc="Test samples, the first ones; 0 are all.")
    validation = Quantity(0.0, bounds=(0, 0.5), softbounds=(0, 0.3), source="assumed: off",
                          doc="Share of the training samples kept to choose the best epoch, on three chips at one day; "
                              "0 takes the last epoch.")
    control = Flag(True, source="assumed: always run it", doc="Also train digitally for as many epochs.")
    noise = Choice("pcm", noises.names(), group="Chips", source="assumed", doc="Statistics of the devices.")
    compensation = Choice("global", compensations.names(), group="Chips", source="assumed",
                          doc="What is done against drift.")
    n_chips = Quantity(25, bounds=(1, 10_000), softbounds=(1, 100), integer=True, unit="chips", group="Chips",
                       source="assumed", doc="Chips that each network is programmed on.")
    times = Table(list(TIMES), unit="s", lowest=0, group="Chips", source="assumed",
                  doc="Times after the reference read.")
    quantile = Quantity(0.999, bounds=(0, 1), inclusive_bounds=(False, True), softbounds=(0.9, 1), group="Chips",
                        source="assumed", doc="Input ranges of the networks that do not learn them: this quantile of "
                                              "absolute inputs.")
    modifier = _part("modifier", Modifier, "What perturbs the weights in training.", optional=True)
    clip = _part("clip", WeightClip, "Limit of the analog weights.", optional=True)
    remap = _part("remap", WeightRemap, "Shift of scale from the analog weights to digital factors.", optional=True)
    schedule = _part("schedule", Schedule, "Optimizer, rate, epochs, ramp, teacher.")
    forward = _part("forward", IOParameters, "Periphery of the product.")
    mapping = _part("mapping", MappingParameters, "How weights are laid out on tiles.")
    input_range = _part("input_range", InputRangeParameters, "Range of a tile's inputs.")
    # fmt: on

    @classmethod
    def by_recipe(cls, name: str, **changes: Any) -> HardwareAwareTraining:
        """Return the experiment with the chip and the schedule of a recipe (`engine.recipes`).

        Examples
        --------
        >>> HardwareAwareTraining.by_recipe("standard_aimc", n_chips=5).forward.out_bound
        10.0
        """
        recipe = load(name)
        parts = {part: getattr(recipe, part) for part in ("modifier", "clip", "remap", "schedule")}
        parts |= {part: getattr(recipe.config, part) for part in ("forward", "mapping", "input_range")}
        return cls(**parts | changes)

    @classmethod
    def prepare(cls) -> None:
        """Load data and weights, and the parts of torch that load late, once in each worker."""
        network = networks.get(cls.param["network"].default)
        network.trained()(network.data().x_train[:1])

    def check(self) -> None:
        """Raise `ParameterError` where remapping has no scale to put a factor into, or times do not ascend."""
        super().check()
        if self.remap is not None and not self.mapping.weight_scaling_omega:
            raise ParameterError(
                say("HardwareAwareTraining.mapping.weight_scaling_omega", 0.0, "must be positive to remap", "above 0",
                    "Set it to 1, or remap to None.", unit="w")
            )  # fmt: skip
        if sorted(set(self.times)) != list(self.times):
            raise ParameterError(
                say("HardwareAwareTraining.times", self.times, "must ascend", "each time once", "Sort them.", unit="s")
            )

    def recipe(self) -> TrainingRecipe:
        """Return chip and schedule as a recipe."""
        config = TileConfig(
            Ideal(), self.forward, IOParameters(is_perfect=True),
            UpdateParameters(pulse_type="none_but_gradient"), self.mapping, self.input_range,
        )  # fmt: skip
        parts = self.modifier, self.clip, self.remap, self.schedule
        return TrainingRecipe("own", "Own", "assumed", "", config, *parts, sources={})

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return accuracies by variant, training, time and chip, and the training's course."""
        run = _Run(self, progress)
        with torch_threads(networks.get(self.network).threads):
            for k in range(int(self.n_seeds)):
                run.one(k)
        return run.dataset()

    def trained(self, seed_index: int = 0, progress: Progress | None = None) -> torch.nn.Module:
        """Return the hardware-aware network of one training, to program it or to save its state."""
        run = _Run(self, progress or (lambda *_, **__: None))
        with torch_threads(networks.get(self.network).threads):
            return run.hardware_aware(seed_index, run.network.trained())


@dataclass
class _Run:
    """All trainings of one experiment."""

    experiment: HardwareAwareTraining
    progress: Progress
    last: float = field(default_factory=time.perf_counter)

    def __post_init__(self) -> None:
        own = self.experiment
        self.network = networks.get(own.network)
        self.recipe = own.recipe()
        split = self.network.data()
        count, tests = int(own.samples) or len(split.y_train), int(own.test_samples) or len(split.y_test)
        kept = round(count * own.validation)
        self.x, self.y = split.x_train[kept:count], split.y_train[kept:count]
        self.x_chosen, self.y_chosen = split.x_train[:kept], split.y_train[:kept]
        chips = {"times": list(own.times), "chips": int(own.n_chips), "noise": own.noise, "seed": int(own.seed)}
        self.test = ChipTest(split.x_test[:tests], split.y_test[:tests], compensations=(own.compensation,), **chips)
        shape = len(self.variants), int(own.n_seeds)
        self.accuracy = np.full((*shape, len(own.times), int(own.n_chips)), np.nan)
        self.unprogrammed = np.full(shape, np.nan)
        self.curve = np.full((2, int(own.n_seeds), int(own.schedule.epochs)), np.nan)
        self.digital = np.full(int(own.n_seeds), np.nan)
        self.part, self.parts = 0, 2 * len(self.variants) * int(own.n_seeds)

    @property
    def variants(self) -> list[str]:
        return [v for v in VARIANTS if v != "control" or self.experiment.control]

    def one(self, k: int) -> None:
        """Train and score everything of seed k."""
        made: dict[str, Callable[[int, torch.nn.Module], torch.nn.Module]] = {
            "direct": self.direct, "control": self.controlled, "hardware_aware": self.hardware_aware,
        }  # fmt: skip
        digital = self.network.trained()
        self.digital[k] = share_right(digital, self.test.x, self.test.y)
        for v, variant in enumerate(self.variants):
            model = made[variant](k, digital)
            self.part += 1
            self.unprogrammed[v, k] = share_right(model, self.test.x, self.test.y)
            self.accuracy[v, k] = self.test.accuracy(model, self.tick(f"{variant}: chips"))[0]
            self.part += 1
            means = [round(float(a), 4) for a in self.accuracy[v, k].mean(-1)]
            self.progress(self.part / self.parts, variant, variant=variant, seed_index=k, accuracy_over_time=means)

    def tick(self, text: str) -> Callable[[float], None]:
        """Return what tells the share of the part at hand."""

        def tell(share: float) -> None:
            if time.perf_counter() - self.last > _REPORT_S:
                self.last = time.perf_counter()
                self.progress(min((self.part + share) / self.parts, 1.0), text)

        return tell

    def direct(self, k: int, digital: torch.nn.Module) -> torch.nn.Module:
        """Return the trained network on tiles, its input ranges from training data."""
        return self._mapped(digital, k)

    def controlled(self, k: int, digital: torch.nn.Module) -> torch.nn.Module:
        """Return the same after digital epochs."""
        trained = fine_tune(copy.deepcopy(digital), self._lesson(k, digital), tick=self.tick("control: training"))
        return self._mapped(trained, k)

    def _mapped(self, digital: torch.nn.Module, k: int) -> torch.nn.Module:
        model = convert(digital, self.recipe.config, seed=self._seed(k)).eval()
        return calibrated(model, self.x, self.experiment.quantile) if self.recipe.config.input_range.enable else model

    def hardware_aware(self, k: int, digital: torch.nn.Module) -> torch.nn.Module:
        """Return the network fine-tuned through the model of the hardware."""
        model = convert(digital, self.recipe.config, seed=self._seed(k))
        lesson = self._lesson(k, digital)
        best = _Best(self)

        def after(epoch: int, loss: float, accuracy: float) -> None:
            self.curve[:, k, epoch] = loss, accuracy
            best.look(model)
            said = {"kind": "hardware_aware", "seed_index": k, "epoch": epoch + 1, "loss": loss, "accuracy": accuracy}
            self.progress(self._share(epoch + 1), f"epoch {epoch + 1} of {int(lesson.schedule.epochs)}", **said)

        aware = hardware_aware(self.recipe, int(lesson.schedule.epochs) * lesson.batches)
        fine_tune(model, lesson, aware, after_epoch=after, tick=self.tick("hardware-aware training"))
        return best.restored(model)

    def _share(self, epochs: int) -> float:
        return min((self.part + epochs / int(self.experiment.schedule.epochs)) / self.parts, 1.0)

    def _seed(self, k: int) -> int:
        return derive_seed(int(self.experiment.seed), "hardware-aware", k)

    def _lesson(self, k: int, digital: torch.nn.Module) -> Lesson:
        return Lesson(self.x, self.y, self.experiment.schedule, self._seed(k), digital)

    def dataset(self) -> xr.Dataset:
        """Return all numbers with names and units."""
        own = self.experiment
        told = {
            "accuracy": (
                ("variant", "training", "time", "chip"),
                self.accuracy,
                "Share of test samples right on a chip",
            ),
            "unprogrammed": (
                ("variant", "training"),
                self.unprogrammed,
                "The same before programming: converters only",
            ),
            "digital": ("training", self.digital, "The same of the trained network in floating point"),
            "loss": (("training", "epoch"), self.curve[0], "Loss of the hardware-aware training, mean over the epoch"),
            "train_accuracy": (("training", "epoch"), self.curve[1], "Share of training samples right in that epoch"),
        }
        data = {name: (dims, v, {"units": "1", "long_name": text}) for name, (dims, v, text) in told.items()}
        coords = {
            "variant": self.variants,
            "time": ("time", list(own.times), {"units": "s", "long_name": "Time after the reference read"}),
            "chip": np.arange(int(own.n_chips)),
            "training": np.arange(int(own.n_seeds)),
            "epoch": np.arange(1, int(own.schedule.epochs) + 1),
        }
        return xr.Dataset(data, coords)


class _Best:
    """The state of a model after its best epoch, by accuracy on three chips at one day; samples never tested on."""

    def __init__(self, run: _Run):
        self.test = ChipTest(run.x_chosen, run.y_chosen, [86400.0], 3, run.test.seed + 1, run.test.noise)
        self.accuracy, self.state = -1.0, None

    def look(self, model: torch.nn.Module) -> None:
        """Keep the model's state if it is the best so far."""
        if not len(self.test.y):
            return
        found = float(self.test.accuracy(model).mean())
        if found > self.accuracy:
            self.accuracy, self.state = found, copy.deepcopy(model.state_dict())

    def restored(self, model: torch.nn.Module) -> torch.nn.Module:
        """Return the model as it was after its best epoch; without validation as it is."""
        if self.state is not None:
            model.load_state_dict(self.state)
        return model.eval()
