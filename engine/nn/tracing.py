# SPDX-License-Identifier: Apache-2.0
"""One pass of a model over tensors without memory: how many vectors each layer sees, what autograd keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from engine.nn.convert import with_digital_layers
from engine.nn.kinds import KINDS, Kind, outermost


@dataclass
class Trace:
    """What was seen.

    Parameters
    ----------
    twin : torch.nn.Module
        The model in torch's own layers, without memory.
    vectors : dict
        For each layer that has an analog form the number of vectors that each of its products sees, by path.
    saved_bytes : int
        What autograd keeps for the backward pass, without parameters.
    sends_back : set
        Paths of layers that owe a gradient to what comes before them.
    """

    twin: nn.Module
    vectors: dict[str, dict[str, int]] = field(default_factory=dict)
    saved_bytes: int = 0
    sends_back: set[str] = field(default_factory=set)


def trace(model: nn.Module, inputs: tuple[Any, ...]) -> Trace:
    """Return what a call of the model with such inputs does; only their shapes and types count."""
    found = Trace(_without_memory(model))
    units = outermost(found.twin, lambda m: type(m) in KINDS)
    handles = [unit.register_forward_hook(_count(found, name), with_kwargs=True) for name, unit in units.items()]
    parameters = {p.untyped_storage()._cdata for p in found.twin.parameters()}
    storages: dict[int, torch.UntypedStorage] = {}  # held, so that no address is met twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in parameters:
            storages[storage._cdata] = storage
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        result = found.twin(*(_shape_of(v) for v in inputs))
    for handle in handles:
        handle.remove()
    del result
    found.saved_bytes = sum(storage.nbytes() for storage in storages.values())
    return found


def _without_memory(model: nn.Module) -> nn.Module:
    """Return the model in torch's layers on ``meta``; numbers are not copied."""
    memo: dict[int, Any] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(_shape_of(p.detach()), requires_grad=p.requires_grad)
    for b in model.buffers():
        memo[id(b)] = _shape_of(b)
    return with_digital_layers(model, "meta", memo)


def _shape_of(value: Any) -> Any:
    if isinstance(value, PackedSequence):
        return PackedSequence(_shape_of(value.data), value.batch_sizes, value.sorted_indices, value.unsorted_indices)
    if isinstance(value, tuple | list):
        return type(value)(map(_shape_of, value))
    return torch.empty_like(value, device="meta") if isinstance(value, torch.Tensor) else value


def _count(found: Trace, name: str) -> Callable:
    """Return a hook that counts the vectors of one layer, call by call."""

    def hook(layer: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        if any(isinstance(v, torch.Tensor) and v.requires_grad for v in (*args, *kwargs.values())):
            found.sends_back.add(name)
        seen = found.vectors.setdefault(name, {})
        for core, count in vectors_of(layer, args, kwargs, output).items():
            seen[core] = seen.get(core, 0) + count

    return hook


def vectors_of(layer: nn.Module, args: tuple, kwargs: dict, output: Any) -> dict[str, int]:
    """Return how many vectors each product of a torch layer sees in one call, by the product's path."""
    kind = KINDS[type(layer)]
    given = [*args, *kwargs.values()]
    if isinstance(layer, nn.MultiheadAttention):
        return _of_attention(layer, dict(zip(("query", "key", "value"), args, strict=False)) | kwargs)
    if isinstance(layer, nn.modules.conv._ConvNd):
        return {"": output.numel() // layer.out_channels}
    x = given[0].data if isinstance(given[0], PackedSequence) else given[0]
    return dict.fromkeys(_cores(kind, layer), x.numel() // x.shape[-1])


def _cores(kind: Kind, layer: nn.Module) -> list[str]:
    return [product.core for product in kind.products(layer)]


def _of_attention(layer: nn.MultiheadAttention, given: dict[str, torch.Tensor]) -> dict[str, int]:
    counts = {name: given[name].numel() // given[name].shape[-1] for name in ("query", "key", "value")}
    paths = {"q_proj": "query", "k_proj": "key", "v_proj": "value", "out_proj": "query"}
    return {path: counts[name] for path, name in paths.items()}
