# SPDX-License-Identifier: Apache-2.0
"""The kinds of layers that exist both in torch and on tiles, and how one becomes the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from engine.nn.attention import AnalogMultiheadAttention
from engine.nn.cells import AnalogGRUCell, AnalogLSTMCell, AnalogRNNCell
from engine.nn.conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from engine.nn.core import AnalogCore
from engine.nn.linear import AnalogLinear
from engine.nn.recurrent import AnalogGRU, AnalogLSTM, AnalogRNN
from engine.tiles import TileConfig

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
_RECURRENT = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional")


@dataclass(frozen=True)
class Product:
    """One matrix of a torch layer and the analog product that takes its place.

    Parameters
    ----------
    core : str
        Path of the `AnalogCore` inside the analog layer, empty for the layer itself.
    weight, bias : torch.nn.Parameter
        Of the torch layer; the bias may be None.
    rows : slice
        The part of them that is meant.
    """

    core: str
    weight: nn.Parameter
    bias: nn.Parameter | None
    rows: slice | None = None

    def values(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return weights and bias; they share the parameters' memory."""
        return tuple(None if p is None else self._part(p.detach()) for p in (self.weight, self.bias))

    def _part(self, values: torch.Tensor) -> torch.Tensor:
        return values if self.rows is None or len(values) == self.rows.stop - self.rows.start else values[self.rows]

    def trains(self) -> dict[str, bool]:
        """Return whether weights and bias are trained."""
        return {"weights": self.weight.requires_grad, "bias": self.bias is not None and self.bias.requires_grad}


@dataclass(frozen=True)
class Kind:
    """A torch layer and its analog form, which take the same arguments.

    Parameters
    ----------
    digital, analog : type
    arguments : tuple of str
        Arguments of both constructors beside ``bias``; both layers have attributes of these names.
    """

    digital: type[nn.Module]
    analog: type[nn.Module]
    arguments: tuple[str, ...]

    def products(self, layer: nn.Module) -> Iterator[Product]:
        """Yield the matrices of a torch layer."""
        yield Product("", layer.weight, layer.bias)

    def has_bias(self, layer: nn.Module) -> bool:
        """Return whether a torch layer has a bias."""
        return layer.bias is not None

    def obstacle(self, layer: nn.Module) -> str | None:
        """Return why a torch layer cannot be analog, or None."""
        if is_parametrized(layer):
            return "has parametrized weights"
        if any(getattr(layer, hooks) for hooks in _HOOKS):
            return "has hooks, which a new layer would lose"
        wrong = {p.dtype for p in layer.parameters()} - {torch.float32}
        return f"is {', '.join(map(str, wrong))}, tiles are torch.float32" if wrong else None

    def to_analog(self, layer: nn.Module, config: TileConfig, seed: int) -> nn.Module:
        """Return the analog form of a torch layer: weights written to the devices, flags of training kept."""
        arguments = {name: getattr(layer, name) for name in self.arguments}
        new = self.analog(**arguments, bias=self.has_bias(layer), config=config, seed=seed)
        for product in self.products(layer):
            core = new.get_submodule(product.core)
            weight, bias = product.values()
            core.set_weights(weight.flatten(1), bias)
            core.train_only(**product.trains())
        return new.train(layer.training)

    def to_digital(self, layer: nn.Module, device: str = "cpu") -> nn.Module:
        """Return the torch layer that multiplies by the same logical weights; on ``meta`` it has shapes only."""
        arguments = {name: getattr(layer, name) for name in self.arguments}
        cores = [m for m in layer.modules() if isinstance(m, AnalogCore)]
        new = self.digital(**arguments, bias=cores[0].has_bias, device="meta")
        if device != "meta":
            new = new.to_empty(device=device)
            self._fill(new, layer)
        return new.train(layer.training)

    def _fill(self, new: nn.Module, layer: nn.Module) -> None:
        new.requires_grad_(False)
        for product in self.products(new):
            core = layer.get_submodule(product.core)
            for place, value in zip(product.values(), core.logical_weights(), strict=True):
                if value is not None:
                    place.copy_(value.reshape(place.shape))
            for parameter, trains in zip((product.weight, product.bias), core.trains, strict=True):
                if parameter is not None and trains:
                    parameter.requires_grad_()


class CellKind(Kind):
    """A recurrent cell: one matrix of the input, one of the state."""

    def products(self, layer: nn.Module) -> Iterator[Product]:
        """Yield the two matrices."""
        for name in ("ih", "hh"):
            yield Product(name, getattr(layer, f"weight_{name}"), getattr(layer, f"bias_{name}", None))

    def has_bias(self, layer: nn.Module) -> bool:
        """Return whether both products have a bias."""
        return bool(layer.bias)


class RecurrentKind(CellKind):
    """A recurrent layer: a cell for each layer and direction."""

    def products(self, layer: nn.Module) -> Iterator[Product]:
        """Yield the matrices of all cells."""
        for depth in range(layer.num_layers):
            for suffix in ("", "_reverse") if layer.bidirectional else ("",):
                cell = f"l{depth}{suffix}"
                for name in ("ih", "hh"):
                    weight, bias = (getattr(layer, f"{part}_{name}_{cell}", None) for part in ("weight", "bias"))
                    yield Product(f"{cell}.{name}", weight, bias)

    def obstacle(self, layer: nn.Module) -> str | None:
        """Return why a torch layer cannot be analog, or None."""
        return "has projected outputs (proj_size)" if layer.proj_size else super().obstacle(layer)


class AttentionKind(Kind):
    """Multi-head attention: four projections, three of them packed in one matrix where their sizes agree."""

    def products(self, layer: nn.Module) -> Iterator[Product]:
        """Yield the four projections."""
        size = layer.embed_dim
        for k, name in enumerate(("q_proj", "k_proj", "v_proj")):
            rows, packed = slice(k * size, (k + 1) * size), layer.in_proj_weight
            if packed is not None:
                yield Product(name, packed, layer.in_proj_bias, rows)
            else:
                yield Product(name, getattr(layer, f"{name}_weight"), layer.in_proj_bias, rows)
        yield Product("out_proj", layer.out_proj.weight, layer.out_proj.bias)

    def has_bias(self, layer: nn.Module) -> bool:
        """Return whether the projections have a bias."""
        return layer.in_proj_bias is not None

    def obstacle(self, layer: nn.Module) -> str | None:
        """Return why a torch layer cannot be analog, or None."""
        if layer.bias_k is not None or layer.add_zero_attn:
            return "adds keys of its own (add_bias_kv, add_zero_attn)"
        return super().obstacle(layer)


_ALL = [
    Kind(nn.Linear, AnalogLinear, ("in_features", "out_features")),
    *(
        Kind(digital, analog, _CONV)
        for digital, analog in ((nn.Conv1d, AnalogConv1d), (nn.Conv2d, AnalogConv2d), (nn.Conv3d, AnalogConv3d))
    ),
    RecurrentKind(nn.RNN, AnalogRNN, (*_RECURRENT, "nonlinearity")),
    RecurrentKind(nn.LSTM, AnalogLSTM, _RECURRENT),
    RecurrentKind(nn.GRU, AnalogGRU, _RECURRENT),
    CellKind(nn.RNNCell, AnalogRNNCell, ("input_size", "hidden_size", "nonlinearity")),
    CellKind(nn.LSTMCell, AnalogLSTMCell, ("input_size", "hidden_size")),
    CellKind(nn.GRUCell, AnalogGRUCell, ("input_size", "hidden_size")),
    AttentionKind(
        nn.MultiheadAttention,
        AnalogMultiheadAttention,
        ("embed_dim", "num_heads", "dropout", "kdim", "vdim", "batch_first"),
    ),
]
KINDS: dict[type[nn.Module], Kind] = {kind.digital: kind for kind in _ALL}
"""By torch's class."""
ANALOG: dict[type[nn.Module], Kind] = {kind.analog: kind for kind in _ALL}
"""By the class on tiles."""


def is_analog(module: nn.Module) -> bool:
    """Return whether a module is a layer on tiles."""
    return type(module) in ANALOG or isinstance(module, AnalogCore)


def outermost(model: nn.Module, wanted: Callable[[nn.Module], bool]) -> dict[str, nn.Module]:
    """Return the wanted modules by name, without those inside them; each under its first name."""
    found: dict[str, nn.Module] = {}
    inside: set[int] = set()
    for name, module in model.named_modules():
        if id(module) not in inside and wanted(module):
            found[name] = module
            inside |= {id(m) for m in module.modules()}
    return found
