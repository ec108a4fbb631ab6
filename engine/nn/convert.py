# SPDX-License-Identifier: Apache-2.0
"""From a digital model to an analog one, and its checkpoints."""

from __future__ import annotations

import copy
from typing import Any

import torch

from engine.errors import ConfigMismatch, ParameterError, ShapeError, say
from engine.nn.core import AnalogCore
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
        If the model has no ``torch.nn.Linear``, or two of them share one weight.
    """
    if isinstance(model, torch.nn.Linear):
        return _analog(model, config, derive_seed(seed, "layer", ""))
    twin = copy.deepcopy(model)
    found = {name: m for name, m in twin.named_modules() if type(m) is torch.nn.Linear}
    _check_convertible(model, found)
    new = {layer: _analog(layer, config, derive_seed(seed, "layer", name)) for name, layer in found.items()}
    for name, layer in list(twin.named_modules(remove_duplicate=False)):  # one layer may stand under several names
        if layer in new:
            parent, _, leaf = name.rpartition(".")
            setattr(twin.get_submodule(parent), leaf, new[layer])
    return twin


def _check_convertible(model: torch.nn.Module, found: dict[str, torch.nn.Linear]) -> None:
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
    owners: dict[int, str] = {}
    for name, layer in found.items():
        other = owners.setdefault(id(layer.weight), name)
        if other != name:
            raise ParameterError(
                f"convert.model: layers {other}, {name} share one weight, but tiles cannot (allowed: a weight of its "
                "own for each layer). Untie them, or use one module twice."
            )


def _analog(layer: torch.nn.Linear, config: TileConfig, seed: int) -> AnalogLinear:
    new = AnalogLinear(layer.in_features, layer.out_features, layer.bias is not None, config=config, seed=seed)
    new.set_weights(layer.weight, layer.bias)
    return new.train(layer.training)


def analog_layers(model: torch.nn.Module) -> dict[str, AnalogCore]:
    """Return the analog layers of a model by name."""
    return {name: m for name, m in model.named_modules() if isinstance(m, AnalogCore)}


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
        With ``config="same"`` and a difference.
    ParameterError, ShapeError, StateError
        Keys, shapes or a format that do not fit.

    Notes
    -----
    Everything is checked before anything is loaded: after an error the model is unchanged.
    """
    layers = analog_layers(model)
    _check_fit(model, state)
    saved = {name: state[_extra_key(name)] for name in layers}
    for name, tile_state in saved.items():  # format and size first: they say more than a difference of configuration
        layers[name].check_loadable(tile_state, config="saved", subject=f"{name}: tile state")
    if config == "same":
        _refuse_differences(layers, saved)
    for name, tile_state in saved.items():
        layers[name].check_loadable(tile_state, config=config, subject=f"{name}: tile state")
    for name, tile_state in saved.items():
        layers[name].load_tiles(tile_state, config=config)
    own = {f"{name}.{part}".lstrip(".") for name, m in layers.items() for part in (*m.blocks, "_extra_state")}
    model.load_state_dict({k: v for k, v in state.items() if k not in own}, strict=False)


def _check_fit(model: torch.nn.Module, state: dict[str, Any]) -> None:
    """Raise unless ``state`` has the model's keys, and each tensor the model's shape."""
    here = model.state_dict()
    lost = [f"{k} is missing" for k in here if k not in state] + [f"{k} is unknown" for k in state if k not in here]
    if lost:
        raise ParameterError(
            f"load_state: {', '.join(lost)} (allowed: the keys of model.state_dict()). "
            "Build the model the way it was saved."
        )
    for key, value in here.items():
        if isinstance(value, torch.Tensor) and state[key].shape != value.shape:
            raise ShapeError(
                f"load_state, {key}: got shape {tuple(state[key].shape)}, the model has {tuple(value.shape)}. "
                "Build the model the way it was saved."
            )


def _extra_key(name: str) -> str:
    return f"{name}._extra_state" if name else "_extra_state"


def _refuse_differences(layers: dict[str, AnalogCore], saved: dict[str, dict[str, Any]]) -> None:
    differences = {
        f"{name}.{field}": pair
        for name, tile_state in saved.items()
        for field, pair in layers[name].differences(tile_state).items()
    }
    if not differences:
        return
    shown = "; ".join(f"{k}: saved {a!r}, here {b!r}" for k, (a, b) in list(differences.items())[:8])
    raise ConfigMismatch(
        f"load_state: the saved configuration differs from the model's ({shown}). "
        "Pass config='saved' to take the saved one, or config='keep' to keep the model's.",
        differences,
    )
