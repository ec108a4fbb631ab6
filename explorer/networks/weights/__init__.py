# SPDX-License-Identifier: Apache-2.0
"""Trained weights of the gallery's networks: a ``.npz`` of float16 arrays for each, from tools/train_networks.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from engine.errors import StateError, say

FOLDER = Path(__file__).parent


def path(name: str) -> Path:
    """Return where the weights of a network are kept."""
    return FOLDER / f"{name}.npz"


def save(name: str, model: torch.nn.Module) -> None:
    """Keep the floating-point entries of the model's state, rounded to float16."""
    state = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
    np.savez_compressed(path(name), **{key: value.numpy().astype(np.float16) for key, value in state.items()})


def load(name: str, model: torch.nn.Module) -> torch.nn.Module:
    """Return ``model`` with the kept weights as float32; counters of batches are left alone.

    Raises
    ------
    StateError
        If there are none, or they are those of another model.
    """
    if not path(name).is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.npz"))) or "none"
        remedy = f"Run python tools/train_networks.py {name}."
        raise StateError(say("network", name, "has no trained weights", known, remedy))
    with np.load(path(name)) as kept:
        state = {key: torch.from_numpy(kept[key].astype(np.float32)) for key in kept.files}
    own = {key: tuple(value.shape) for key, value in model.state_dict().items() if value.is_floating_point()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    if own != found:
        wrong = sorted(key for key in own.keys() | found.keys() if own.get(key) != found.get(key))
        remedy = f"Run python tools/train_networks.py {name}."
        raise StateError(say("weights", wrong[0], "does not fit the model", "the model's own state", remedy))
    model.load_state_dict(state, strict=False)
    return model
