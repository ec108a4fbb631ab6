# SPDX-License-Identifier: Apache-2.0
"""Train the gallery's networks and keep their weights: ``python tools/train_networks.py [name ...]``.

One thread, fixed seeds: the same build of torch gives the same weights again. Data packages: docs/networks.md.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass

import torch

from explorer import networks
from explorer.networks import weights

SEED = 0


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: Adam with decoupled decay, rate rising and falling once over all steps."""

    epochs: int
    batch: int
    lr: float
    decay: float = 0.01
    shift: int = 0
    """Images are moved by up to so many pixels, another way in every batch."""


RECIPES = {
    "mlp-digits": Recipe(epochs=60, batch=32, lr=0.005),
    "mlp-digits-deep": Recipe(epochs=100, batch=64, lr=0.004),
    "lstm-vowels": Recipe(epochs=60, batch=16, lr=0.005, decay=0.1),
    "lenet-mnist": Recipe(epochs=12, batch=32, lr=0.003, shift=2),
    "lenet-fashion": Recipe(epochs=6, batch=64, lr=0.003),
    "resnet8-fashion": Recipe(epochs=4, batch=64, lr=0.01),
}


def train(name: str) -> torch.nn.Module:
    """Return the network trained by its recipe."""
    recipe, network = RECIPES[name], networks.get(name)
    model, split = network.build(SEED).train(), network.data()
    draws = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(model.parameters(), recipe.lr, weight_decay=recipe.decay)
    steps = recipe.epochs * -(-len(split.y_train) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.lr, total_steps=steps)
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(split.y_train), generator=draws).split(recipe.batch):
            x = moved(split.x_train[chosen], recipe.shift, draws)
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x), split.y_train[chosen]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def moved(x: torch.Tensor, reach: int, draws: torch.Generator) -> torch.Tensor:
    """Return images ``(N, 1, H, W)`` moved by up to ``reach`` pixels, zeros behind them."""
    if not reach:
        return x
    down, right = torch.randint(0, 2 * reach + 1, (2,), generator=draws).tolist()
    padded = torch.nn.functional.pad(x, (reach, reach, reach, reach))
    return padded[..., down : down + x.shape[-2], right : right + x.shape[-1]]


def main() -> None:
    """Train, keep, score what was kept."""
    parser = argparse.ArgumentParser(description="Train networks of the gallery and keep their weights.")
    parser.add_argument("names", nargs="*", default=list(RECIPES), choices=[*RECIPES, []], metavar="NAME")
    torch.set_num_threads(1)
    for name in parser.parse_args().names:
        began = time.process_time()
        weights.save(name, train(name))
        seconds = time.process_time() - began
        network = networks.get(name)
        print(f"{name}: {network.score(network.trained()):.4f}, {seconds:.0f} s, {weights.path(name).stat().st_size} B")


if __name__ == "__main__":
    main()
