# SPDX-License-Identifier: Apache-2.0
"""Nodal analysis of a whole array: row wires, column wires, and the resistance of drivers and sense amplifiers.

Two nodes at each crosspoint, one on each wire, with the device between them. Column 0 is nearest to the drivers, row 0
nearest to the sense nodes; a segment of wire lies before the first device and between neighbours. Inputs and voltages
are fractions of the read voltage, currents are in siemens, as in `engine.tiles.irdrop`. Formulas:
docs/physics/circuit.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.tiles.arrays import not_negative
from engine.tiles.irdrop import Solution, operands

# Crosspoints that are solved at most: beyond, memory and time of the sparse factors grow faster than the array.
MOST_CROSSPOINTS = 256 * 256
_AT_ONCE = 32


def nodal(
    conductances: ArrayLike,
    inputs: ArrayLike,
    wire_resistance: float,
    *,
    row_resistance: float | None = None,
    source_resistance: float = 0.0,
    sense_resistance: float = 0.0,
) -> Solution:
    """Return currents and node voltages of an array whose rows and columns have resistance.

    Parameters
    ----------
    conductances : array_like
        ``(out, in)``, siemens, not negative.
    inputs : array_like
        ``(batch, in)``, fractions of the read voltage.
    wire_resistance : float
        Of one segment of a column, ohm.
    row_resistance : float or None
        Of one segment of a row, ohm; None is that of a column.
    source_resistance, sense_resistance : float
        Between driver and row, and between column and sense node, beside the first segment, ohm.

    Returns
    -------
    Solution
        With the voltages of rows and columns.

    Raises
    ------
    ParameterError
        A negative conductance or resistance, or more than `MOST_CROSSPOINTS`.

    Notes
    -----
    A sparse symmetric matrix with up to two unknowns for each crosspoint is factored once for all inputs. Wires of no
    resistance are one node.

    Examples
    --------
    One device of 1 S, with 0.25 ohm in its row and in its column.

    >>> nodal([[1.0]], [[1.0]], 0.25).currents.round(6)
    array([[0.666667]])
    """
    g, x, _ = operands(conductances, inputs, wire_resistance)
    return _Network.of(g, wire_resistance, row_resistance, source_resistance, sense_resistance).solve(x)


def effective(
    conductances: ArrayLike,
    wire_resistance: float,
    *,
    row_resistance: float | None = None,
    source_resistance: float = 0.0,
    sense_resistance: float = 0.0,
) -> np.ndarray:
    """Return the conductances ``(out, in)`` of an array without wires that gives the same currents for all inputs.

    Arguments and errors are those of `nodal`. Wires are linear, so one solution with each input alone says it all.

    Examples
    --------
    >>> effective([[1.0, 1.0]], 0.25, row_resistance=0.0).round(4)
    array([[0.6897, 0.5517]])
    """
    g, alone, _ = operands(conductances, np.eye(np.shape(conductances)[-1]), wire_resistance)
    network = _Network.of(g, wire_resistance, row_resistance, source_resistance, sense_resistance)
    # Some inputs at a time: the potentials of all at once would take more memory than the factors.
    parts = [network.solve(alone[k : k + _AT_ONCE]).currents for k in range(0, len(alone), _AT_ONCE)]
    return np.concatenate(parts).T if parts else g


def _check(g: np.ndarray) -> None:
    if g.size > MOST_CROSSPOINTS:
        remedy = "Split it into smaller arrays, or use the ladder, which takes any size but has ideal rows."
        allowed = f"at most {MOST_CROSSPOINTS} crosspoints"
        raise ParameterError(say("conductances", g.shape, "is too large for nodal analysis", allowed, remedy))
    if (g < 0).any():
        remedy = "Solve the positive and the negative devices of a pair as two arrays and subtract the currents."
        lowest = float(g.min())
        raise ParameterError(say("conductances", lowest, "must not be negative", "[0, inf)", remedy, unit="S"))


@dataclass
class _Wires:
    """All wires of one direction: node numbers ``(wires, devices)``, and resistors ``(from, to, siemens)`` along them.

    Nodes ``0 .. count-1`` belong to the wires, node ``count + k`` is the terminal of wire k.
    """

    nodes: np.ndarray
    count: int
    resistors: tuple[np.ndarray, np.ndarray, np.ndarray]

    @staticmethod
    def of(shape: tuple[int, int], segment: float, terminal: float) -> _Wires:
        wires, devices = shape
        if segment > 0:
            return _Wires._grained(wires, devices, segment, terminal)
        if terminal > 0:  # each wire is one node
            one = np.arange(wires)
            return _Wires(np.repeat(one[:, None], devices, 1), wires, (one, one + wires, np.full(wires, 1 / terminal)))
        nothing = np.empty(0, int)
        return _Wires(np.repeat(np.arange(wires)[:, None], devices, 1), 0, (nothing, nothing, np.empty(0)))

    @staticmethod
    def _grained(wires: int, devices: int, segment: float, terminal: float) -> _Wires:
        nodes = np.arange(wires * devices).reshape(wires, devices)
        ends = nodes.size + np.arange(wires)
        start = np.concatenate([nodes[:, :-1].ravel(), nodes[:, 0]])
        end = np.concatenate([nodes[:, 1:].ravel(), ends])
        between = np.full(wires * (devices - 1), 1 / segment)
        return _Wires(nodes, nodes.size, (start, end, np.append(between, np.full(wires, 1 / (segment + terminal)))))


@dataclass
class _Network:
    """An array as a network, factored. Nodes: rows, drivers, columns, sense nodes, in this order.

    ``first`` is the number of the first driver, ``second`` that of the first node of a column.
    """

    g: np.ndarray
    rows: _Wires
    columns: _Wires
    first: int
    second: int
    free: np.ndarray
    laplacian: Any
    factors: Any

    @staticmethod
    def of(g: np.ndarray, segment: float, row: float | None, source: float, sense: float) -> _Network:
        _check(g)
        column = not_negative(segment, "wire_resistance", "ohm")
        row = column if row is None else not_negative(row, "row_resistance", "ohm")
        rows = _Wires.of(g.T.shape, row, not_negative(source, "source_resistance", "ohm"))
        columns = _Wires.of(g.shape, column, not_negative(sense, "sense_resistance", "ohm"))
        second = rows.count + g.shape[1]
        free = np.concatenate([np.arange(rows.count), second + np.arange(columns.count)])
        laplacian = _laplacian(*_resistors(g, rows, columns, second), second + columns.count + len(g))[free]
        factors = _factored(laplacian[:, free]) if free.size else None
        return _Network(g, rows, columns, rows.count, second, free, laplacian, factors)

    def solve(self, x: np.ndarray) -> Solution:
        potentials = np.zeros((len(x), self.laplacian.shape[1]))
        potentials[:, self.first : self.second] = x
        if self.factors is not None:
            potentials[:, self.free] = self.factors.solve(-(self.laplacian @ potentials.T)).T
        above, below = potentials[:, self.rows.nodes.T], potentials[:, self.columns.nodes + self.second]
        return Solution((self.g * (above - below)).sum(-1), below, above)


def _resistors(g: np.ndarray, rows: _Wires, columns: _Wires, second: int) -> list[np.ndarray]:
    """Return from, to and siemens of all resistors: rows, columns, devices."""
    start = [rows.resistors[0], columns.resistors[0] + second, rows.nodes.T.ravel()]
    end = [rows.resistors[1], columns.resistors[1] + second, columns.nodes.ravel() + second]
    siemens = [rows.resistors[2], columns.resistors[2], g.ravel()]
    return [np.concatenate(parts) for parts in (start, end, siemens)]


def _laplacian(start: np.ndarray, end: np.ndarray, siemens: np.ndarray, size: int) -> Any:
    from scipy.sparse import coo_array  # here: the rest of the engine does without scipy

    values = np.concatenate([siemens, siemens, -siemens, -siemens])
    i = np.concatenate([start, end, start, end])
    j = np.concatenate([start, end, end, start])
    return coo_array((values, (i, j)), shape=(size, size)).tocsc()


def _factored(matrix: Any) -> Any:
    from scipy.sparse.linalg import splu

    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
