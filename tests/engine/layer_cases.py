# SPDX-License-Identifier: Apache-2.0
"""What the tests of layers share: configurations, numbers, states."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import torch
from torch import nn

from engine.devices.ideal import Ideal
from engine.nn import analog_layers, convert
from engine.optim import AnalogSGD
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


def layer_state(model: nn.Module) -> list[torch.Tensor]:
    """Return copies of everything that a model holds."""
    found = [p.detach().clone() for p in model.parameters()] + [b.clone() for b in model.buffers()]
    return found + [tile.hidden.clone() for layer in analog_layers(model).values() for tile in layer.tiles]


def perceptron(config: TileConfig, seed: int) -> nn.Module:
    """Return a converted 11-9-3 perceptron; the seed is that of weights and tiles."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return convert(nn.Sequential(nn.Linear(11, 9), nn.Tanh(), nn.Linear(9, 3)), config, seed=seed)


def steps(model: nn.Module, first: int, count: int) -> list[torch.Tensor]:
    """Train a perceptron for some steps, numbered so that it can go on; return the outputs of each."""
    optimizer, outputs = AnalogSGD(model.parameters(), 0.1), []
    for k in range(first, first + count):
        optimizer.zero_grad()
        y = model(randn(4, 11, seed=k))
        y.square().sum().backward()
        optimizer.step()
        outputs.append(y.detach())
    return outputs
