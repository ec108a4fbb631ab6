# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of models with analog layers."""

from __future__ import annotations

from typing import Any

import torch

from engine.errors import ConfigMismatch, ParameterError, ShapeError
from engine.nn.core import AnalogCore


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
