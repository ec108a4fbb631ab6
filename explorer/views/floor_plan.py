# SPDX-License-Identifier: Apache-2.0
"""Where the tiles of a network lie on a plan: to scale, layer by layer, in lines of text as it were."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_GAP, _APART = 0.08, 0.45  # between tiles of a layer, and between layers, of the largest side of a tile
_WIDTH_PX, _HEIGHT_PX = 760, 600  # of a plan at most: what the narrowest usual page has room for
_TILE_PX = 64  # of its longest side at most
_LETTER_PX, _NAME_PX, _APART_PX = 7.7, 24, 14  # names above the layers
_BAND_GAPS = 3  # between the bands of a layer that is folded
_SMALLER = 1.05


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
    lines_per_px : float
        Scale at which the names fit.
    """

    places: list[Place]
    names: list[tuple[str, float, float]]
    width: float
    height: float
    lines_per_px: float

    @property
    def name_lines(self) -> float:
        """Height of a name, lines of crosspoints."""
        return _NAME_PX * self.lines_per_px

    @property
    def height_px(self) -> int:
        """Height of the plan with the names of its first line."""
        return math.ceil((self.height + self.name_lines) / self.lines_per_px)


def plan(layers: list[str], rows: np.ndarray, columns: np.ndarray, heights: np.ndarray, widths: np.ndarray) -> Plan:
    """Lay layers side by side, the tiles of each as in its weight matrix; one wider than a page is folded.

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
    grids = {
        name: _Grid.of(name, layers, rows, columns, heights, widths, _GAP * unit) for name in dict.fromkeys(layers)
    }
    lines_per_px = unit / _TILE_PX
    while True:
        blocks = {name: grid.folded(_WIDTH_PX * lines_per_px) for name, grid in grids.items()}
        laid = _in_lines(blocks, unit, lines_per_px)
        if laid.fits(lines_per_px):
            break
        lines_per_px *= _SMALLER
    places = []
    for name, row, column in zip(layers, rows, columns, strict=True):
        (x, y), (right, down) = laid.corners[name], blocks[name].places[int(row), int(column)]
        places.append(Place(x + right, y - down))
    names = [(name, x, y) for name, (x, y) in laid.corners.items()]
    return Plan(places, names, laid.width, laid.height, lines_per_px)


@dataclass(frozen=True)
class _Laid:
    """Upper left corners of the layers, and width and height of all."""

    corners: dict[str, tuple[float, float]]
    width: float
    height: float
    names_px: float

    def fits(self, lines_per_px: float) -> bool:
        """Return whether it is no higher than a page; names that alone are higher are let be."""
        return self.height <= max(_HEIGHT_PX, 2 * self.names_px) * lines_per_px


def _in_lines(blocks: dict[str, _Folded], unit: float, lines_per_px: float) -> _Laid:
    """Lay layers side by side as far as a page's width goes at this scale, each as wide as its name at least."""
    apart = max(_APART * unit, _APART_PX * lines_per_px)
    below = max(_APART * unit, _NAME_PX * lines_per_px)
    left, top, deepest, corners, right, count = 0.0, 0.0, 0.0, {}, 0.0, 1
    for name, block in blocks.items():
        room = max(block.width, len(name) * _LETTER_PX * lines_per_px)
        if left > 0 and left + room > _WIDTH_PX * lines_per_px:
            left, top, deepest, count = 0.0, top - deepest - below, 0.0, count + 1
        corners[name] = (left, top)
        left, deepest, right = left + room + apart, max(deepest, block.height), max(right, left + room)
    return _Laid(corners, right, -top + deepest, count * _NAME_PX)


@dataclass(frozen=True)
class _Folded:
    """Where the tiles of one layer begin by their place in its grid, and the size of all."""

    places: dict[tuple[int, int], tuple[float, float]]
    width: float
    height: float


@dataclass(frozen=True)
class _Grid:
    """The tiles of one layer: where its columns and rows of tiles begin and end."""

    columns: dict[int, tuple[float, float]]
    rows: dict[int, tuple[float, float]]
    gap: float

    @staticmethod
    def of(name, layers, rows, columns, heights, widths, gap) -> _Grid:
        own = [k for k, layer in enumerate(layers) if layer == name]
        return _Grid(_spans(columns[own], widths[own], gap), _spans(rows[own], heights[own], gap), gap)

    def folded(self, most: float) -> _Folded:
        """Lay the columns in bands no wider than ``most``, one below the other."""
        high = max(end for _, end in self.rows.values())
        places, band, first, right = {}, 0, 0.0, 0.0
        for column, (begin, end) in self.columns.items():
            if end - first > most and begin > first:
                band, first = band + 1, begin
            right = max(right, end - first)
            for row, (top, _) in self.rows.items():
                places[row, column] = (begin - first, band * (high + _BAND_GAPS * self.gap) + top)
        return _Folded(places, right, (band + 1) * high + band * _BAND_GAPS * self.gap)


def _spans(index: np.ndarray, sizes: np.ndarray, gap: float) -> dict[int, tuple[float, float]]:
    """Return where each line of tiles begins and ends."""
    at, found = 0.0, {}
    for k in np.unique(index):
        end = at + float(sizes[index == k].max())
        found[int(k)] = (at, end)
        at = end + gap
    return found
