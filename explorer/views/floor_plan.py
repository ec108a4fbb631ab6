# SPDX-License-Identifier: Apache-2.0
"""Where the tiles of a network lie on a plan: to scale, layer by layer, in lines of text as it were."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_GAP = 0.08  # between tiles of a layer, of the largest side of a tile
_APART = 0.45  # between layers
_ASPECT = 2.6  # width over height that the plan aims at
_WIDTH_PX = 850  # of a plan on a narrow page: names are given room for that
_LETTER_PX, _NAME_PX = 7.5, 20
_TRIALS = 5  # names need more room the smaller the scale, which is smaller the more room they take


@dataclass(frozen=True)
class Place:
    """One tile on the plan.

    Attributes
    ----------
    left, top : float
        Its corner, lines of crosspoints; ``top`` falls from line to line of the plan.
    """

    left: float
    top: float


@dataclass(frozen=True)
class Plan:
    """Where every tile and every layer's name lies.

    Attributes
    ----------
    places : list of Place
        In the order of the tiles.
    names : list of (str, float, float)
        Layer, and the lower left corner of its name.
    width, height : float
        Lines of crosspoints.
    """

    places: list[Place]
    names: list[tuple[str, float, float]]
    width: float
    height: float


def plan(layers: list[str], rows: np.ndarray, columns: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> Plan:
    """Lay layers side by side, in lines of about the same length, the tiles of each as in its weight matrix.

    Parameters
    ----------
    layers : list of str
        Layer of each tile; tiles of a layer follow each other.
    rows, columns : numpy.ndarray
        ``(tile,)``, place of each tile in the grid of its layer.
    heights, widths : numpy.ndarray
        ``(tile,)``, rows and columns of each tile.

    Examples
    --------
    >>> ones, twos = np.array([0, 0]), np.array([2.0, 2.0])
    >>> made = plan(["a", "b"], ones, ones, twos, twos)
    >>> [round(p.left, 2) for p in made.places], made.names[1][0]
    ([0.0, 2.9], 'b')
    """
    unit = float(max(heights.max(), widths.max()))
    gap = _GAP * unit
    blocks = {name: _Grid.of(name, layers, rows, columns, heights, widths, gap) for name in dict.fromkeys(layers)}
    lines_per_px = 0.0
    for _ in range(_TRIALS):
        corners, width, height = _in_lines(blocks, _APART * unit, lines_per_px)
        lines_per_px = max(width / _WIDTH_PX, height * _ASPECT / _WIDTH_PX)
    places = []
    for name, row, column in zip(layers, rows, columns, strict=True):
        x, y = corners[name]
        places.append(Place(x + blocks[name].lefts[int(column)], y - blocks[name].tops[int(row)]))
    names = [(name, x, y) for name, (x, y) in corners.items()]
    return Plan(places, names, width, height)


def _in_lines(
    blocks: dict[str, _Grid], apart: float, lines_per_px: float
) -> tuple[dict[str, tuple[float, float]], float, float]:
    """Return the upper left corner of each layer, and width and height of all; names fit at this scale."""
    room = {name: max(b.width, len(name) * _LETTER_PX * lines_per_px) + apart for name, b in blocks.items()}
    below = max(2 * apart, _NAME_PX * lines_per_px)
    area = sum(room[name] * (b.height + below) for name, b in blocks.items())
    longest = max(math.sqrt(area * _ASPECT), *room.values())
    left, top, deepest, corners = 0.0, 0.0, 0.0, {}
    for name, block in blocks.items():
        if left > 0 and left + room[name] > longest:
            left, top, deepest = 0.0, top - deepest - below, 0.0
        corners[name] = (left, top)
        left, deepest = left + room[name], max(deepest, block.height)
    width = max(x + room[name] - apart for name, (x, _) in corners.items())
    return corners, width, -top + deepest


@dataclass(frozen=True)
class _Grid:
    """The tiles of one layer: offsets of its columns and rows of tiles, and the size of all."""

    lefts: dict[int, float]
    tops: dict[int, float]
    width: float
    height: float

    @staticmethod
    def of(name, layers, rows, columns, heights, widths, gap) -> _Grid:
        own = [k for k, layer in enumerate(layers) if layer == name]
        lefts, width = _offsets(columns[own], widths[own], gap)
        tops, height = _offsets(rows[own], heights[own], gap)
        return _Grid(lefts, tops, width, height)


def _offsets(index: np.ndarray, sizes: np.ndarray, gap: float) -> tuple[dict[int, float], float]:
    """Return where each line of tiles begins, and where the last one ends."""
    at, found = 0.0, {}
    for k in np.unique(index):
        found[int(k)] = at
        at += float(sizes[index == k].max()) + gap
    return found, at - gap
