# SPDX-License-Identifier: Apache-2.0
"""The analog product that every layer sits on: a grid of tiles, their scales, the bias."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import groupby

import torch

from engine.errors import ParameterError, StateError, say
from engine.nn.grid import Block, Shape
from engine.nn.state import LastingLayer
from engine.nn.weight import AnalogWeight, TileProduct, Wiring
from engine.rng import derive_seed
from engine.shapes import checked
from engine.tiles import InputRangeParameters, MappingParameters, Tile, TileConfig
from engine.tiles.input_range import SMALLEST


class AnalogCore(LastingLayer):
    """``y = W x + b`` with W on one or several analog tiles; takes ``(..., in)`` and gives ``(..., out)``.

    Parameters
    ----------
    in_features, out_features : int
        Inputs and outputs, all groups together.
    bias : bool
        Add a bias: a torch parameter ``(out,)``, or a column of the tiles where the mapping says so.
    config : TileConfig
        Of every tile; its ``mapping`` says how many there are.
    seed : int
        Fixes every draw of the tiles and the initial weights.
    groups : int
        Inputs and outputs fall into so many independent groups, each on tiles of its own unless the mapping packs them.
    kernel : int
        So many neighbouring inputs stay on one tile where they fit.
    limit : float, optional
        Initial weights and biases are uniform within plus or minus this; ``1/sqrt(in / groups)`` if not given.

    Notes
    -----
    The tile of a layer that fits on one is the parameter ``weight``; those of a split layer are ``weight_<r>_<c>`` by
    their place in the grid. A single tile has the layer's seed, others have seeds derived from it and their place.
    Partial sums of several tiles are added in single precision, left to right.
    """

    watch: Callable[[AnalogCore, Block, torch.Tensor], None] | None = None
    """While set, products are exact and this is shown the inputs of every tile (`engine.nn.calibrate`)."""

    programmed: Callable[..., torch.Tensor] | None = None
    """While set, it makes the products of a block's tile, times a factor for each output (`engine.inference`): of a
    block, inputs, factors, and by name ``patches`` for images instead of vectors, ``bias`` to be added."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        config: TileConfig,
        seed: int = 0,
        groups: int = 1,
        kernel: int = 1,
        limit: float | None = None,
    ):
        super().__init__()
        self.in_features, self.out_features, self.groups = in_features, out_features, groups
        analog_bias = bias and not config.mapping.digital_bias
        self._shape = Shape(out_features, in_features, groups, kernel, analog_bias)
        blocks = self._shape.blocks(config.mapping)
        names = ["weight"] if len(blocks) == 1 else [f"weight_{b.row}_{b.column}" for b in blocks]
        self._blocks = dict(zip(names, blocks, strict=True))
        self._rows = [list(row) for _, row in groupby(self._blocks.items(), lambda item: item[1].row)]
        self._spans = sorted({block.span for block in blocks})
        for name, block in self._blocks.items():
            own = seed if len(blocks) == 1 else derive_seed(seed, "tile", block.row, block.column)
            tile = Tile.from_config(*block.size, config, seed=own)
            self.register_parameter(name, AnalogWeight(tile, block.packed, block.bias_line))
        self._add_scales(config.mapping)
        self._add_ranges(config.input_range)
        self._draw(seed, limit or 1 / math.sqrt(self._shape.group_inputs), bias)

    def _add_scales(self, mapping: MappingParameters) -> None:
        self._mapping = mapping.copy()
        columns = 1 + max(b.column for b in self._blocks.values())
        rows = 1 + max(b.row for b in self._blocks.values())
        scaled = torch.ones(columns, self.out_features) if mapping.weight_scaling_omega else None
        self.register_buffer("mapping_scales", scaled)
        count = self.out_features if mapping.out_scaling_columnwise else rows
        learned = torch.nn.Parameter(torch.ones(columns, count)) if mapping.learn_out_scaling else None
        self.register_parameter("out_scaling", learned)

    def _add_ranges(self, ranges: InputRangeParameters) -> None:
        self._ranges = ranges.copy()
        last = list(self._blocks.values())[-1]
        grid = last.row + 1, 1 + max(b.column for b in self._blocks.values())
        start = torch.full(grid, float(ranges.init_value)) if ranges.enable else None
        learned = None if start is None else torch.nn.Parameter(start, requires_grad=ranges.learn_input_range)
        self.register_parameter("input_range", learned)
        self.register_buffer("input_range_batches", torch.zeros(grid, dtype=torch.int64) if ranges.enable else None)

    def _draw(self, seed: int, limit: float, bias: bool) -> None:
        generator = torch.Generator().manual_seed(seed)
        weight = torch.empty(self.out_features, self._shape.group_inputs).uniform_(-limit, limit, generator=generator)
        start = torch.empty(self.out_features).uniform_(-limit, limit, generator=generator)
        self.bias = torch.nn.Parameter(start) if bias and not self._shape.analog_bias else None
        self.set_weights(weight, start if bias else None)

    # -- what is on the tiles ----------------------------------------------------------------------------------

    @property
    def tile(self) -> Tile:
        """The analog tile of a layer that has one.

        Raises
        ------
        StateError
            If the layer is split over several.
        """
        if len(self._blocks) > 1:
            raise StateError(
                f"{type(self).__name__}.tile: the layer has {len(self._blocks)} tiles (allowed: layers on one tile). "
                "Use .tiles."
            )
        return self.weight.tile

    @property
    def has_bias(self) -> bool:
        """Whether there is a bias, digital or analog."""
        return self.bias is not None or self._shape.analog_bias

    @property
    def trains(self) -> tuple[bool, bool]:
        """Whether weights and bias are trained."""
        weights = all(weight.requires_grad for weight in self.analog_weights.values())
        return weights, weights if self.bias is None else self.bias.requires_grad

    def train_only(self, *, weights: bool, bias: bool) -> None:
        """Train or freeze weights and bias; an analog bias goes with the weights."""
        for weight in self.analog_weights.values():
            weight.requires_grad_(weights)
        if self.bias is not None:
            self.bias.requires_grad_(bias)

    @property
    def blocks(self) -> dict[str, Block]:
        """Where each tile stands, by parameter name."""
        return dict(self._blocks)

    @torch.no_grad()
    def set_weights(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        """Write logical weights and bias: mapping scales are set anew, learned output scales return to 1.

        Parameters
        ----------
        weight : torch.Tensor
            ``(out, in / groups)`` float32.
        bias : torch.Tensor, optional
            ``(out,)``; has to be given if the layer has one.
        """
        where = self.tiles[0].torch_device
        shape = {"out": self.out_features, "in": self._shape.group_inputs}
        matrix = checked(weight, f"{type(self).__name__}.weight", shape, where)
        self._check_bias_given(bias)
        if bias is not None:
            bias = checked(bias, f"{type(self).__name__}.bias", {"out": self.out_features}, where)
            if self.bias is None:
                matrix = torch.cat([matrix, bias[:, None]], 1)
            else:
                self.bias.copy_(bias)
        if self.out_scaling is not None:
            self.out_scaling.fill_(1)
        for name, block in self._blocks.items():
            self._write(self._parameters[name].tile, block, block.on_tile(matrix))

    def _check_bias_given(self, bias: torch.Tensor | None) -> None:
        if (bias is not None) != self.has_bias:
            given = None if bias is None else tuple(bias.shape)
            allowed = f"(out={self.out_features})" if self.has_bias else "None"
            raise ParameterError(
                say(f"{type(self).__name__}.bias", given, "does not fit the layer", allowed, "Give what the layer has.")
            )

    def _write(self, tile: Tile, block: Block, logical: torch.Tensor) -> None:
        if self.mapping_scales is None:
            tile.set_weights(logical)
            return
        scale = self._mapping.scale(logical)
        self.mapping_scales[block.column, block.rows] = scale
        tile.set_weights(logical / scale[:, None])

    @torch.no_grad()
    def logical_weights(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return what the layer multiplies by: weights ``(out, in / groups)``, and the bias ``(out,)`` or None."""
        width = self._shape.group_inputs + self._shape.analog_bias
        matrix = self.tiles[0].weights.new_empty(self.out_features, width)
        for name, block in self._blocks.items():
            scale, learned = self.analog_scale(name)
            found = self._parameters[name].tile.weights * scale * learned
            matrix[block.rows, block.lines] = block.of_tile(found)
        bias = None if self.bias is None else self.bias.detach().clone()
        if self._shape.analog_bias:
            return matrix[:, :-1].clone(), matrix[:, -1].clone()
        return matrix, bias

    def analog_scale(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mapping scale m and learned scale o behind the tile of a parameter, each ``(out, 1)``."""
        block, one = self._blocks[name], self.tiles[0].weights.new_ones(self._blocks[name].size[0], 1)
        found = [self._scale(block), self._learned(block)]
        return tuple(one if s is None else s.detach().reshape(-1, 1).expand_as(one).clone() for s in found)

    def _scale(self, block: Block) -> torch.Tensor | None:
        return None if self.mapping_scales is None else self.mapping_scales[block.column, block.rows]

    def _learned(self, block: Block) -> torch.Tensor | None:
        if self.out_scaling is None:
            return None
        return self.out_scaling[block.column, block.rows if self._mapping.out_scaling_columnwise else block.row]

    # -- the product -------------------------------------------------------------------------------------------

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(..., out)`` for ``(..., in)`` float32."""
        return self.product(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], self.out_features)

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(batch, out)`` for ``(batch, in)``, bias included; each row is one vector on the tiles."""
        parts = self._inputs(x)
        rows = [self._row(row, parts) for row in self._rows]
        y = rows[0] if len(rows) == 1 else torch.cat(rows, 1)
        return y if self.bias is None or self.ends_on_chips else y + self.bias

    @property
    def ends_on_chips(self) -> bool:
        """Whether a programmed network's kernels give the outputs, bias included: nothing comes after the product."""
        return self.programmed is not None and self.watch is None and len(self._spans) == 1

    def _bias_on_chips(self, block: Block) -> torch.Tensor | None:
        return self.bias[block.rows] if self.bias is not None and self.ends_on_chips else None

    def _inputs(self, x: torch.Tensor) -> dict[tuple[int, int], torch.Tensor]:
        """Return the inputs of each column of tiles by its span; split once, so that one gradient goes back."""
        if x.shape[1] != self.in_features:  # slices of a wrong input would name the wrong size
            checked(x, "x", {"batch": None, "in": self.in_features}, x.device)
        if len(self._spans) == 1:
            return {self._spans[0]: x}
        parts = x.split([stop - start for start, stop in self._spans], 1)
        return dict(zip(self._spans, parts, strict=True))

    def _row(self, blocks: list[tuple[str, Block]], parts: dict[tuple[int, int], torch.Tensor]) -> torch.Tensor:
        """Return the outputs of one row of tiles: their partial sums added up."""
        total = None
        for name, block in blocks:
            part = self._part(self._parameters[name], block, parts[block.span])
            total = part if total is None else total + part
        return total

    def _part(self, weight: AnalogWeight, block: Block, x: torch.Tensor) -> torch.Tensor:
        if self.watch is not None:
            self.watch(self, block, x)
            return self._exact(weight, block, x)
        if self.programmed is not None:
            return self._on_chips(block, x)
        weight.tile.training = self.training  # running means of the periphery rest in evaluation
        scale = self._scale(block)
        if self._mapping.weight_scaling_lr_compensation:
            weight.rate_scale = 1 / scale.mean().item()
        r, ranges = self._range(block, x)
        masks = self._mapping.mask_clipped_output_gradient
        y = TileProduct.apply(x, weight, r, Wiring(scale, weight.rate_scale, block.bias_line, ranges, masks))
        learned = self._learned(block)
        return y if learned is None else y * learned

    def _exact(self, weight: AnalogWeight, block: Block, x: torch.Tensor) -> torch.Tensor:
        """Return a tile's outputs without periphery."""
        wiring = Wiring(self._scale(block), bias_line=block.bias_line)
        y = wiring.output(wiring.lines(x, None) @ weight.tile.weights.T, None)
        learned = self._learned(block)
        return y if learned is None else y * learned

    def _on_chips(self, block: Block, x: torch.Tensor) -> torch.Tensor:
        """Return a tile's outputs as a programmed network has them: scales, ranges and bias line are the layer's."""
        wiring = Wiring(self._scale(block), bias_line=block.bias_line)
        r = self._range_on_chips(block)
        scale, bias = self._factors_on_chips(wiring.scale, r, block), self._bias_on_chips(block)
        return self.programmed(block, wiring.lines(x, r), scale, bias=bias)

    def _range_on_chips(self, block: Block) -> torch.Tensor | None:
        return None if self.input_range is None else self.input_range[block.row, block.column].clamp(min=SMALLEST)

    def _factors_on_chips(self, scale, r: torch.Tensor | None, block: Block) -> torch.Tensor | None:
        factors = [f for f in (scale, r, self._learned(block)) if f is not None]
        return math.prod(factors[1:], start=factors[0]) if factors else None

    def _range(self, block: Block, x: torch.Tensor) -> tuple[torch.Tensor | None, InputRangeParameters | None]:
        """Return a tile's input range, estimated with the batch at hand, and how it is trained after that."""
        if self.input_range is None:
            return None, None
        place = block.row, block.column
        with torch.no_grad():
            self.input_range[place].clamp_(min=SMALLEST)  # a step of the optimizer may have gone too far
            batches = self.input_range_batches[place].item()
            estimating = batches < self._ranges.init_from_data
            if estimating and self.training:
                found = self._ranges.estimate(self.input_range[place].item(), batches, x)
                self.input_range[place], self.input_range_batches[place] = found
        # A copy: an estimate of the next batch may change the parameter before the backward pass of this one.
        return self.input_range[place].clone(), None if estimating else self._ranges

    def extra_repr(self) -> str:
        """Return the layer's size and device for ``print(model)``."""
        tiles = f", tiles={len(self._blocks)}" if len(self._blocks) > 1 else ""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.has_bias}, device={self.tiles[0].device.stem()}{tiles}"
        )
