# SPDX-License-Identifier: Apache-2.0
"""A linear layer whose weights are an analog tile."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch

from engine.errors import StateError
from engine.tiles import Tile, TileConfig


class AnalogWeight(torch.nn.Parameter):
    """The weights of a tile as a torch parameter: shares the tile's memory, is changed only by pulses.

    Its ``grad`` stays None. The samples of the backward pass wait in ``pending`` for `engine.optim.AnalogSGD`.
    """

    tile: Tile
    pending: list[tuple[torch.Tensor, torch.Tensor]]

    def __new__(cls, tile: Tile) -> AnalogWeight:
        weight = super().__new__(cls, tile.weights, requires_grad=True)
        weight.tile, weight.pending = tile, []
        return weight

    def __deepcopy__(self, memo) -> AnalogWeight:
        twin = AnalogWeight(copy.deepcopy(self.tile, memo))
        twin.requires_grad_(self.requires_grad)
        memo[id(self)] = twin
        return twin

    def __reduce_ex__(self, protocol):
        raise StateError("AnalogWeight: cannot be pickled. Save the module's state_dict() instead.")


class _AnalogProduct(torch.autograd.Function):
    """The product through the periphery, forwards and backwards; remembers what the update needs."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: AnalogWeight) -> torch.Tensor:
        ctx.weight = weight
        ctx.save_for_backward(x)
        return weight.tile.forward(x)

    @staticmethod
    def backward(ctx, d: torch.Tensor):
        (x,) = ctx.saved_tensors
        d = d.contiguous()
        if ctx.needs_input_grad[1]:  # a frozen weight waits for no update
            ctx.weight.pending.append((x.detach(), d.detach()))
        return (ctx.weight.tile.backward(d) if ctx.needs_input_grad[0] else None), None


class AnalogLinear(torch.nn.Module):
    """``y = W x + b`` with W on an analog tile and b, if any, digital.

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Add a digital bias, a torch parameter ``(out,)``.
    config : TileConfig
    seed : int
        Fixes every draw of the tile and the initial weights.

    Notes
    -----
    Initial weights are uniform in ``+-1/sqrt(in_features)``, as torch's own layer, clipped to each device's bounds.
    The layer is float32. It moves with ``.to("cuda")`` and ``.cpu()`` (docs/cuda.md); casting raises `StateError`.

    Examples
    --------
    >>> layer = AnalogLinear(3, 2, config=TileConfig("idealized_symmetric"))
    >>> layer(torch.zeros(5, 3)).shape
    torch.Size([5, 2])
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, config: TileConfig, seed: int = 0):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = AnalogWeight(Tile.from_config(out_features, in_features, config, seed=seed))
        generator = torch.Generator().manual_seed(seed)
        limit = 1 / math.sqrt(in_features)
        self.tile.set_weights(torch.empty(out_features, in_features).uniform_(-limit, limit, generator=generator))
        start = torch.empty(out_features).uniform_(-limit, limit, generator=generator)
        self.bias = torch.nn.Parameter(start) if bias else None

    @property
    def tile(self) -> Tile:
        """The analog tile."""
        return self.weight.tile

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(..., out)`` for ``(..., in)`` float32."""
        self.tile.training = self.training  # running means of the periphery rest in evaluation
        flat = x.reshape(-1, x.shape[-1])
        y = _AnalogProduct.apply(flat, self.weight).reshape(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """Return the layer's size and device for ``print(model)``."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, device={self.tile.device.stem()}"
        )

    def get_extra_state(self) -> dict[str, Any]:
        """Return the tile's full state; part of ``state_dict()``, loadable with ``weights_only=True``."""
        return self.tile.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the tile; a differing configuration raises `ConfigMismatch` (see `engine.nn.load_state`)."""
        self.tile.load_state_dict(state)

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, strict, missing, unexpected, errors):
        """Check before torch copies anything; the tile's state is the truth, ``weight`` only its visible part."""
        saved = state_dict.get(f"{prefix}_extra_state")
        if saved is not None:
            self.tile.check_loadable(saved, config="same")
        elif f"{prefix}weight" in state_dict:
            errors.append(
                f"{prefix}weight: comes without the state of a tile (allowed: the state_dict of an analog model). "
                "Load it into the digital model, then call engine.nn.convert."
            )
            return
        kept = {**local_metadata, "assign_to_params_buffers": False}  # the weight stays the tile's memory
        super()._load_from_state_dict(state_dict, prefix, kept, strict, missing, unexpected, errors)

    def _apply(self, fn, recurse=True):
        """Move the layer between the CPU and a GPU; nothing else can be done to an analog weight."""
        probe = fn(torch.zeros(1, device=self.tile.torch_device))
        if probe.dtype != torch.float32 or probe.device.type not in ("cpu", "cuda"):
            raise StateError(
                f"AnalogLinear: cannot become {probe.dtype} on {probe.device} (allowed: torch.float32 on cpu or cuda). "
                "Leave analog layers as they are; cast the digital layers only."
            )
        self.tile.to(probe.device)
        self.weight.data = self.tile.weights  # the same parameter, so that optimizers still know it
        self.weight.pending = [(x.to(probe.device), d.to(probe.device)) for x, d in self.weight.pending]
        if self.bias is not None:
            self.bias.data = fn(self.bias.data)
        return self
