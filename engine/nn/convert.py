# SPDX-License-Identifier: Apache-2.0
"""From a digital model to an analog one, and its checkpoints."""

from __future__ import annotations

import copy
from typing import Any

import torch

from engine.errors import ConfigMismatch, ParameterError, say
from engine.nn.linear import AnalogLinear
from engine.rng import derive_seed
from engine.tiles import TileConfig


def convert(model: torch.nn.Module, config: TileConfig, *, seed: int = 0) -> torch.nn.Module:
    """Return a copy of ``model`` with every ``torch.nn.Linear`` on an analog tile.

    Parameters
    ----------
    model : torch.nn.Module
        Left unchanged. Layers of other kinds stay digital.
    config : TileConfig
        Used for every layer.
    seed : int
        Each layer gets a seed derived from this one and its name.

    Returns
    -------
    torch.nn.Module
        Weights are written to the devices, hence clipped to their bounds and subject to write noise.

    Raises
    ------
    ParameterError
        If the model has no ``torch.nn.Linear``.
    """
    if isinstance(model, torch.nn.Linear):
        return _analog(model, config, derive_seed(seed, "layer", ""))
    twin = copy.deepcopy(model)
    found = [(name, m) for name, m in twin.named_modules() if type(m) is torch.nn.Linear]
    if not found:
        raise ParameterError(
            say(
                "convert.model",
                type(model).__name__,
                "has no layer that can be analog",
                "torch.nn.Linear",
                "Pass a model with linear layers.",
            )
        )
    for name, layer in found:
        parent, _, leaf = name.rpartition(".")
        setattr(twin.get_submodule(parent), leaf, _analog(layer, config, derive_seed(seed, "layer", name)))
    return twin


def _analog(layer: torch.nn.Linear, config: TileConfig, seed: int) -> AnalogLinear:
    new = AnalogLinear(layer.in_features, layer.out_features, layer.bias is not None, config=config, seed=seed)
    new.tile.set_weights(layer.weight.detach())
    if layer.bias is not None:
        with torch.no_grad():
            new.bias.copy_(layer.bias)
    return new.train(layer.training)


def analog_layers(model: torch.nn.Module) -> dict[str, AnalogLinear]:
    """Return the analog layers of a model by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, AnalogLinear)}


def load_state(model: torch.nn.Module, state: dict[str, Any], *, config: str = "same") -> None:
    """Load a ``state_dict()`` into a model with analog layers, saying what happens to their configuration.

    Parameters
    ----------
    model : torch.nn.Module
    state : dict
        Of ``model.state_dict()``.
    config : {"same", "saved", "keep"}
        If a saved tile configuration differs from the model's: refuse and show the difference, take the saved
        one, or keep the model's own.

    Raises
    ------
    ConfigMismatch
        With ``config="same"`` and a difference; the model is unchanged then.
    """
    layers = analog_layers(model)
    saved = {name: state[_extra_key(name)] for name in layers if _extra_key(name) in state}
    if config == "same":
        _refuse_differences(layers, saved)
    for name, tile_state in saved.items():
        layers[name].tile.load_state_dict(tile_state, config=config)
    rest = {k: v for k, v in state.items() if not k.endswith("_extra_state")}
    missing = model.load_state_dict(rest, strict=False)
    lost = [k for k in missing.missing_keys if not k.endswith("_extra_state")] + list(missing.unexpected_keys)
    if lost:
        raise ParameterError(
            f"load_state: keys that do not fit: {', '.join(lost)} (allowed: those of model.state_dict()). "
            "Build the model the way it was saved."
        )


def _extra_key(name: str) -> str:
    return f"{name}._extra_state" if name else "_extra_state"


def _refuse_differences(layers: dict[str, AnalogLinear], saved: dict[str, dict[str, Any]]) -> None:
    differences = {
        f"{name}.{field}": pair
        for name, tile_state in saved.items()
        for field, pair in layers[name].tile.config.differences(tile_state["config"]).items()
    }
    if not differences:
        return
    shown = "; ".join(f"{k}: saved {a!r}, here {b!r}" for k, (a, b) in list(differences.items())[:8])
    raise ConfigMismatch(
        f"load_state: the saved configuration differs from the model's ({shown}). "
        "Pass config='saved' to take the saved one, or config='keep' to keep the model's.",
        differences,
    )
