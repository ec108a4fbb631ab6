# SPDX-License-Identifier: Apache-2.0
"""What a model costs before it runs: tiles, products, pulses and memory of every layer, from shapes alone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from engine.errors import CapacityError, ParameterError, say
from engine.nn.convert import Rules, configurations
from engine.nn.core import AnalogCore
from engine.nn.grid import Block, Shape
from engine.nn.kinds import KINDS, Product, is_analog, outermost
from engine.nn.memory import available_memory, shown, tile_bytes
from engine.nn.tracing import Trace, trace
from engine.tiles import TileConfig

_FLOAT = 4


@dataclass(frozen=True)
class LayerCost:
    """One layer of a summary.

    Parameters
    ----------
    name, kind : str
        Path in the model, and class.
    tiles : list of (int, int)
        Rows and columns of each tile; none for a digital layer.
    utilisation : float or None
        Share of the crosspoints of its tiles that hold weights, where ``max_input_size`` and ``max_output_size`` say
        how large the tiles are.
    parameters : int
        Weights and biases.
    mvms : int
        Products of one tile with one vector, for each sample of a forward pass; as many again backwards.
    slots : int
        Most slots of the pulse trains that one sample's update takes, tiles of a layer at the same time.
    tile_bytes, sample_bytes : int
        Memory of its tiles, and what a training step keeps of each sample.
    """

    name: str
    kind: str
    tiles: list[tuple[int, int]]
    utilisation: float | None
    parameters: int
    mvms: int
    slots: int
    tile_bytes: int
    sample_bytes: int


@dataclass
class Summary:
    """Costs of a model.

    Parameters
    ----------
    layers : list of LayerCost
        Every layer that is analog or has parameters, in the order of the model.
    batch : int
        Samples of the input it was made for.
    digital_bytes : int
        Digital parameters, their gradients, and buffers.
    sample_bytes : int
        What a training step keeps of each sample, all layers together.
    working_bytes : int
        Largest temporary of one layer in a training step, for the whole batch.
    making_bytes : int
        Largest temporary while tiles are made.
    """

    layers: list[LayerCost]
    batch: int
    digital_bytes: int = 0
    sample_bytes: int = 0
    working_bytes: int = 0
    making_bytes: int = 0

    @property
    def tile_bytes(self) -> int:
        """Memory of all tiles."""
        return sum(layer.tile_bytes for layer in self.layers)

    @property
    def peak_bytes(self) -> int:
        """Predicted peak of making the tiles and training with the batch, beyond what the process takes without.

        Not an upper bound: it counts tensors, and neither copies that torch makes inside its functions nor what the
        allocator holds back. Predicted over measured with an allocator that holds back nothing: perceptron 1.36,
        convolutions 1.02, encoder 1.51 (tests/engine/test_summary.py); with the usual one it varies from run to run.
        """
        step = self.batch * self.sample_bytes + self.working_bytes
        return self.tile_bytes + self.digital_bytes + max(step, self.making_bytes)

    def largest_batch(self, available: int) -> int:
        """Return how many samples a training step may have in so many bytes; 0 if not even one."""
        lasting = self.tile_bytes + self.digital_bytes
        if lasting + self.making_bytes > available:
            return 0
        per_sample = self.sample_bytes + self.working_bytes / self.batch
        return max(int((available - lasting) // max(per_sample, 1)), 0)

    def require_memory(self, available: int | None = None) -> None:
        """Raise `CapacityError` if a training step will not fit; ``available`` is asked of the system if not given."""
        available = available_memory() if available is None else available
        if available is None or self.peak_bytes <= available:
            return
        batch = self.largest_batch(available)
        remedy = f"Take batches of at most {batch}." if batch else self._for_less_tiles()
        raise CapacityError(
            f"summary.peak_bytes = {shown(self.peak_bytes)}: a training step of {self.batch} samples does not fit "
            f"(allowed: {shown(available)}, what is free). {remedy}"
        )

    def _for_less_tiles(self) -> str:
        largest = max(self.layers, key=lambda layer: layer.tile_bytes)
        if largest.tile_bytes * 2 < self.tile_bytes + self.digital_bytes:
            return "Keep layers digital, choose a device with fewer per-device values, or take a larger machine."
        return f"Keep {largest.name!r} digital ({shown(largest.tile_bytes)} of tiles), or take a larger machine."

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, JSON-ready."""
        layers = [vars(layer) | {"tiles": [list(size) for size in layer.tiles]} for layer in self.layers]
        totals = ("batch", "tile_bytes", "digital_bytes", "sample_bytes", "working_bytes", "making_bytes", "peak_bytes")
        return {"layers": layers} | {name: getattr(self, name) for name in totals}


def summary(
    model: nn.Module,
    sample_input: torch.Tensor | tuple[Any, ...],
    config: TileConfig | None = None,
    *,
    rules: Rules | None = None,
    exclude: Iterable[str] = (),
) -> Summary:
    """Return what every layer of a model costs; nothing is computed and no memory taken but for shapes.

    Parameters
    ----------
    model : torch.nn.Module
        Analog, or digital together with a configuration.
    sample_input : torch.Tensor or tuple
        What the model is called with; only shapes and types count. The first axis of the first tensor is the batch.
    config, rules, exclude
        As for `engine.nn.convert`: the costs are those of the model that it would give.

    Returns
    -------
    Summary

    Notes
    -----
    The model runs once on tensors without memory (torch's ``meta`` device), so a model that looks at values (a loop
    until convergence) cannot be summed up. Memory is an estimate: tiles, digital parameters with their gradients, what
    autograd keeps, unfolded inputs of convolutions, errors that wait for the update. A digital model that `convert`
    copies is not counted.

    Examples
    --------
    >>> from engine.tiles import MappingParameters
    >>> model = torch.nn.Sequential(torch.nn.Linear(100, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10))
    >>> tiles = MappingParameters(max_input_size=64, max_output_size=64)
    >>> costs = summary(model, torch.zeros(8, 100), TileConfig("idealized_symmetric", mapping=tiles))
    >>> [(layer.tiles, layer.mvms) for layer in costs.layers]
    [([(50, 50), (50, 50)], 2), ([(10, 50)], 1)]
    """
    inputs = sample_input if isinstance(sample_input, tuple) else (sample_input,)
    batch = _batch(inputs)
    seen = trace(model, inputs)
    configs = _configurations(model, config, rules, exclude)
    units = outermost(seen.twin, lambda m: type(m) in KINDS)
    inside = {id(m) for unit in units.values() for m in unit.modules()}
    found = Summary([], batch)
    for name, module in seen.twin.named_modules():
        if name in units:
            _add_unit(found, name, module, seen, configs.get(name))
        elif id(module) not in inside and any(True for _ in module.parameters(recurse=False)):
            _add_digital(found, name, module, module.parameters(recurse=False))
    found.digital_bytes += sum(b.nbytes for b in seen.twin.buffers())
    found.sample_bytes += -(-seen.saved_bytes // batch)
    return found


def _batch(inputs: tuple[Any, ...]) -> int:
    """Return the number of samples of a call."""
    for value in inputs:
        if isinstance(value, PackedSequence):
            return int(value.batch_sizes[0])
        if isinstance(value, torch.Tensor) and value.dim() and len(value):
            return len(value)
    kinds = tuple(type(value).__name__ for value in inputs)
    raise ParameterError(
        say("summary.sample_input", kinds, "has no samples", "tensors with a batch axis", "Give some.")
    )


def _configurations(model, config, rules, exclude) -> dict[str, TileConfig]:
    """Return the configuration of every layer on tiles, of those there are and of those that would be."""
    found = {
        name: next(m for m in layer.modules() if isinstance(m, AnalogCore)).tiles[0].config
        for name, layer in outermost(model, is_analog).items()
    }
    return found if config is None else found | configurations(model, config, rules, exclude)


def _add_digital(found: Summary, name: str, module: nn.Module, parameters: Iterable[nn.Parameter]) -> None:
    parameters = list(parameters)
    found.digital_bytes += sum(_bytes_trained(p) for p in parameters)
    count = sum(p.numel() for p in parameters)
    found.layers.append(LayerCost(name, type(module).__name__, [], None, count, 0, 0, 0, 0))


def _bytes_trained(parameter: nn.Parameter) -> int:
    return parameter.nbytes * (2 if parameter.requires_grad else 1)  # itself and its gradient


def _add_unit(found: Summary, name: str, layer: nn.Module, seen: Trace, config: TileConfig | None) -> None:
    """Add a layer that has an analog form: on tiles if it has a configuration."""
    if config is None:
        _add_digital(found, name, layer, layer.parameters())
        return
    vectors, parts = seen.vectors.get(name, {}), list(KINDS[type(layer)].products(layer))
    sends_back = name in seen.sends_back or len(parts) > 1  # one product of a layer feeds another
    products = [_ProductCost(layer, p, vectors.get(p.core, 0), config, sends_back) for p in parts]
    crosspoints = sum(p.crosspoints for p in products)
    kept = sum(p.kept for p in products) * _FLOAT // found.batch
    cost = LayerCost(
        name=name,
        kind=type(layer).__name__,
        tiles=[block.size for p in products for block in p.blocks],
        utilisation=sum(p.held for p in products) / sum(p.room for p in products),
        parameters=sum(p.numel() for p in layer.parameters()),
        mvms=sum(p.vectors * len(p.blocks) for p in products) // found.batch,
        slots=sum(p.vectors for p in products) * _slots(config) // found.batch,
        tile_bytes=tile_bytes(config.device, crosspoints),
        sample_bytes=kept,
    )
    found.layers.append(cost)
    found.sample_bytes += kept
    found.working_bytes = max(found.working_bytes, max(p.working for p in products) * _FLOAT)
    found.making_bytes = max(found.making_bytes, 3 * max(p.crosspoints for p in products) * _FLOAT)
    if config.mapping.digital_bias:
        found.digital_bytes += sum(_bytes_trained(p) for p in layer.parameters() if p.dim() == 1)


def _slots(config: TileConfig) -> int:
    """Return the most slots of one update's trains; none where updates are arithmetic."""
    arithmetic = not config.device.pulsed or config.update.pulse_type.startswith("none")
    return 0 if arithmetic else config.update.desired_bl


class _ProductCost:
    """One matrix of a layer on its tiles, and what a call of the layer keeps for it, in numbers."""

    def __init__(self, layer: nn.Module, product: Product, vectors: int, config: TileConfig, sends_back: bool):
        weight, bias = product.values()
        mapping, conv = config.mapping, isinstance(layer, nn.modules.conv._ConvNd)
        groups, kernel = (layer.groups, math.prod(layer.kernel_size)) if conv else (1, 1)
        inputs = weight[0].numel() * groups
        shape = Shape(len(weight), inputs, groups, kernel, bias is not None and not mapping.digital_bias)
        self.blocks: list[Block] = shape.blocks(mapping)
        self.vectors, self.crosspoints = vectors, sum(math.prod(block.size) for block in self.blocks)
        self.held = sum(block.crosspoints for block in self.blocks)
        self.room = sum(
            (mapping.max_output_size or rows) * (mapping.max_input_size or columns)
            for rows, columns in (block.size for block in self.blocks)
        )
        copied = conv or shape.analog_bias or config.input_range.enable
        self.kept = vectors * (len(weight) + inputs * copied)  # the errors, and inputs that are no module's output
        # Gradients and outputs on their way; a layer that owes no gradient to its inputs makes none.
        self.working = vectors * (2 * inputs + 3 * len(weight) if sends_back else len(weight))
