# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers on analog tiles: layers and directions of cells, run over padded or packed sequences."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch.nn.utils.rnn import PackedSequence

from engine.errors import ParameterError, ShapeError, say
from engine.nn.cells import AnalogCell, AnalogGRUCell, AnalogLSTMCell, AnalogRNNCell, State
from engine.rng import derive_seed
from engine.tiles import TileConfig

Sequence = torch.Tensor | PackedSequence


class AnalogRecurrent(torch.nn.Module):
    """What the recurrent layers share: a cell for each layer and direction, named ``l0``, ``l0_reverse``, ``l1``, ...

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias : bool
    batch_first : bool
        Sequences are ``(batch, time, features)`` instead of ``(time, batch, features)``.
    dropout : float
        Probability with which outputs of all layers but the last are zeroed in training.
    bidirectional : bool
    config : TileConfig
    seed : int
        Fixes every draw of the tiles and the initial weights.
    cell : dict
        Further arguments of the cell: ``nonlinearity`` of `AnalogRNN`.

    Notes
    -----
    Arguments, shapes and results are those of torch's own layer; ``proj_size`` is refused. The input's product is made
    for all steps at once, each step of each sequence being one vector; the state's product step by step.
    """

    cell_class: ClassVar[type[AnalogCell]]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        config: TileConfig,
        seed: int = 0,
        **cell: Any,
    ):
        super().__init__()
        self._check(num_layers, dropout, cell)
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, float(dropout), bidirectional
        for layer in range(num_layers):
            width = input_size if layer == 0 else hidden_size * len(self.directions)
            for suffix in self.directions:
                name = f"l{layer}{suffix}"
                own = derive_seed(seed, name)
                self.add_module(name, self.cell_class(width, hidden_size, bias, config=config, seed=own, **cell))

    def _check(self, num_layers: int, dropout: float, cell: dict[str, Any]) -> None:
        name = type(self).__name__
        if cell.pop("proj_size", 0):
            raise ParameterError(
                f"{name}.proj_size: outputs that are projected have no analog form (allowed: 0). Leave it out, or keep "
                "the layer digital."
            )
        if isinstance(num_layers, bool) or not isinstance(num_layers, int) or num_layers < 1:
            raise ParameterError(
                say(f"{name}.num_layers", num_layers, "must be a whole number", "1, 2, ...", "Give 1.")
            )
        if not 0 <= dropout <= 1:
            raise ParameterError(say(f"{name}.dropout", dropout, "must be a probability", "0 .. 1", "Choose one."))

    @property
    def directions(self) -> tuple[str, ...]:
        """Suffixes of the cells of one layer: forwards, and backwards in time if there is that."""
        return ("", "_reverse") if self.bidirectional else ("",)

    @property
    def cells(self) -> dict[str, AnalogCell]:
        """All cells by name, layer by layer."""
        return {n: getattr(self, n) for n in (f"l{k}{s}" for k in range(self.num_layers) for s in self.directions)}

    def flatten_parameters(self) -> None:
        """Do nothing: torch's layers have this, and models call it."""

    def forward(self, x: Sequence, hx: State | None = None) -> tuple[Sequence, State]:
        """Return the outputs of the last layer at all steps, and the last states of all cells.

        Parameters
        ----------
        x : torch.Tensor or PackedSequence
            ``(time, batch, input)``, with ``batch_first`` ``(batch, time, input)``, or ``(time, input)``.
        hx : torch.Tensor or tuple, optional
            ``(layers * directions, batch, hidden)`` (without batch, if x has none); for `AnalogLSTM` a tuple of two.
            Zero if not given.

        Returns
        -------
        output : torch.Tensor or PackedSequence
            As x, with ``directions * hidden`` features.
        state : torch.Tensor or tuple
            As hx.
        """
        if isinstance(x, PackedSequence):
            return self._packed(x, hx)
        if x.dim() == 2:
            lifted = None if hx is None else self._parts(hx, lambda part: part[:, None])
            y, state = self._padded(x[:, None], lifted)
            return y[:, 0], self._parts(state, lambda part: part[:, 0])
        if x.dim() != 3:
            raise ShapeError(
                f"{type(self).__name__}, x: got shape {tuple(x.shape)}, expected (time, batch, in={self.input_size}) "
                "or (time, in). Check the axes' order."
            )
        if not self.batch_first:
            return self._padded(x, hx)
        y, state = self._padded(x.transpose(0, 1), hx)
        return y.transpose(0, 1), state

    def _parts(self, state: State, change) -> State:
        return change(state) if isinstance(state, torch.Tensor) else tuple(map(change, state))

    def _padded(self, x: torch.Tensor, hx: State | None) -> tuple[torch.Tensor, State]:
        steps, batch = x.shape[:2]
        y, state = self._run(x.reshape(steps * batch, x.shape[2]), [batch] * steps, hx)
        return y.reshape(steps, batch, -1), state

    def _packed(self, x: PackedSequence, hx: State | None) -> tuple[PackedSequence, State]:
        order, back = x.sorted_indices, x.unsorted_indices
        if hx is not None and order is not None:
            hx = self._parts(hx, lambda part: part.index_select(1, order))
        y, state = self._run(x.data, x.batch_sizes.tolist(), hx)
        if back is not None:
            state = self._parts(state, lambda part: part.index_select(1, back))
        return PackedSequence(y, x.batch_sizes, order, back), state

    def _run(self, data: torch.Tensor, sizes: list[int], hx: State | None) -> tuple[torch.Tensor, State]:
        """Run all layers over ``(sum of sizes, in)``: so many sequences at each step, the longest first."""
        starts = self._starts(hx, sizes[0], data)
        ends = []
        for layer in range(self.num_layers):
            outputs = []
            for suffix in self.directions:
                run = backwards if suffix else forwards
                y, end = run(getattr(self, f"l{layer}{suffix}"), data, sizes, starts[len(ends)])
                outputs.append(y[:, : self.hidden_size])
                ends.append(end)
            data = outputs[0] if len(outputs) == 1 else torch.cat(outputs, 1)
            if layer + 1 < self.num_layers:
                data = torch.nn.functional.dropout(data, self.dropout, self.training)
        return data, self.l0.parted(torch.stack(ends))

    def _starts(self, hx: State | None, batch: int, like: torch.Tensor) -> torch.Tensor:
        """Return the first states ``(cells, batch, states * hidden)``."""
        count, states = len(self.cells), self.cell_class.states
        if hx is None:
            return like.new_zeros(count, batch, states * self.hidden_size)
        parts = (hx,) if isinstance(hx, torch.Tensor) else tuple(hx)
        expected = (count, batch, self.hidden_size)
        if len(parts) != states or any(tuple(p.shape) != expected for p in parts):
            raise ShapeError(
                f"{type(self).__name__}, hx: got {[tuple(p.shape) for p in parts]}, expected {states} of (layers * "
                f"directions={count}, batch={batch}, hidden={self.hidden_size}). Check the axes' order."
            )
        return torch.cat(parts, 2)

    def extra_repr(self) -> str:
        """Return the layer's size for ``print(model)``."""
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, bias={self.bias}, "
            f"batch_first={self.batch_first}, dropout={self.dropout:g}, bidirectional={self.bidirectional}"
        )


def forwards(
    cell: AnalogCell, data: torch.Tensor, sizes: list[int], start: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a cell over time; sequences drop out as they end. Returns all states, and the last one of each sequence."""
    state, outputs, ended = start, [], []
    for driven in cell.ih(data).split(sizes):
        if len(driven) < len(state):
            ended.append(state[len(driven) :])
            state = state[: len(driven)]
        state = cell.step(driven, state)
        outputs.append(state)
    return torch.cat(outputs), torch.cat([state, *reversed(ended)])


def backwards(
    cell: AnalogCell, data: torch.Tensor, sizes: list[int], start: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a cell against time; sequences join as their end is reached."""
    state, outputs = start[: sizes[-1]], []
    for driven in reversed(cell.ih(data).split(sizes)):
        if len(driven) > len(state):
            state = torch.cat([state, start[len(state) : len(driven)]])
        state = cell.step(driven, state)
        outputs.append(state)
    return torch.cat(outputs[::-1]), state


class AnalogRNN(AnalogRecurrent):
    """Plain recurrent layers on analog tiles; arguments as in `AnalogRecurrent` and ``nonlinearity``.

    Examples
    --------
    >>> layer = AnalogRNN(3, 4, nonlinearity="relu", config=TileConfig("idealized_symmetric"))
    >>> layer(torch.zeros(7, 2, 3))[0].shape
    torch.Size([7, 2, 4])
    """

    cell_class = AnalogRNNCell

    @property
    def nonlinearity(self) -> str:
        """That of every cell."""
        return self.l0.nonlinearity


class AnalogLSTM(AnalogRecurrent):
    """Long short-term memory on analog tiles; arguments as in `AnalogRecurrent`.

    Examples
    --------
    >>> layer = AnalogLSTM(3, 4, bidirectional=True, config=TileConfig("idealized_symmetric"))
    >>> y, (h, c) = layer(torch.zeros(7, 2, 3))
    >>> y.shape, h.shape
    (torch.Size([7, 2, 8]), torch.Size([2, 2, 4]))
    """

    cell_class = AnalogLSTMCell


class AnalogGRU(AnalogRecurrent):
    """Gated recurrent units on analog tiles; arguments as in `AnalogRecurrent`.

    Examples
    --------
    >>> layer = AnalogGRU(3, 4, num_layers=2, config=TileConfig("idealized_symmetric"))
    >>> layer(torch.zeros(7, 2, 3))[1].shape
    torch.Size([2, 2, 4])
    """

    cell_class = AnalogGRUCell
