# SPDX-License-Identifier: Apache-2.0
"""What the tiles of a converted network are given when it computes exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from engine.nn import AnalogCore
from engine.nn.checkpoint import analog_layers
from engine.nn.grid import Block

Span = tuple[int, int]


def activations(
    model: torch.nn.Module,
    inputs: Sequence[torch.Tensor],
    most: int,
    tell: Callable[[float], None] = lambda done: None,
) -> dict[str, dict[Span, torch.Tensor]]:
    """Return what each tile is given in exact passes: ``(vectors, in)``, by layer and by the inputs it has.

    Parameters
    ----------
    model : torch.nn.Module
        Converted.
    inputs : sequence of torch.Tensor
        What the model is called with, one after the other.
    most : int
        Vectors that are kept of each, evenly spaced: a convolution gives one for each pixel, a recurrent layer one for
        each step.
    tell : callable
        Takes the share of the passes that are done; what it raises passes through.
    """
    layers = analog_layers(model)
    names, seen = {id(layer): name for name, layer in layers.items()}, {name: {} for name in layers}

    def watch(layer: AnalogCore, block: Block, x: torch.Tensor) -> None:
        if block.row == first_rows[id(layer), block.span]:  # tiles of one column are given the same
            seen[names[id(layer)]].setdefault(block.span, _EvenlySpaced(most)).add(x)

    first_rows: dict[tuple[int, Span], int] = {}
    for layer in layers.values():
        layer.watch = watch
        for block in layer.blocks.values():
            first_rows.setdefault((id(layer), block.span), block.row)
    try:
        with torch.no_grad():
            for done, x in enumerate(inputs):
                model(x)
                tell((done + 1) / len(inputs))
    finally:
        for layer in layers.values():
            layer.watch = None
    return {name: {span: rows.taken() for span, rows in spans.items()} for name, spans in seen.items()}


class _EvenlySpaced:
    """Rows of a long series, evenly spaced, in little memory: whenever there are too many, every other one is dropped.

    Parameters
    ----------
    most : int
        Rows that are taken in the end; up to twice as many are kept on the way.
    """

    def __init__(self, most: int):
        self._most, self._stride, self._seen = most, 1, 0
        self._rows: torch.Tensor | None = None

    def add(self, rows: torch.Tensor) -> None:
        """Take some of the rows that come next."""
        fresh = rows[-self._seen % self._stride :: self._stride].detach()
        self._seen += len(rows)
        kept = fresh if self._rows is None else torch.cat([self._rows, fresh])
        while len(kept) > 2 * self._most:
            kept, self._stride = kept[::2], 2 * self._stride
        self._rows = kept.clone()  # a view would keep all rows that came

    def taken(self) -> torch.Tensor:
        """Return the rows."""
        kept = self._rows
        if len(kept) <= self._most:
            return kept
        return kept[torch.linspace(0, len(kept) - 1, self._most).round().long()]
