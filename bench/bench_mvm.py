# SPDX-License-Identifier: Apache-2.0
"""Analog matrix-vector product beside torch's plain product.

    python bench/bench_mvm.py [--size 512] [--batch 64] [--threads 1] [--json FILE]

Every row checks its answer: without noise and converters the product has to be torch's within float rounding.
"""

from __future__ import annotations

import torch
from bench_update import best_of, inputs
from harness import finish, parser

from engine.tiles import IOParameters, Tile

PERIPHERIES = {
    "perfect": IOParameters(is_perfect=True),
    "default": IOParameters(),
    "weight noise": IOParameters(w_noise=0.02),
}


def run(name: str, way: str, size: int, batch: int) -> dict:
    """Time one periphery in one direction; returns the row."""
    x = inputs(size, batch)[0]
    tile = Tile(size, size, "idealized_symmetric", PERIPHERIES[name], PERIPHERIES[name])
    tile.set_weights(inputs(size, size)[0])
    product = getattr(tile, way)
    w = tile.weights if way == "forward" else tile.weights.T.contiguous()
    ours, plain = best_of(lambda: product(x)), best_of(lambda: torch.nn.functional.linear(x, w))
    return {"periphery": name, "way": way, "ms": ours * 1e3, "torch_ms": plain * 1e3, "times_torch": ours / plain}


def answer_error(size: int, batch: int) -> float:
    """Return the largest difference of the perfect product from torch's, relative to the largest output."""
    x = inputs(size, batch)[0]
    tile = Tile(size, size, "idealized_symmetric", PERIPHERIES["perfect"])
    tile.set_weights(inputs(size, size)[0])
    wanted = torch.nn.functional.linear(x.double(), tile.weights.double())
    return float((tile.forward(x).double() - wanted).abs().max() / wanted.abs().max())


def main() -> None:
    """Run all cases and print the table."""
    options = parser(__doc__, size=512, batch=64)
    torch.set_num_threads(options.threads)
    error = answer_error(options.size, options.batch)
    if not error < options.size * 2**-24:  # the rounding of `size` float32 additions, one unit in the last place each
        raise SystemExit(f"wrong answer: relative error {error:.2e}")
    rows = [run(name, way, options.size, options.batch) for name in PERIPHERIES for way in ("forward", "backward")]
    finish("mvm", rows, options, checked={"relative_error": error})


if __name__ == "__main__":
    main()
