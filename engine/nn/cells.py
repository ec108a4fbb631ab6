# SPDX-License-Identifier: Apache-2.0
"""Recurrent cells on two analog products: one of the input, one of the last state."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from engine.errors import ParameterError, ShapeError, near_miss, say
from engine.nn.core import AnalogCore
from engine.rng import derive_seed
from engine.tiles import TileConfig

State = torch.Tensor | tuple[torch.Tensor, ...]


class AnalogCell(torch.nn.Module):
    """What the cells share: ``ih`` of ``(gates * hidden, input)`` and ``hh`` of ``(gates * hidden, hidden)``.

    Parameters
    ----------
    input_size, hidden_size : int
    bias : bool
        Both products have a bias, as in torch.
    config : TileConfig
    seed : int
        Fixes every draw of the tiles and the initial weights.

    Notes
    -----
    Order of the gates and initial weights, uniform in ``+-1/sqrt(hidden_size)``, are torch's. The gates themselves are
    digital. Where a cell runs over time, the updates of ``hh`` come in the order of the backward pass, the last
    step first; those of ``ih`` in the order of time.
    """

    gates: ClassVar[int]
    states: ClassVar[int] = 1

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, *, config: TileConfig, seed: int = 0):
        super().__init__()
        for name, size in (("input_size", input_size), ("hidden_size", hidden_size)):
            if isinstance(size, bool) or not isinstance(size, int) or size < 1:
                field = f"{type(self).__name__}.{name}"
                raise ParameterError(say(field, size, "must be a whole number", "1, 2, ...", "Give at least 1."))
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows, limit = self.gates * hidden_size, 1 / math.sqrt(hidden_size)
        for name, columns in (("ih", input_size), ("hh", hidden_size)):
            core = AnalogCore(columns, rows, bias, config=config, seed=derive_seed(seed, name), limit=limit)
            self.add_module(name, core)

    def step(self, driven: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the next state ``(batch, states * hidden)`` from the input's product ``(batch, gates * hidden)``."""
        raise NotImplementedError(f"{type(self).__name__}.step: a cell must define it.")

    def forward(self, x: torch.Tensor, hx: State | None = None) -> State:
        """Return the next state for ``(batch, input)`` or ``(input,)``, as torch's cell does."""
        if x.dim() == 1:
            given = None if hx is None else _each(hx, lambda part: part[None])
            return _each(self.forward(x[None], given), lambda part: part[0])
        start = self.joined(hx, x)
        return self.parted(self.step(self.ih(x), start))

    def joined(self, hx: State | None, x: torch.Tensor) -> torch.Tensor:
        """Return a state as one tensor ``(batch, states * hidden)``; zero if none is given."""
        if hx is None:
            return x.new_zeros(len(x), self.states * self.hidden_size)
        parts = (hx,) if isinstance(hx, torch.Tensor) else tuple(hx)
        expected = (len(x), self.hidden_size)
        if len(parts) != self.states or any(tuple(p.shape) != expected for p in parts):
            raise ShapeError(
                f"{type(self).__name__}, hx: got {[tuple(p.shape) for p in parts]}, expected {self.states} of "
                f"(batch={expected[0]}, hidden={expected[1]}). Check the axes' order."
            )
        return torch.cat(parts, 1)

    def parted(self, state: torch.Tensor) -> State:
        """Return a state as torch's cell does: a tensor, or a tuple of several."""
        return state if self.states == 1 else tuple(state.chunk(self.states, -1))

    def extra_repr(self) -> str:
        """Return the cell's size for ``print(model)``."""
        return f"{self.input_size}, {self.hidden_size}, bias={self.bias}"


def _each(state: State, change) -> State:
    return change(state) if isinstance(state, torch.Tensor) else tuple(map(change, state))


class AnalogRNNCell(AnalogCell):
    r"""A plain recurrent cell, :math:`h' = \tanh(W_{ih} x + b_{ih} + W_{hh} h + b_{hh})`.

    Parameters
    ----------
    nonlinearity : {"tanh", "relu"}
        Others as in `AnalogCell`.

    Examples
    --------
    >>> cell = AnalogRNNCell(3, 4, config=TileConfig("idealized_symmetric"))
    >>> cell(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        config: TileConfig,
        seed: int = 0,
    ):
        super().__init__(input_size, hidden_size, bias, config=config, seed=seed)
        if nonlinearity not in ("tanh", "relu"):
            hint = near_miss(str(nonlinearity), ("tanh", "relu")).strip() or "Choose one of these."
            raise ParameterError(say("AnalogRNNCell.nonlinearity", nonlinearity, "is unknown", "tanh, relu", hint))
        self.nonlinearity = nonlinearity

    def step(self, driven: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the next state ``(batch, hidden)``."""
        return getattr(torch, self.nonlinearity)(driven + self.hh(state))


class AnalogLSTMCell(AnalogCell):
    r"""A long short-term memory cell with gates i, f, g, o; its state is ``(h, c)``.

    .. math:: c' = \sigma(f) c + \sigma(i) \tanh(g), \quad h' = \sigma(o) \tanh(c')

    Examples
    --------
    >>> cell = AnalogLSTMCell(3, 4, config=TileConfig("idealized_symmetric"))
    >>> h, c = cell(torch.zeros(2, 3))
    >>> h.shape
    torch.Size([2, 4])
    """

    gates = 4
    states = 2

    def step(self, driven: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the next h and c beside each other, ``(batch, 2 * hidden)``."""
        h, c = state.chunk(2, 1)
        i, f, g, o = (driven + self.hh(h)).chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return torch.cat([o.sigmoid() * c.tanh(), c], 1)


class AnalogGRUCell(AnalogCell):
    r"""A gated recurrent unit with gates r, z, n.

    .. math:: n = \tanh(x_n + \sigma(r)\, h_n), \quad h' = (1 - \sigma(z))\, n + \sigma(z)\, h

    Examples
    --------
    >>> cell = AnalogGRUCell(3, 4, config=TileConfig("idealized_symmetric"))
    >>> cell(torch.zeros(2, 3)).shape
    torch.Size([2, 4])
    """

    gates = 3

    def step(self, driven: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """Return the next state ``(batch, hidden)``."""
        r, z, n = zip(driven.chunk(3, 1), self.hh(state).chunk(3, 1), strict=True)
        keep = (z[0] + z[1]).sigmoid()
        new = (n[0] + (r[0] + r[1]).sigmoid() * n[1]).tanh()
        return (1 - keep) * new + keep * state
