# SPDX-License-Identifier: Apache-2.0
"""A network of the gallery on many programmed chips: made, asked, measured."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import numpy as np
import torch

from engine.devices.ideal import Ideal
from engine.errors import CapacityError, say
from engine.inference import ProgrammedNetwork, ProgrammedTile, program
from engine.nn import calibrate, convert
from engine.nn.checkpoint import analog_layers
from engine.nn.core import AnalogCore
from engine.nn.grid import Block
from engine.nn.memory import available_memory, shown
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, TileConfig
from explorer import networks
from explorer.experiments import robust
from explorer.experiments.scenario import Scenario
from explorer.experiments.threads import torch_threads
from explorer.networks import Exam

TILE = 512
"""Most inputs and outputs of one tile, lines."""
_TOGETHER = 25_000_000  # numbers in the largest activation of one pass, all chips: 100 MB
_MOST_SAMPLES = 500
_SERIAL = 1_000_000  # multiplications of a sample below which one thread is fastest
_CALIBRATED_ON, _QUANTILE = 640, 0.999  # training samples; as in the acceptance experiment of docs/physics/inference.md
_POOLED = 2_000_000  # weights in a histogram at most
# Assumed; MiniLM on two chips: forecast 0.97 GB, measured 0.85 to 1.0 GB beyond the process.
_COPIES = 4  # of the largest tile's arrays that live while it is programmed or read
_ACTIVATIONS = 6  # of a layer's inputs: scaled, quantised, product, outputs, and torch's own


@dataclass(frozen=True)
class Setting:
    """What all scenarios of an experiment share.

    Attributes
    ----------
    network : str
        Name in the gallery, or ``file.py:name``.
    chips, samples, seed : int
        Chips; test samples at most (0: all); seed of every draw on the chips.
    """

    network: str
    chips: int
    samples: int
    seed: int

    def exam(self) -> Exam:
        """Return the test, in batches that fit so many chips."""
        return networks.find(self.network).exam(self.samples, batch_size(self.network, self.chips))

    def threads(self) -> AbstractContextManager:
        """Return the threads to work with: one where threads would wait for each other longer than they work."""
        return torch_threads(1 if cost(self.network).multiplications < _SERIAL else torch.get_num_threads())

    def digital(self) -> float:
        """Return the score of the network in floating point on the same samples."""
        return _digital(self.network, self.samples)

    def programmed(self, scenario: Scenario) -> ProgrammedNetwork:
        """Return the network on chips; chip k is made of the same draws in every scenario."""
        model = analog(self.network, scenario)
        return program(
            model, scenario.noise, scenario.made_converter(), scenario.compensation, chips=self.chips, seed=self.seed,
            faults=scenario.made_faults(),
        )  # fmt: skip

    def require_memory(self, scenarios: list[Scenario], available: int | None = None) -> None:
        """Raise `CapacityError` where the chips will not fit in memory, with the number that does."""
        available = available_memory() if available is None else available
        needed = max(forecast(self.network, s, self.chips) for s in scenarios)
        if available is None or needed <= available:
            return
        one = max(forecast(self.network, s, 1) for s in scenarios)
        most = int(available // one)
        remedy = f"Take at most {most} chips." if most else "Take a smaller network, or a machine with more memory."
        rule = f"need {shown(needed)} of memory on {self.network}"
        raise CapacityError(say("n_chips", self.chips, rule, f"{shown(available)} are free", remedy, unit="chips"))


@functools.lru_cache(maxsize=8)
def _digital(network: str, samples: int) -> float:
    task = networks.find(network)
    return task.exam(samples).score(task.trained())


def analog(network: str, scenario: Scenario) -> torch.nn.Module:
    """Return the trained network with its layers on tiles; the same object for the same choices, not to be changed."""
    return _analog(network, scenario.training, scenario.input_range, json.dumps(scenario.forward.values()))


@functools.lru_cache(maxsize=4)
def _analog(network: str, training: str, input_range: str, forward: str) -> torch.nn.Module:
    task, config = networks.find(network), _config(IOParameters(**json.loads(forward)), input_range)
    model = convert(robust.weights(network, training), config).eval()
    if config.input_range.enable:
        calibrate(model, task.calibration(_CALIBRATED_ON), "cache_quantile", quantile=_QUANTILE)
    return model


def _config(forward: IOParameters, input_range: str) -> TileConfig:
    mapping = MappingParameters(max_input_size=TILE, max_output_size=TILE, weight_scaling_omega=1.0)
    ranges = InputRangeParameters(enable=input_range == "calibrated")
    return TileConfig(Ideal(), forward, mapping=mapping, input_range=ranges)


def first_layers(network: str, scenario: Scenario, most: int) -> torch.nn.Module:
    """Return the first layers of a network on tiles, with so many weights at most but one layer at least."""
    digital = robust.weights(network, scenario.training)
    layers = [m for m in digital.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d)]
    sizes = np.cumsum([layer.weight.numel() for layer in layers])
    fit = max(1, int(np.searchsorted(sizes, most, side="right")))
    return convert(torch.nn.ModuleList(layers[:fit]), _config(scenario.forward.copy(), "largest")).eval()


def forecast(network: str, scenario: Scenario, chips: int) -> int:
    """Return the bytes that a network on so many chips will take at most, beyond the process itself.

    Arrays of all tiles (conductances, exponents, read noise of each device, weights in use), temporaries of the
    largest tile, and the activations of one pass.
    """
    model, slices = analog(network, scenario), scenario.made_converter().slices
    blocks = [block for layer in analog_layers(model).values() for block in layer.blocks.values()]
    sizes = [block.size[0] * block.size[1] for block in blocks]
    kept = len(scenario.noise.state_names()) * slices + 1
    lasting = sum(sizes) * (kept + slices)
    passing = max(sizes) * slices * _COPIES
    rows = cost(network).largest * batch_size(network, chips) * _ACTIVATIONS
    return 4 * (chips * (lasting + passing + rows) + 2 * sum(sizes))


def batch_size(network: str, chips: int) -> int:
    """Return the samples of one pass through so many chips."""
    return max(1, min(_MOST_SAMPLES, _TOGETHER // (chips * cost(network).largest)))


@dataclass(frozen=True)
class Cost:
    """What one sample costs a network on tiles.

    Attributes
    ----------
    weights : int
        Weights on tiles.
    largest : int
        Most numbers that one layer is given, patches of a convolution counted singly.
    multiplications : int
        Of weights with inputs.
    converted : int
        Inputs and outputs that pass a converter.
    """

    weights: int
    largest: int
    multiplications: int
    converted: int


@functools.lru_cache(maxsize=16)
def cost(network: str) -> Cost:
    """Return what a sample costs, counted in one pass of one input."""
    task = networks.find(network)
    model = convert(task.trained(), TileConfig(Ideal())).eval()
    given: list[tuple[int, int, int]] = []
    layers = analog_layers(model)

    def watch(layer: AnalogCore, block: Block, x: torch.Tensor) -> None:
        rows, columns = block.size
        given.append((x.numel(), len(x) * rows * columns, len(x) * (rows + columns)))

    for layer in layers.values():
        layer.watch = watch
    exam = task.exam(2)
    x = exam.inputs[0][:1]
    with torch.no_grad():
        model(x)
    weights = sum(b.size[0] * b.size[1] for layer in layers.values() for b in layer.blocks.values())
    largest, multiplications, converted = zip(*given, strict=True)
    return Cost(weights, max(largest), sum(multiplications), sum(converted))


@dataclass
class Answers:
    """Scores of all chips at one moment, batch by batch."""

    exam: Exam
    outputs: list[torch.Tensor] = field(default_factory=list)

    def ask(self, chips: ProgrammedNetwork) -> Iterator[float]:
        """Run the exam; yields the share done after each batch."""
        for k, x in enumerate(self.exam.inputs):
            self.outputs.append(chips(x))
            yield (k + 1) / len(self.exam.inputs)

    def scores(self) -> np.ndarray:
        """Return the score of each chip, ``(chip,)``."""
        count = len(self.outputs[0])
        return np.array([self.exam.judge([part[chip] for part in self.outputs]) for chip in range(count)])


@dataclass(frozen=True)
class WeightStatistics:
    """How far the weights in use are from those asked for, ``(chip,)`` each; all tiles together, in their units.

    Attributes
    ----------
    alpha : array
        Factor of the compensation, mean over tiles and outputs.
    slope : array
        <W_t, W> / <W, W>: what is left of the weights, before compensation.
    dispersion : array
        Spread about that slope, ||W_t - slope W|| / (slope ||W||): no factor on outputs takes it away.
    error : array
        ||alpha W_t - W|| / ||W||.
    """

    alpha: np.ndarray
    slope: np.ndarray
    dispersion: np.ndarray
    error: np.ndarray

    @staticmethod
    def of(chips: ProgrammedNetwork) -> WeightStatistics:
        """Return the statistics at the time that the chips are at."""
        power = cross = square = missed = 0.0
        alphas = []
        for tile in chips.tiles.values():
            wanted, used = tile.wanted.double(), tile.weights.double()
            alpha = _aligned(tile.alpha, used)
            power += float((wanted**2).sum())
            cross = cross + (used * wanted).sum((1, 2))
            square = square + (used**2).sum((1, 2))
            missed = missed + ((alpha * used - wanted) ** 2).sum((1, 2))
            alphas.append(alpha.mean((1, 2)).expand(len(used)))
        slope = cross / power
        rest = (square - slope**2 * power).clamp(min=0)
        dispersion = (rest / power).sqrt() / slope.abs().clamp(min=1e-12)
        mean_alpha = torch.stack(alphas).mean(0)
        return WeightStatistics(*(v.numpy() for v in (mean_alpha, slope, dispersion, (missed / power).sqrt())))


def _aligned(alpha: torch.Tensor, used: torch.Tensor) -> torch.Tensor:
    """Return factors of a compensation so that they multiply ``(chip, out, in)``."""
    return (alpha[:, None, None] if alpha.dim() == 1 else alpha[:, :, None]).double()


def pooled(chips: ProgrammedNetwork, what: str = "weights") -> np.ndarray:
    """Return weights of all tiles as one array, of a large network evenly spaced ones.

    ``"weights"`` in use on some chips, or what is ``"wanted"``.
    """
    tiles = chips.tiles.values()
    count = sum(t.wanted.numel() for t in tiles)
    step, most = -(-count // _POOLED), max(1, _POOLED // count)
    kept = [t.wanted[None] if what == "wanted" else t.weights[:most] for t in tiles]
    return np.concatenate([w.flatten(1)[:, ::step].flatten().numpy() for w in kept])


def sampled(tiles: list[ProgrammedTile], most: int, what: str) -> np.ndarray:
    """Return evenly spaced weights of the first chip: ``"wanted"``, or in use ``"weights"``."""
    kept = [t.wanted if what == "wanted" else t.weights[0] for t in tiles]
    flat = torch.cat([w.flatten() for w in kept])
    return flat[networks.spaced(len(flat), most)].numpy()
