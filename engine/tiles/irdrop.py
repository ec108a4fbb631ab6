# SPDX-License-Identifier: Apache-2.0
"""Voltage lost along the column wires of an array: fast model, repeated sweeps, and the exact ladder.

One column wire carries N devices. Device 0 is nearest to the sense node; one segment of wire lies before it and one
between neighbours. Inputs reach the devices without loss (`engine.tiles.nodal` has row wires too). Inputs and voltages
are fractions of the read voltage, so currents are in siemens: multiply by the read voltage. Any consistent units do:
weights of at most 1 with a resistance in units of 1 / g_max, for instance.

A negative conductance stands for a device of that size whose input is inverted. Formulas: docs/physics/circuit.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.tiles.arrays import not_negative, real

# Load up to which the polynomial of the fast model follows the exact loss of a uniform column within 5 %.
FAST_LIMIT = 2.0
# Load of a whole column, all inputs on, up to which a sweep makes the error of `sweeps` smaller by half or more.
SWEEP_LIMIT = 1.0


@dataclass
class Solution:
    """What an array with wires does to its inputs.

    Attributes
    ----------
    currents : numpy.ndarray
        ``(batch, out)``, siemens (amperes per volt of read voltage).
    column_voltages : numpy.ndarray or None
        ``(batch, out, in)``, voltage of the column wire at each device, as a fraction of the read voltage.
    row_voltages : numpy.ndarray or None
        ``(batch, out, in)``, voltage of the row wire at each device, likewise; None where rows are ideal.
    """

    currents: np.ndarray
    column_voltages: np.ndarray | None = None
    row_voltages: np.ndarray | None = None


def operands(
    conductances: ArrayLike, inputs: ArrayLike, wire_resistance: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the three arguments of every model, checked: ``(out, in)``, ``(batch, in)``, ohm."""
    g = real(conductances, "conductances", {"out": None, "in": None})
    x = real(inputs, "inputs", {"batch": None, "in": g.shape[1]})
    return g, x, not_negative(wire_resistance, "wire_resistance", "ohm")


def ideal(conductances: ArrayLike, inputs: ArrayLike, wire_resistance: float = 0.0) -> Solution:
    """Return the currents without any loss, :math:`I_i = \\sum_j g_{ij} x_j`; the resistance is not used."""
    g, x, _ = operands(conductances, inputs, wire_resistance)
    return Solution(x @ g.T, np.zeros((len(x), *g.shape)))


def loads(conductances: ArrayLike, inputs: ArrayLike, wire_resistance: float) -> np.ndarray:
    r"""Return the load of each column, :math:`a_i = N r \sum_j |g_{ij} x_j|`, ``(batch, out)``, a pure number.

    Examples
    --------
    >>> loads([[12.5e-6] * 512], [[1.0] * 512], 0.35).round(4)
    array([[1.1469]])
    """
    g, x, r = operands(conductances, inputs, wire_resistance)
    return g.shape[1] * r * (np.abs(x) @ np.abs(g).T)


def is_valid(conductances: ArrayLike, inputs: ArrayLike, wire_resistance: float) -> np.ndarray:
    """Return where the fast model may be used, bool ``(batch, out)``: a load below `FAST_LIMIT`.

    Notes
    -----
    Inside the limit it is right for a uniform column with equal inputs. For other inputs it weighs every product by
    its input once more, and finds about half of the loss: docs/physics/circuit.md, 1.5.
    """
    return loads(conductances, inputs, wire_resistance) < FAST_LIMIT


def fast(conductances: ArrayLike, inputs: ArrayLike, wire_resistance: float, *, voltages: bool = True) -> Solution:
    r"""Return the polynomial model that `engine.tiles.Tile` uses in its products.

    .. math:: I_i = \sum_j g_{ij} x_j (1 - c_i (1 - (1 - j/N)^2)),\quad c_i = a_i (0.05 a_i^2 - 0.2 a_i + 0.5)

    Parameters
    ----------
    conductances : array_like
        ``(out, in)``, siemens.
    inputs : array_like
        ``(batch, in)``, fractions of the read voltage, in [-1, 1]: unlike the exact models this one is not linear.
    wire_resistance : float
        Of one segment, ohm.
    voltages : bool
        Return the node voltages too.

    Returns
    -------
    Solution
        Currents, and the voltages that the model implies.

    Warns
    -----
    UserWarning
        A column's load is beyond `FAST_LIMIT`.

    References
    ----------
    aihwkit 1.2.0, option ``ir_drop`` with its factor 1; polynomial and position of the sense node are the same.

    Examples
    --------
    >>> fast([[0.5] * 512], [[1.0] * 512], 1 / 571428.57).currents.round(4)
    array([[238.1457]])
    """
    g, x, r = operands(conductances, inputs, wire_resistance)
    a = loads(g, x, r)
    _warn_of_load(a)
    profile = 1 - (1 - np.arange(g.shape[1]) / g.shape[1]) ** 2
    loss = a * (0.05 * a**2 - 0.2 * a + 0.5)
    currents = x @ g.T - loss * ((x * profile) @ g.T)
    # The sign of a device is in its input, so the voltage it sees at the wire carries it too.
    seen = loss[:, :, None] * (np.sign(g)[None] * (x * profile)[:, None, :]) if voltages else None
    return Solution(currents, seen)


def _warn_of_load(a: np.ndarray) -> None:
    worst = float(a.max(initial=0.0))
    if worst >= FAST_LIMIT:
        remedy = "Use the ladder, or less resistance, or fewer inputs."
        text = say("load of a column", worst, "the fast model is not valid", f"below {FAST_LIMIT:g}", remedy)
        warnings.warn(text, stacklevel=3)


def sweeps(conductances: ArrayLike, inputs: ArrayLike, wire_resistance: float, count: int = 2) -> Solution:
    r"""Return the currents after ``count`` sweeps: voltages from currents, then currents from voltages.

    .. math:: V_{ij} = r \sum_k (\min(j, k) + 1) g_{ik} (x_k - V_{ik})

    One sweep is exact to first order in the resistance. The error changes its sign and shrinks by about
    :math:`4 \kappa / \pi^2` each time, :math:`\kappa = N r \sum_j |g_{ij}|`.

    Raises
    ------
    ParameterError
        :math:`\kappa` of a column is `SWEEP_LIMIT` or more, or ``count`` is not positive.
    """
    g, x, r = operands(conductances, inputs, wire_resistance)
    if count < 1:
        raise ParameterError(say("count", count, "must be positive", "1, 2, ...", "Make at least one sweep."))
    kappa = float((g.shape[1] * r * np.abs(g).sum(1)).max(initial=0.0))
    if kappa >= SWEEP_LIMIT:
        limit = f"below {SWEEP_LIMIT:g}"
        raise ParameterError(say("load of a column", kappa, "sweeps converge badly", limit, "Use the ladder."))
    voltages = np.zeros((len(x), *g.shape))
    for _ in range(count):
        currents = g * x[:, None, :] - np.abs(g) * voltages
        beyond = currents[..., ::-1].cumsum(-1)[..., ::-1]  # through each segment flows what enters farther away
        voltages = r * beyond.cumsum(-1)
    return Solution((g * x[:, None, :] - np.abs(g) * voltages).sum(-1), voltages)


def ladder(
    conductances: ArrayLike,
    inputs: ArrayLike,
    wire_resistance: float,
    *,
    sense_resistance: float = 0.0,
    voltages: bool = True,
) -> Solution:
    r"""Return the exact solution of the column wires, in O(N) for each column and vector.

    .. math:: (V_{j-1} - V_j)/r + (V_{j+1} - V_j)/r + g_j (x_j - V_j) = 0

    Solved from the far end: all beyond node j is one conductance :math:`G_j` and one current source :math:`i_j`, with
    :math:`f_j = 1/(1 + r G_j)`, :math:`G_j = g_j + f_{j+1} G_{j+1}`, :math:`i_j = g_j x_j + f_{j+1} i_{j+1}`. Only sums
    of positive numbers occur, so nothing cancels, and r = 0 needs no special case.

    Parameters
    ----------
    conductances : array_like
        ``(out, in)``, siemens.
    inputs : array_like
        ``(batch, in)``, fractions of the read voltage.
    wire_resistance : float
        Of one segment, ohm.
    sense_resistance : float
        Between the end of the wire and the sense node, beside the first segment, ohm.
    voltages : bool
        Return the node voltages too; without them memory is that of the currents.

    Returns
    -------
    Solution

    Examples
    --------
    >>> ladder([[25e-6] * 128], [[1.0] * 128], 0.15).currents / (128 * 25e-6)
    array([[0.97978005]])
    """
    g, x, r = operands(conductances, inputs, wire_resistance)
    first = r + not_negative(sense_resistance, "sense_resistance", "ohm")
    devices = ((np.abs(g[:, j]), x[:, j : j + 1] * g[:, j]) for j in reversed(range(g.shape[1])))
    beyond = Beyond.of(devices, r, keep=voltages)
    currents = beyond.through(first)
    return Solution(currents, beyond.back(currents * first, r) if voltages else None)


@dataclass
class Beyond:
    """All that hangs on a wire from its nearest device on: one conductance, and one current source beside it.

    Attributes
    ----------
    load : numpy.ndarray
        Conductance, ``(out,)`` or a shape that broadcasts against that of ``source``, siemens.
    source : numpy.ndarray
        ``(batch, out)``, siemens times fractions of the read voltage.
    steps : list
        Load and source at each device, from far to near, if kept.
    """

    load: np.ndarray
    source: np.ndarray
    steps: list[tuple[np.ndarray, np.ndarray]]

    @staticmethod
    def of(devices: Iterable[tuple[np.ndarray, np.ndarray]], r: float, *, keep: bool = False) -> Beyond:
        """Collect ``(conductance, source)`` of devices that are ``r`` ohm apart, the farthest first."""
        load, source, steps = np.zeros(()), np.zeros(()), []
        for g, current in devices:
            share = 1 / (1 + r * load)
            load, source = g + share * load, current + share * source
            if keep:
                steps.append((load, source))
        return Beyond(load, source, steps)

    def through(self, r: float) -> np.ndarray:
        """Return the currents into a sense node that is ``r`` ohm before the nearest device."""
        return self.source / (1 + r * self.load)

    def back(self, nearest: np.ndarray, r: float) -> np.ndarray:
        """Return the voltages ``(batch, out, in)`` from that at the nearest device ``(batch, out)``."""
        found = [nearest]
        for load, source in self.steps[-2::-1]:
            found.append((found[-1] + r * source) / (1 + r * load))
        return np.stack(found, -1)


def effective(conductances: ArrayLike, wire_resistance: float, *, sense_resistance: float = 0.0) -> np.ndarray:
    r"""Return the conductances ``(out, in)`` without wires that give the currents of `ladder` for all inputs.

    .. math:: \tilde g_j = g_j \prod_{m \le j} f_m

    Cost: O(out in), whatever the number of inputs that follow.

    Examples
    --------
    >>> effective([[1.0, 1.0]], 0.25).round(4)
    array([[0.6897, 0.5517]])
    """
    g, _, r = operands(conductances, np.empty((0, np.shape(conductances)[-1])), wire_resistance)
    first = r + not_negative(sense_resistance, "sense_resistance", "ohm")
    load, shares = np.zeros(len(g)), np.empty_like(g)
    for j in reversed(range(g.shape[1])):
        load = np.abs(g[:, j]) + load
        shares[:, j] = 1 / (1 + (r if j else first) * load)
        load = load * shares[:, j]
    return g * shares.cumprod(1)


def uniform_column(devices: int, conductance: float, wire_resistance: float) -> float:
    r"""Return what remains of the current of a column of equal devices, all inputs on: closed form of the ladder.

    .. math:: \frac{I}{N g} = \frac{1}{N g r}
              \left(1 - \frac{\cosh((N - 1/2)\theta)}{\cosh((N + 1/2)\theta)}\right),\quad 2\cosh\theta = 2 + g r

    Parameters
    ----------
    devices : int
    conductance : float
        Of each device, siemens.
    wire_resistance : float
        Of one segment, ohm.

    Examples
    --------
    >>> round(uniform_column(512, 25e-6, 0.35), 6)
    0.598554
    """
    n, s = devices, conductance * wire_resistance
    if s == 0:
        return 1.0
    theta = 2 * np.arcsinh(np.sqrt(s) / 2)  # of arccosh(1 + s/2), without its loss of digits at small s
    # Written with falling exponentials only: cosh overflows for long wires.
    lower = 1 + np.exp(-(2 * n + 1) * theta)
    one_minus = (-np.expm1(-theta) + np.exp(-(2 * n + 1) * theta) - np.exp(-2 * n * theta)) / lower
    return float(one_minus / (n * s))


def uniform_column_continuum(devices: int, conductance: float, wire_resistance: float) -> float:
    r"""Return the same for a wire without grain, :math:`\tanh(\sqrt a)/\sqrt a`, :math:`a = N^2 g r`.

    Examples
    --------
    >>> round(uniform_column_continuum(512, 25e-6, 0.35), 6)
    0.599358
    """
    root = np.sqrt(devices**2 * conductance * wire_resistance)
    return float(np.tanh(root) / root) if root > 0 else 1.0
