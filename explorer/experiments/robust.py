# SPDX-License-Identifier: Apache-2.0
"""Networks fine-tuned through a model of the hardware, trained once and kept on the disk."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from engine.errors import ParameterError
from engine.nn import to_digital
from explorer import networks
from explorer.experiments.hardware_aware_training import HardwareAwareTraining
from explorer.home import home

TRAININGS = ("direct", "hardware_aware")
SMALL = 100_000
"""Multiplications of a sample up to which a network is trained within seconds."""


def check(network: str, training: str) -> None:
    """Raise `ParameterError` where a network cannot be trained for the hardware."""
    if training == "direct" or network in networks.names():
        return
    raise ParameterError(
        f"Scenario.training = {training!r}: {network} has no training data (allowed: "
        f"{', '.join(networks.names())}). Take one of these, or training='direct'."
    )


def known(network: str, training: str) -> bool:
    """Return whether the weights are there already, shipped or trained before."""
    return training == "direct" or _path(network).is_file()


def weights(network: str, training: str) -> torch.nn.Module:
    """Return the network in floating point, trained digitally or for the hardware, in evaluation mode.

    Raises
    ------
    ParameterError
        If it has not been trained for the hardware yet: `train` does so.
    """
    if training == "direct":
        return networks.find(network).trained()
    if not known(network, training):
        raise ParameterError(
            f"Scenario.training = {training!r}: {network} has not been trained so yet (allowed: after the first run). "
            "Wait for the estimate, or start the full run."
        )
    model = networks.get(network).build(0)
    with np.load(_path(network)) as kept:
        model.load_state_dict({name: torch.from_numpy(kept[name].copy()) for name in kept.files})
    return model.eval()


def train(network: str, training: str, tell: Callable[[str], None]) -> None:
    """Fine-tune a network by the explorer's default recipe unless its weights are there already.

    Parameters
    ----------
    network, training : str
    tell : callable
        Told in words how far it is; what it raises passes through.
    """
    if known(network, training):
        return

    def progress(fraction: float, message: str = "", **payload) -> None:
        tell(f"training for the hardware, {100 * fraction:.0f} %")

    model = to_digital(_experiment(network).trained(0, progress))
    path = _path(network)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{uuid.uuid4().hex}.npz")
    np.savez_compressed(unfinished, **{name: value.numpy() for name, value in model.state_dict().items()})
    unfinished.replace(path)


def _experiment(network: str) -> HardwareAwareTraining:
    return HardwareAwareTraining(network=network)


def _path(network: str) -> Path:
    """Return where the weights are kept: by recipe, seed and version, so that another one is trained anew."""
    return home() / "robust" / f"{network}-{_experiment(network).content_id[:16]}.npz"
