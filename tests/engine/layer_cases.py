# SPDX-License-Identifier: Apache-2.0
"""What the tests of layers share: configurations, numbers, states."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import torch

from engine.devices.ideal import Ideal
from engine.nn import analog_layers
from engine.tiles import IOParameters, MappingParameters, TileConfig

PERFECT = IOParameters(is_perfect=True)
EXACT = TileConfig(Ideal(), PERFECT, PERFECT)
NOISY = TileConfig("reram_exp_hfo2_2018", IOParameters(inp_noise=0.02, w_noise=0.02), IOParameters(w_noise=0.02))


def configured(config: TileConfig, **mapping) -> TileConfig:
    """Return a configuration with another mapping."""
    return dataclasses.replace(config, mapping=MappingParameters(**mapping))


def randn(*shape, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def layer_state(model: torch.nn.Module) -> list[torch.Tensor]:
    """Return copies of everything that a model holds."""
    found = [p.detach().clone() for p in model.parameters()] + [b.clone() for b in model.buffers()]
    return found + [tile.hidden.clone() for layer in analog_layers(model).values() for tile in layer.tiles]
