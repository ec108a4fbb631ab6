# SPDX-License-Identifier: Apache-2.0
"""Networks trained in floating point, to be put on tiles."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from engine.rng import derive_seed
from explorer import networks
from explorer.experiments.threads import torch_threads

_BATCH, _RATE = 32, 5e-3
_TOLD_EVERY = 20  # batches


def trained(network: str, seed: int, epochs: int, tell: Callable[[float], None] = lambda done: None) -> torch.nn.Module:
    """Return a network of the gallery trained in floating point, or with the weights it comes with.

    Parameters
    ----------
    network : str
        Its name.
    seed : int
        Of initial weights and of the order of samples.
    epochs : int
        Of training from initial weights; 0 takes the weights the network comes with.
    tell : callable
        Takes the share of the training that is done, some times a second; what it raises passes through.

    Returns
    -------
    torch.nn.Module
        In evaluation mode; the same object for the same arguments, not to be changed.
    """
    kept = _kept(network, seed if epochs else 0, epochs)
    if not kept:
        kept.append(_train(networks.get(network), seed, epochs, tell) if epochs else _as_it_comes(network))
    return kept[0]


@functools.lru_cache(maxsize=8)
def _kept(network: str, seed: int, epochs: int) -> list[torch.nn.Module]:
    """Return where the network of these arguments is kept; empty until it is there."""
    return []


def _as_it_comes(network: str) -> torch.nn.Module:
    return networks.get_scored(network).trained().eval()


def _train(task: networks.Network, seed: int, epochs: int, tell: Callable[[float], None]) -> torch.nn.Module:
    model, split = task.build(seed), task.data()
    optimizer = torch.optim.Adam(model.parameters(), _RATE)
    order = torch.Generator().manual_seed(derive_seed(seed, "order"))
    batches, done = epochs * -(-len(split.y_train) // _BATCH), 0
    with torch_threads(task.threads):
        for _ in range(epochs):
            for chosen in torch.randperm(len(split.y_train), generator=order).split(_BATCH):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(model(split.x_train[chosen]), split.y_train[chosen]).backward()
                optimizer.step()
                done += 1
                if done % _TOLD_EVERY == 0:
                    tell(done / batches)
    return model.eval()
