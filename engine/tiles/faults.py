# SPDX-License-Identifier: Apache-2.0
"""Stuck devices: draws, detection, repair by the partner of a pair, and placement on better lines.

docs/physics/circuit.md, 6. A stuck device keeps its conductance whatever is written to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, ShapeError, say
from engine.quantity import Choice, Model, Quantity
from engine.tiles.arrays import fixed_uniforms, real

KINDS = ("healthy", "low", "high", "value", "random")
_SOURCE = "assumed (off)"


class StuckFaults(Model):
    """How many devices are stuck, where, and how: a device, or a whole line of them, is struck at most once.

    Examples
    --------
    >>> faults = StuckFaults(p_low=0.25, p_high=0.25, counts="exact").draw((4, 4), 1e-6, 25e-6, seed=3)
    >>> faults.report()["low"], faults.report()["high"], faults.report()["healthy"]
    (4, 4, 8)
    """

    # fmt: off
    p_low = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.1), group="Rates", source=_SOURCE,
                     doc="Probability to be stuck at the smallest conductance.")
    p_high = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.1), group="Rates", source=_SOURCE,
                      doc="Probability to be stuck at the largest conductance.")
    p_value = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.1), group="Rates", source=_SOURCE,
                       doc="Probability to be stuck at stuck_value.")
    p_random = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.1), group="Rates", source=_SOURCE,
                        doc="Probability to be stuck anywhere in the range, each at its own conductance.")
    stuck_value = Quantity(0.5, bounds=(0, 1), softbounds=(0, 1), group="Rates", source="assumed: middle of the range",
                           doc="Where devices stuck by p_value are, as a share of the range.")
    pattern = Choice("device", ("device", "row", "column"), group="Place", source="assumed: independent",
                     doc="Devices are struck one by one, or all of a row (an input) or of a column (an output).")
    counts = Choice("bernoulli", ("bernoulli", "exact"), group="Place", source="assumed",
                    doc="Each by chance, or as many as the rate says, rounded down.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for rates that add up to more than 1."""
        super().check()
        total = sum(self.rates())
        if total > 1 + 1e-12:
            raise ParameterError(say("StuckFaults rates", total, "add up to more than all", "[0, 1]", "Lower them."))

    def rates(self) -> tuple[float, ...]:
        """Return the four rates in the order of `KINDS`."""
        return self.p_low, self.p_high, self.p_value, self.p_random

    def draw(self, shape: tuple[int, int], g_min: float, g_max: float, *, seed: int, name: str = "") -> FaultMap:
        """Return the faults of one array.

        Parameters
        ----------
        shape : (int, int)
            ``(out, in)``.
        g_min, g_max : float
            Range of the devices, siemens.
        seed : int
            Of the chip.
        name : str
            Tells arrays of one chip apart.
        """
        places = {"device": shape, "row": (1, shape[1]), "column": (shape[0], 1)}[self.pattern]
        kinds = self._kinds(fixed_uniforms(seed, f"stuck {name}", *places))
        kinds = np.broadcast_to(kinds, shape).copy()
        anywhere = fixed_uniforms(seed, f"stuck value {name}", *shape)
        levels = np.choose(kinds, [0.0, 0.0, 1.0, self.stuck_value, anywhere])
        return FaultMap(kinds, g_min + (g_max - g_min) * levels)

    def _kinds(self, u: np.ndarray) -> np.ndarray:
        """Return the kind of each place from uniform draws of its shape: the smallest draws are struck."""
        edges = np.cumsum(self.rates())
        if self.counts == "exact":
            u = (u.ravel().argsort().argsort() + 1.0).reshape(u.shape)
            edges = np.cumsum(np.floor(np.array(self.rates()) * u.size + 1e-9))
        kinds = np.searchsorted(edges, u, side="left") + 1
        return np.where(kinds > len(edges), 0, kinds)


@dataclass
class FaultMap:
    """Which devices of an array are stuck.

    Attributes
    ----------
    kinds : numpy.ndarray
        ``(out, in)``, places in `KINDS`; 0 is healthy.
    values : numpy.ndarray
        ``(out, in)``, siemens; only those of stuck devices count.
    """

    kinds: np.ndarray
    values: np.ndarray

    @property
    def stuck(self) -> np.ndarray:
        """Where devices are stuck, bool ``(out, in)``."""
        return self.kinds > 0

    def apply(self, conductances: ArrayLike) -> np.ndarray:
        """Return what an array holds after ``conductances`` ``(out, in)`` were written, siemens."""
        g = real(conductances, "conductances", dict(zip(("out", "in"), self.kinds.shape, strict=True)))
        return np.where(self.stuck, self.values, g)

    def lines(self, which: np.ndarray) -> FaultMap:
        """Return the faults of some lines, in the order of ``which``."""
        return FaultMap(self.kinds[which], self.values[which])

    @property
    def turned(self) -> FaultMap:
        """The same with rows and columns exchanged."""
        return FaultMap(self.kinds.T, self.values.T)

    def report(self) -> dict[str, int | float]:
        """Return the number of devices of each kind, their share, lines that are stuck as a whole, and the worst."""
        stuck = self.stuck
        counts = np.bincount(self.kinds.ravel(), minlength=len(KINDS))
        return dict(zip(KINDS, map(int, counts), strict=True)) | {
            "share": float(stuck.mean()) if stuck.size else 0.0,
            "whole_rows": int(stuck.all(0).sum()),
            "whole_columns": int(stuck.all(1).sum()),
            "most_in_a_row": int(stuck.sum(0).max(initial=0)),
            "most_in_a_column": int(stuck.sum(1).max(initial=0)),
        }


def healthy(shape: tuple[int, int]) -> FaultMap:
    """Return the map ``(out, in)`` without a fault."""
    return FaultMap(np.zeros(shape, int), np.zeros(shape))


def detected(low: ArrayLike, high: ArrayLike, g_min: float, g_max: float, *, tolerance: float = 0.1) -> FaultMap:
    """Return the faults that two reads show: after the smallest conductance was written, and after the largest.

    A device is stuck if the reads differ by less than half the range; it is low or high if both lie within
    ``tolerance`` of the range from that end, else at a value.

    Parameters
    ----------
    low, high : array_like
        ``(out, in)``, the two reads, siemens.
    g_min, g_max : float
        What was written, siemens.
    tolerance : float
        Share of the range.

    Examples
    --------
    >>> detected([[1.0, 9.0, 5.2]], [[9.0, 9.1, 5.0]], 1.0, 9.0).kinds
    array([[0, 2, 3]])
    """
    first = real(low, "low", {"out": None, "in": None})
    second = real(high, "high", {"out": first.shape[0], "in": first.shape[1]})
    values, near = (first + second) / 2, tolerance * (g_max - g_min)
    kinds = np.where(np.abs(values - g_min) <= near, 1, np.where(np.abs(values - g_max) <= near, 2, 3))
    return FaultMap(np.where(second - first < (g_max - g_min) / 2, kinds, 0), values)


@dataclass
class Pair:
    """Targets of a differential pair ``(out, in)`` with their faults, and the range of the devices, siemens."""

    plus: np.ndarray
    minus: np.ndarray
    plus_faults: FaultMap
    minus_faults: FaultMap
    g_min: float
    g_max: float

    def __post_init__(self) -> None:
        if not self.plus.shape == self.minus.shape == self.plus_faults.kinds.shape == self.minus_faults.kinds.shape:
            shapes = [a.shape for a in (self.plus, self.minus, self.plus_faults.kinds, self.minus_faults.kinds)]
            raise ShapeError(
                f"Pair: got shapes {shapes}, expected four equal ones (out, in). Draw faults of that size."
            )

    def written(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what both arrays hold after the targets were written."""
        return self.plus_faults.apply(self.plus), self.minus_faults.apply(self.minus)

    def repaired(self) -> Pair:
        """Return the pair with the healthy partner of each stuck device set such that the difference is right.

        The partner stays in its range, so what is left of the error is that of a used device stuck low, and of a
        device stuck high on the side of the other sign.

        References
        ----------
        "Seizure Detection and Prediction by Parallel Memristive Convolutional Neural Networks", 2022: offsets in the
        writing after a verifying read, without training.
        """
        wanted = self.plus - self.minus
        up, down = self.plus_faults, self.minus_faults
        minus = np.where(up.stuck & ~down.stuck, up.values - wanted, self.minus)
        plus = np.where(down.stuck & ~up.stuck, down.values + wanted, self.plus)
        limited = (np.clip(g, self.g_min, self.g_max) for g in (plus, minus))
        return Pair(*limited, up, down, self.g_min, self.g_max)

    def error(self) -> np.ndarray:
        """Return the difference that the devices have less the one that the targets have, ``(out, in)``, siemens."""
        plus, minus = self.written()
        return plus - minus - (self.plus - self.minus)


def repair_report(pair: Pair) -> dict[str, int | float]:
    """Return how many weights have a stuck device, how many of them a repair sets right, and both errors.

    The errors are root mean squares of the difference of a pair, relative to that of its targets.
    """
    before, after = pair.error(), _error_after_repair(pair)
    concerned = pair.plus_faults.stuck | pair.minus_faults.stuck
    smallest = 1e-9 * (pair.g_max - pair.g_min)
    size = np.sqrt(((pair.plus - pair.minus) ** 2).mean())
    return {
        "concerned": int(concerned.sum()),
        "wrong_before": int((np.abs(before) > smallest).sum()),
        "wrong_after": int((np.abs(after) > smallest).sum()),
        "both_stuck": int((pair.plus_faults.stuck & pair.minus_faults.stuck).sum()),
        "error_before": float(np.sqrt((before**2).mean()) / size),
        "error_after": float(np.sqrt((after**2).mean()) / size),
    }


def _error_after_repair(pair: Pair) -> np.ndarray:
    plus, minus = pair.repaired().written()
    return plus - minus - (pair.plus - pair.minus)


def best_columns(
    plus: ArrayLike, minus: ArrayLike, plus_faults: FaultMap, minus_faults: FaultMap, g_min: float, g_max: float
) -> np.ndarray:
    """Return the physical column for each output such that the sum of squared errors, after repair, is smallest.

    Parameters
    ----------
    plus, minus : array_like
        ``(out, in)``, targets, siemens.
    plus_faults, minus_faults : FaultMap
        ``(columns, in)``: as many columns as outputs, or more; the ones beyond are spares.
    g_min, g_max : float
        Range of the devices, siemens.

    Returns
    -------
    numpy.ndarray
        int64 ``(out,)``, all different.

    Notes
    -----
    Optimal, by linear assignment. For rows (inputs) pass everything transposed (`FaultMap.turned`). Cost: out times
    columns times in.

    Examples
    --------
    >>> import numpy as np
    >>> bad = FaultMap(np.array([[1], [0]]), np.zeros((2, 1)))
    >>> best_columns([[5.0], [1.0]], [[0.0], [0.0]], bad, healthy((2, 1)), 0.0, 9.0)
    array([1, 0])
    """
    from scipy.optimize import linear_sum_assignment  # here: the rest of the engine does without scipy

    g, h = (real(a, "conductances", {"out": None, "in": None}) for a in (plus, minus))
    columns = len(plus_faults.kinds)
    if columns < len(g):
        allowed = f"at least {len(g)}"
        raise ParameterError(say("columns", columns, "are too few for the outputs", allowed, "Draw more."))
    cost = np.empty((len(g), columns))
    for column in range(columns):
        same = np.full(len(g), column)
        pair = Pair(g, h, plus_faults.lines(same), minus_faults.lines(same), g_min, g_max)
        cost[:, column] = (_error_after_repair(pair) ** 2).sum(1)
    return linear_sum_assignment(cost)[1]
