# SPDX-License-Identifier: Apache-2.0
"""Where the tiles of a layer stand in its weight matrix."""

from __future__ import annotations

from dataclasses import dataclass

import torch

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
    packed : int
        Groups of the layer on this tile: blocks along its diagonal, of equal size. All else on it is zero; a bias is
        the last column of all of them.
    """

    rows: slice
    inputs: slice
    lines: slice
    row: int
    column: int
    bias_line: bool
    packed: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the tile."""
        return self.rows.stop - self.rows.start, self.inputs.stop - self.inputs.start + self.bias_line

    @property
    def crosspoints(self) -> int:
        """Crosspoints that hold weights of the layer."""
        return (self.rows.stop - self.rows.start) * (self.lines.stop - self.lines.start)

    @property
    def span(self) -> tuple[int, int]:
        """First input, and the one behind the last."""
        return self.inputs.start, self.inputs.stop

    def on_tile(self, matrix: torch.Tensor) -> torch.Tensor:
        """Return the tile's part of a layer's weight matrix, ``(out, in)`` of `size`."""
        part = matrix[self.rows, self.lines]
        if self.packed == 1:
            return part
        inputs = part[:, : part.shape[1] - self.bias_line]
        placed = torch.block_diag(*inputs.chunk(self.packed))
        return torch.cat([placed, part[:, -1:]], 1) if self.bias_line else placed

    def of_tile(self, weights: torch.Tensor) -> torch.Tensor:
        """Return the part of the layer's weight matrix that a tile holds; undoes `on_tile`."""
        if self.packed == 1:
            return weights
        rows, columns = (n // self.packed for n in (weights.shape[0], weights.shape[1] - self.bias_line))
        parts = [weights[k * rows : (k + 1) * rows, k * columns : (k + 1) * columns] for k in range(self.packed)]
        found = torch.cat(parts)
        return torch.cat([found, weights[:, -1:]], 1) if self.bias_line else found


@dataclass(frozen=True)
class Shape:
    """The weight matrix of a layer, ``(out, in)``, before it is laid out.

    Parameters
    ----------
    out_features, in_features : int
        Outputs and inputs of the layer, all groups together.
    groups : int
        Blocks along the diagonal that alone hold weights; each has tiles of its own, unless the mapping packs them.
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
        packed = self._packed(mapping)
        if packed:
            return packed
        columns = self._columns(mapping.max_input_size, mapping.splitting)
        rows = split(self.out_features // self.groups, mapping.max_output_size, mapping.splitting)
        return [
            self._block(group, group * len(rows) + r, rows[r], c, columns[c])
            for group in range(self.groups)
            for r in range(len(rows))
            for c in range(len(columns))
        ]

    def _packed(self, mapping: MappingParameters) -> list[Block]:
        """Return tiles with several groups each; none where groups are not to be packed, or two do not fit."""
        rows, inputs = self.out_features // self.groups, self.group_inputs
        together = min(
            mapping.max_output_size // rows if mapping.max_output_size else self.groups,
            (mapping.max_input_size - self.analog_bias) // inputs if mapping.max_input_size else self.groups,
        )
        if not mapping.pack_groups or min(together, self.groups) < 2:
            return []
        return [
            Block(
                rows=slice(part.start * rows, part.stop * rows),
                inputs=slice(part.start * inputs, part.stop * inputs),
                lines=slice(0, inputs + self.analog_bias),
                row=row,
                column=0,
                bias_line=self.analog_bias,
                packed=part.stop - part.start,
            )
            for row, part in enumerate(split(self.groups, together, mapping.splitting))
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
