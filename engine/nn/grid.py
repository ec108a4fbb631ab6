# SPDX-License-Identifier: Apache-2.0
"""Where the tiles of a layer stand in its weight matrix."""

from __future__ import annotations

from dataclasses import dataclass

from engine.tiles.mapping import MappingParameters, split


@dataclass(frozen=True)
class Block:
    """One tile of a layer.

    Parameters
    ----------
    rows, inputs : slice
        Outputs and inputs of the layer that the tile has.
    lines : slice
        The same inputs as columns of the layer's weight matrix, the bias line included.
    row, column : int
        Position in the grid of tiles.
    bias_line : bool
        Whether the last column is the bias.
    """

    rows: slice
    inputs: slice
    lines: slice
    row: int
    column: int
    bias_line: bool

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the tile."""
        return self.rows.stop - self.rows.start, self.lines.stop - self.lines.start

    @property
    def span(self) -> tuple[int, int]:
        """First input, and the one behind the last."""
        return self.inputs.start, self.inputs.stop


@dataclass(frozen=True)
class Shape:
    """The weight matrix of a layer, ``(out, in)``, before it is laid out.

    Parameters
    ----------
    out_features, in_features : int
        Outputs and inputs of the layer, all groups together.
    groups : int
        Blocks along the diagonal that alone hold weights; each has tiles of its own.
    kernel : int
        Inputs that belong together (the pixels of one channel) and stay on one tile where they fit.
    analog_bias : bool
        Each group's matrix has one more column.
    """

    out_features: int
    in_features: int
    groups: int = 1
    kernel: int = 1
    analog_bias: bool = False

    @property
    def group_inputs(self) -> int:
        """Inputs of one group: the columns of the weight matrix."""
        return self.in_features // self.groups

    def blocks(self, mapping: MappingParameters) -> list[Block]:
        """Return the tiles, row of tiles by row of tiles."""
        columns = self._columns(mapping.max_input_size, mapping.splitting)
        rows = split(self.out_features // self.groups, mapping.max_output_size, mapping.splitting)
        return [
            self._block(group, group * len(rows) + r, rows[r], c, columns[c])
            for group in range(self.groups)
            for r in range(len(rows))
            for c in range(len(columns))
        ]

    def _block(self, group: int, row: int, rows: slice, column: int, lines: slice) -> Block:
        first_row, first_input = group * self.out_features // self.groups, group * self.group_inputs
        last = min(lines.stop, self.group_inputs)
        return Block(
            rows=slice(first_row + rows.start, first_row + rows.stop),
            inputs=slice(first_input + lines.start, first_input + last),
            lines=lines,
            row=row,
            column=column,
            bias_line=lines.stop > self.group_inputs,
        )

    def _columns(self, largest: int, splitting: str) -> list[slice]:
        lines = self.group_inputs + self.analog_bias
        room = largest - self.analog_bias
        if not largest or lines <= largest or self.kernel == 1 or self.kernel > room:
            return self._with_an_input(split(lines, largest, splitting))
        whole = split(self.group_inputs // self.kernel, room // self.kernel, splitting)
        parts = [slice(p.start * self.kernel, p.stop * self.kernel) for p in whole]
        return [*parts[:-1], slice(parts[-1].start, lines)]

    def _with_an_input(self, columns: list[slice]) -> list[slice]:
        """Return slices none of which is the bias line alone: the last but one gives an input to it."""
        last = columns[-1]
        if not self.analog_bias or len(columns) == 1 or last.stop - last.start > 1:
            return columns
        return [*columns[:-2], slice(columns[-2].start, last.start - 1), slice(last.start - 1, last.stop)]
