# SPDX-License-Identifier: Apache-2.0
"""Low-rank digital adapters beside frozen analog layers: one programmed model, many tasks."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from engine.errors import ParameterError, ShapeError, StateError, near_miss, say
from engine.nn.convert import fits
from engine.nn.linear import AnalogLinear
from engine.rng import derive_seed


class LowRank(nn.Module):
    r"""The digital product :math:`\frac{\alpha}{r} B A x`; zero until it is trained.

    Parameters
    ----------
    in_features, out_features, rank : int
    alpha : float
        Factor over the rank.
    dropout : float
        Share of inputs that are zero in training.
    seed : int
        Fixes A, ``(rank, in)``, normal with standard deviation ``1/sqrt(in)``; B, ``(out, rank)``, begins at 0.
    """

    def __init__(self, in_features: int, out_features: int, rank: int, alpha: float, dropout: float, seed: int):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        start = torch.randn(rank, in_features, generator=generator) / math.sqrt(in_features)
        self.a, self.b = nn.Parameter(start), nn.Parameter(torch.zeros(out_features, rank))
        self.scale, self.dropout = alpha / rank, nn.Dropout(dropout)

    @property
    def rank(self) -> int:
        """Rows of A."""
        return len(self.a)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(..., out)`` for ``(..., in)``."""
        return self.scale * (self.dropout(x) @ self.a.T @ self.b.T)

    def matrix(self) -> torch.Tensor:
        """Return what it adds to the weights, ``(out, in)``."""
        return self.scale * self.b @ self.a


class AdaptedLinear(nn.Module):
    r"""A frozen analog layer with adapters: :math:`y = \mathrm{AIMC}(W_0 x) + \frac{\alpha}{r} B A x`.

    "Efficient transformer adaptation for analog in-memory computing via low-rank adapters", arXiv:2411.17367.

    Attributes
    ----------
    base : AnalogLinear
        Programmed once; nothing here changes it.
    adapters : torch.nn.ModuleDict
        By name; one or none of them is in use.
    active : str or None
    """

    def __init__(self, base: AnalogLinear):
        super().__init__()
        self.base, self.adapters = base, nn.ModuleDict()
        self.active: str | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(..., out)`` for ``(..., in)``."""
        y = self.base(x)
        return y if self.active is None else y + self.adapters[self.active](x)


def add_adapters(
    model: nn.Module,
    rank: int = 8,
    alpha: float = 32.0,
    *,
    dropout: float = 0.0,
    targets: Iterable[str] = ("*",),
    train: Iterable[str] = (),
    name: str = "default",
    seed: int = 0,
) -> list[nn.Parameter]:
    """Put an adapter beside analog linear layers, in place, freeze everything else, and take it into use.

    Parameters
    ----------
    model : torch.nn.Module
        Converted; its analog linear layers that fit a target become `AdaptedLinear`.
    rank : int
        Rows of A; the source uses 8.
    alpha : float
        The adapter's factor is ``alpha / rank``; the source uses 32.
    dropout : float
        Share of the adapter's inputs that are zero in training; the source uses 0.1.
    targets : iterable of str
        Patterns of layer names, as in `engine.nn.convert`.
    train : iterable of str
        Patterns of names of other parameters that stay trained, such as a head's.
    name : str
        Of the adapter: a model may hold several and switch between them without being programmed anew.
    seed : int
        Fixes the adapters' initial values.

    Returns
    -------
    list of torch.nn.Parameter
        What is trained now.

    Raises
    ------
    ParameterError
        A rank below 1, a share that is none, a pattern without a layer, or a name that is taken.

    Examples
    --------
    >>> from engine.nn import convert
    >>> from engine.tiles import TileConfig
    >>> model = convert(nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)), TileConfig("idealized_symmetric"))
    >>> [tuple(p.shape) for p in add_adapters(model, rank=2, alpha=4.0, targets=["0"])]
    [(2, 6), (4, 2)]
    """
    _check(rank, dropout)
    patterns = [targets] if isinstance(targets, str) else list(targets)
    layers = {n: m for n, m in model.named_modules() if isinstance(m, AnalogLinear | AdaptedLinear)}
    layers = {n: m for n, m in layers.items() if not n.endswith(".base")}
    for pattern in patterns:
        if not any(fits(n, pattern) for n in layers):
            hint = near_miss(pattern, layers) or " Names are those of model.named_modules()."
            raise ParameterError(
                say("add_adapters.targets", pattern, "fits no analog linear layer", ", ".join(layers) or "none",
                    hint.strip())
            )  # fmt: skip
    chosen = {n: m for n, m in layers.items() if any(fits(n, p) for p in patterns)}
    taken = [n for n, m in chosen.items() if isinstance(m, AdaptedLinear) and name in m.adapters]
    if taken:
        raise ParameterError(
            say("add_adapters.name", name, f"is there already, in {taken[0]}", "a new name", "Choose one.")
        )
    kept = [p for n, p in model.named_parameters() if any(fits(n, pattern) for pattern in train)]
    _freeze(model)
    for layer_name, layer in chosen.items():
        adapted = layer if isinstance(layer, AdaptedLinear) else _wrap(model, layer_name, layer)
        base = adapted.base
        own = LowRank(
            base.in_features, base.out_features, rank, alpha, dropout, derive_seed(seed, "adapter", layer_name)
        )
        adapted.adapters[name] = own.to(base.tiles[0].torch_device)
    use_adapter(model, name)
    for parameter in kept:
        parameter.requires_grad_()
    return [*adapter_parameters(model, name), *kept]


def _check(rank: int, dropout: float) -> None:
    if isinstance(rank, bool) or not isinstance(rank, int) or rank < 1:
        raise ParameterError(say("add_adapters.rank", rank, "must be a whole number", "1, 2, ...", "Give at least 1."))
    if not 0 <= dropout < 1:
        raise ParameterError(say("add_adapters.dropout", dropout, "is no share", "0 .. below 1", "Give 0.1."))


def _freeze(model: nn.Module) -> None:
    model.requires_grad_(False)
    for layer in model.modules():
        if isinstance(layer, AnalogLinear) and layer.input_range is not None:
            layer.input_range_batches.fill_(int(layer.tiles[0].config.input_range.init_from_data))  # no more estimates


def _wrap(model: nn.Module, name: str, layer: AnalogLinear) -> AdaptedLinear:
    if not name:
        raise ParameterError(
            say("add_adapters.model", type(layer).__name__, "is itself the layer", "a model that holds it",
                "Put it into torch.nn.Sequential.")
        )  # fmt: skip
    parent, _, own = name.rpartition(".")
    adapted = AdaptedLinear(layer).train(layer.training)
    setattr(model.get_submodule(parent), own, adapted)
    return adapted


def adapted_layers(model: nn.Module) -> dict[str, AdaptedLinear]:
    """Return the layers with adapters by name."""
    return {n: m for n, m in model.named_modules() if isinstance(m, AdaptedLinear)}


def adapter_parameters(model: nn.Module, name: str = "default") -> list[nn.Parameter]:
    """Return the parameters of one adapter, layer by layer."""
    return [p for m in adapted_layers(model).values() if name in m.adapters for p in m.adapters[name].parameters()]


def use_adapter(model: nn.Module, name: str | None) -> None:
    """Switch to another adapter, or with None to the analog model alone; nothing is programmed anew.

    Raises
    ------
    ParameterError
        If no layer has an adapter of that name.
    """
    layers = adapted_layers(model)
    known = sorted({n for m in layers.values() for n in m.adapters})
    if name is not None and name not in known:
        hint = near_miss(name, known) or " Add it with add_adapters."
        raise ParameterError(say("use_adapter.name", name, "is unknown", ", ".join(known) or "none", hint.strip()))
    for layer in layers.values():
        layer.active = name if name in layer.adapters else None


def adapter_state(model: nn.Module, name: str = "default") -> dict[str, Any]:
    """Return one adapter alone, for a file: rank, factor and tensors by layer."""
    found = {n: m.adapters[name] for n, m in adapted_layers(model).items() if name in m.adapters}
    if not found:
        raise StateError(f"adapter_state: no adapter {name!r} (allowed: those of the model). Add it with add_adapters.")
    return {
        n: {"scale": m.scale, "dropout": m.dropout.p, "a": m.a.detach().clone(), "b": m.b.detach().clone()}
        for n, m in found.items()
    }


def load_adapter(model: nn.Module, state: dict[str, Any], name: str = "default") -> None:
    """Put a saved adapter beside the model's layers and take it into use; one of that name is replaced.

    Raises
    ------
    ParameterError
        Layers that the model does not have as analog linear ones.
    ShapeError
        Layers of another size; nothing has been changed then.
    """
    layers = {n: m for n, m in model.named_modules() if isinstance(m, AnalogLinear | AdaptedLinear)}
    for layer_name, saved in state.items():
        if layer_name not in layers:
            raise ParameterError(
                say("load_adapter", layer_name, "is no analog linear layer here", ", ".join(layers),
                    "Load it into the model it was made for.")
            )  # fmt: skip
        layer = layers[layer_name]
        base = layer.base if isinstance(layer, AdaptedLinear) else layer
        size = saved["b"].shape[0], saved["a"].shape[1]
        if size != (base.out_features, base.in_features):
            raise ShapeError(
                f"load_adapter, {layer_name}: got (out, in) = {size}, the layer has "
                f"{(base.out_features, base.in_features)}. Load it into the model it was made for."
            )
    for layer_name, saved in state.items():
        layer = layers[layer_name]
        adapted = layer if isinstance(layer, AdaptedLinear) else _wrap(model, layer_name, layer)
        base, rank = adapted.base, len(saved["a"])
        own = LowRank(base.in_features, base.out_features, rank, saved["scale"] * rank, saved["dropout"], 0)
        with torch.no_grad():
            own.a.copy_(saved["a"])
            own.b.copy_(saved["b"])
        adapted.adapters[name] = own.to(base.tiles[0].torch_device)
    use_adapter(model, name)


def remove_adapters(model: nn.Module) -> None:
    """Put the analog layers back in place; they stay frozen."""
    for name, layer in adapted_layers(model).items():
        parent, _, own = name.rpartition(".")
        setattr(model.get_submodule(parent), own, layer.base)


@torch.no_grad()
def merge_adapters(model: nn.Module, name: str = "default") -> None:
    """Write one adapter into the analog weights and remove all: the tiles hold other weights then, to be programmed."""
    use_adapter(model, name)
    for layer in adapted_layers(model).values():
        if name in layer.adapters:
            weight, bias = layer.base.logical_weights()
            layer.base.set_weights(weight + layer.adapters[name].matrix(), bias)
    remove_adapters(model)
