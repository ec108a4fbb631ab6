# SPDX-License-Identifier: Apache-2.0
"""Models that are a chain of layers: run on many chips with an axis of chips in front, and no machinery for it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from engine.nn.linear import AnalogLinear

# Layers that act on each number alone: an axis in front changes nothing for them.
_EACH_ALONE = frozenset({
    nn.Identity, nn.Dropout, nn.Tanh, nn.Sigmoid, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU,
    nn.SiLU, nn.Mish, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish,
})  # fmt: skip
# And those that may come before the first analog layer, where all chips have the same numbers.
_IN_FRONT = _EACH_ALONE | {nn.Flatten, nn.Unflatten}


@dataclass
class Together:
    """The chips that a product is made on at once.

    Parameters
    ----------
    chips : list of int
    shared : bool
        Whether all of them get the same vectors, ``(rows, in)``; otherwise rows of one chip follow those of another.
    """

    chips: list[int]
    shared: bool = True


def chain_of(model: nn.Module) -> list[nn.Module] | None:
    """Return the layers of a model that can be run one after another with an axis of chips; None of any other model.

    ``torch.nn.Sequential``, nested or not, of analog linear layers and of layers that act on each number alone. Hooks
    expect what a layer sees on one chip: a model with any is no chain.
    """
    layers = list(_layers(model))
    analog = [type(layer) is AnalogLinear for layer in layers]
    first = analog.index(True) if any(analog) else len(layers)
    known = all(type(layer) in _IN_FRONT for layer in layers[:first]) and all(
        type(layer) in _EACH_ALONE or type(layer) is AnalogLinear for layer in layers[first:]
    )
    return layers if known and any(analog) and not any(_is_watched(m) for m in model.modules()) else None


def _layers(module: nn.Module):
    if type(module) is not nn.Sequential:
        yield module
        return
    for child in module:
        yield from _layers(child)


def _is_watched(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module))


def run_chain(layers: list[nn.Module], x: torch.Tensor, at: Together) -> torch.Tensor:
    """Return the outputs ``(chip, ...)`` of a chain for inputs that all chips share.

    Analog layers are given vectors of all chips, one chip's after another's; ``at`` tells them whether they are shared.
    """
    for before, layer, after in zip([None, *layers], layers, [*layers[1:], None], strict=False):
        if _takes_in(before, layer):
            continue
        if type(layer) is not AnalogLinear:
            x = layer(x)
            continue
        layer.programmed.then = "tanh" if _takes_in(layer, after) else ""
        lead = (len(at.chips), *x.shape[:-1]) if at.shared else x.shape[:-1]
        x = layer.product(x.reshape(-1, x.shape[-1])).view(*lead, layer.out_features)
        at.shared = False
    return x


def _takes_in(layer: nn.Module | None, after: nn.Module | None) -> bool:
    """Whether a layer's product does what the layer after it does, in the same pass."""
    return type(layer) is AnalogLinear and type(after) is nn.Tanh and layer.ends_on_chips
