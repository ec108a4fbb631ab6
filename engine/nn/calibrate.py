# SPDX-License-Identifier: Apache-2.0
"""Input ranges of a trained model, set from data that pass through exact products."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from engine.errors import ParameterError, StateError, near_miss, say
from engine.nn.checkpoint import analog_layers
from engine.nn.core import AnalogCore
from engine.nn.grid import Block
from engine.rng import derive_seed
from engine.tiles.input_range import SMALLEST

METHODS = ("max", "moving_std", "moving_quantile", "cache_quantile")
_CACHE = 1000  # vectors of each tile that cache_quantile keeps


def calibrate(
    model: torch.nn.Module,
    batches: Iterable[Any],
    method: str = "max",
    *,
    quantile: float = 0.99995,
    std_alpha: float = 3.0,
    seed: int = 0,
) -> dict[str, torch.Tensor]:
    """Set the input ranges of all analog layers from the inputs that their tiles see.

    Parameters
    ----------
    model : torch.nn.Module
        With layers whose ``config.input_range.enable`` is set.
    batches : iterable
        Inputs of the model, a tensor or a tuple of arguments each.
    method : {"max", "moving_std", "moving_quantile", "cache_quantile"}
        Largest absolute input; mean over batches of ``std_alpha`` standard deviations; mean over batches of a quantile
        of absolute inputs; that quantile of up to 1000 vectors of each tile, drawn from all batches.
    quantile, std_alpha : float
    seed : int
        Which vectors ``cache_quantile`` keeps.

    Returns
    -------
    dict
        Ranges ``(rows of tiles, columns of tiles)`` by layer, input units. Their estimation from training batches is
        over then.

    Raises
    ------
    ParameterError
        An unknown method, a quantile outside ``(0, 1]``, no batch, or a tile that saw only zeros.
    StateError
        If no layer has input ranges.

    Examples
    --------
    >>> from engine.nn import AnalogLinear
    >>> from engine.tiles import InputRangeParameters, TileConfig
    >>> config = TileConfig("idealized_symmetric", input_range=InputRangeParameters(enable=True))
    >>> calibrate(AnalogLinear(2, 3, config=config), [torch.tensor([[0.5, -2.0]])])
    {'': tensor([[2.]])}
    """
    _check(method, quantile, std_alpha)
    layers = {name: layer for name, layer in analog_layers(model).items() if layer.input_range is not None}
    if not layers:
        raise StateError(
            "calibrate.model: no layer has an input range (allowed: layers with config.input_range.enable). "
            "Convert it with InputRangeParameters(enable=True)."
        )
    generator = torch.Generator().manual_seed(derive_seed(seed, "calibrate"))
    found = {(name, b.row, b.column): _METHODS[method](quantile, std_alpha, generator)
             for name, layer in layers.items() for b in layer.blocks.values()}  # fmt: skip
    with torch.no_grad(), _watching(model, layers, lambda *place: found[place[:3]].add(place[3])):
        for batch in batches:
            model(*(batch if isinstance(batch, tuple) else (batch,)))
    values = {place: reading.value() for place, reading in found.items()}
    _refuse_unseen(values)
    with torch.no_grad():
        for (name, row, column), value in values.items():
            layers[name].input_range[row, column] = value
            layers[name].input_range_batches[row, column] = layers[name].tiles[0].config.input_range.init_from_data
    return {name: layer.input_range.detach().clone() for name, layer in layers.items()}


def _check(method: str, quantile: float, std_alpha: float) -> None:
    if method not in METHODS:
        hint = near_miss(str(method), METHODS).strip() or "Choose one of these."
        raise ParameterError(say("calibrate.method", method, "is unknown", ", ".join(METHODS), hint))
    if not 0 < quantile <= 1:
        raise ParameterError(say("calibrate.quantile", quantile, "is no share", "above 0 .. 1", "Give such a number."))
    if not 0 < std_alpha < math.inf:
        raise ParameterError(say("calibrate.std_alpha", std_alpha, "must be positive", "above 0", "Give 3."))


def _refuse_unseen(values: dict[tuple[str, int, int], float]) -> None:
    for (name, row, column), value in values.items():
        if value < SMALLEST:
            raise ParameterError(
                say(f"calibrate.{name or 'model'}, tile {row}, {column}", float(value), "saw no input but zeros",
                    "batches that reach every layer", "Give other batches; nothing has been changed.", unit="x")
            )  # fmt: skip


@contextmanager
def _watching(
    model: torch.nn.Module, layers: dict[str, AnalogCore], add: Callable[[str, int, int, torch.Tensor], None]
) -> Iterator[None]:
    """Let all analog layers multiply exactly, in evaluation, and show the inputs of those with ranges."""
    names = {id(layer): name for name, layer in layers.items()}
    training = {module: module.training for module in model.modules()}

    def watch(layer: AnalogCore, block: Block, x: torch.Tensor) -> None:
        if id(layer) in names and x.numel():
            add(names[id(layer)], block.row, block.column, x)

    model.eval()
    for layer in analog_layers(model).values():
        layer.watch = watch
    try:
        yield
    finally:
        for layer in analog_layers(model).values():
            layer.watch = None
        for module, flag in training.items():
            module.training = flag


class _Largest:
    """The largest absolute input."""

    def __init__(self, quantile: float, std_alpha: float, generator: torch.Generator):
        self.quantile, self.std_alpha, self.generator = quantile, std_alpha, generator
        self.total, self.batches = 0.0, 0

    def add(self, x: torch.Tensor) -> None:
        """Take one batch of inputs."""
        self.total = max(self.total, x.abs().max().item())

    def value(self) -> float:
        """Return the range."""
        return self.total


class _Mean(_Largest):
    """The mean over batches of some number."""

    def of(self, x: torch.Tensor) -> float:
        """Return the number of one batch."""
        raise NotImplementedError(f"{type(self).__name__}.of: a reading must define it.")

    def add(self, x: torch.Tensor) -> None:
        """Take one batch of inputs."""
        self.total, self.batches = self.total + self.of(x), self.batches + 1

    def value(self) -> float:
        """Return the range."""
        return self.total / max(self.batches, 1)


class _MeanStd(_Mean):
    def of(self, x: torch.Tensor) -> float:
        return self.std_alpha * x.std().item() if x.numel() > 1 else 0.0


class _MeanQuantile(_Mean):
    def of(self, x: torch.Tensor) -> float:
        return _quantile(x, self.quantile)


class _CachedQuantile(_Largest):
    """A quantile of some vectors of all batches, each of them with the same chance; those of zeros tell nothing."""

    def __init__(self, *settings):
        super().__init__(*settings)
        self.kept: torch.Tensor | None = None
        self.keys = torch.empty(0)

    def add(self, x: torch.Tensor) -> None:
        """Take one batch of inputs: the vectors with the largest random keys of all so far stay."""
        x = x[x.abs().amax(1) > 0].detach()
        values = x if self.kept is None else torch.cat([self.kept, x])
        keys = torch.cat([self.keys, torch.rand(len(x), generator=self.generator)])
        self.keys, chosen = keys.topk(min(_CACHE, len(keys)))
        self.kept = values[chosen.to(values.device)]

    def value(self) -> float:
        """Return the range."""
        return 0.0 if self.kept is None or not len(self.kept) else _quantile(self.kept, self.quantile)


def _quantile(x: torch.Tensor, share: float) -> float:
    """Return the smallest absolute value that so large a share of all does not exceed."""
    return x.abs().flatten().kthvalue(max(math.ceil(share * x.numel()), 1)).values.item()


_METHODS = dict(zip(METHODS, (_Largest, _MeanStd, _MeanQuantile, _CachedQuantile), strict=True))
