# SPDX-License-Identifier: Apache-2.0
"""Inputs as pulse widths: what wires cost then, and a readout in time with segmented wires. docs/physics/circuit.md, 2.

A column of differential pairs is held at the rest voltage of its rows. While an input is on, one row of its pair is
above rest and the other below, by the same swing; the charge that flows is the product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag, Model, Quantity
from engine.tiles import irdrop
from engine.tiles.arrays import not_negative, real, whole

CODINGS = ("amplitude", "pwm_grounded", "pwm_floating")
_SOURCE = "aihwkit 1.2.0, time-stepped IR drop"


def coded(
    conductances: ArrayLike,
    inputs: ArrayLike,
    wire_resistance: float,
    coding: str = "amplitude",
    *,
    steps: int = 16,
) -> np.ndarray:
    """Return mean currents ``(batch, out)`` of column wires, siemens, for inputs as voltages or as pulse widths.

    Parameters
    ----------
    conductances : array_like
        ``(out, in)``, siemens; negative as in `engine.tiles.irdrop`.
    inputs : array_like
        ``(batch, in)``, in [-1, 1]: the voltage, or the share of the time that a row is on, with its sign.
    wire_resistance : float
        Of one segment, ohm.
    coding : {"amplitude", "pwm_grounded", "pwm_floating"}
        How a row rests: "grounded" at the sense node's potential, "floating" cut off.
    steps : int
        Times at which the loss with floating rows is looked at; the two others need none.

    Returns
    -------
    numpy.ndarray

    Notes
    -----
    Grounded rows load the wires as driven ones do, so the array is linear at all times and the charge is exactly that
    of amplitudes. Floating rows do not load them: less is lost.

    Examples
    --------
    >>> g, x = [[1.0, 1.0]], [[1.0, 0.5]]
    >>> coded(g, x, 0.1), coded(g, x, 0.1, "pwm_grounded"), coded(g, x, 0.1, "pwm_floating").round(4)
    (array([[1.22137405]]), array([[1.22137405]]), array([[1.2561]]))
    """
    if coding not in CODINGS:
        raise ParameterError(say("coding", coding, "is not one of the options", ", ".join(CODINGS), "Choose one."))
    if coding != "pwm_floating":
        return irdrop.ladder(conductances, inputs, wire_resistance, voltages=False).currents
    g, x, r = irdrop.operands(conductances, inputs, wire_resistance)
    if steps < 1 or np.abs(x).max(initial=0.0) > 1:
        text = say("inputs", float(np.abs(x).max(initial=0.0)), "must be shares of the time", "[-1, 1]", "Scale them.")
        raise ParameterError(text if steps >= 1 else say("steps", steps, "must be positive", "1, 2, ...", "Use 16."))
    times = (np.arange(steps) + 0.5) / steps
    # Only the loss is sampled in time: the product itself stays free of the grid.
    return x @ g.T - np.mean([_loss_of(g, np.sign(x) * (np.abs(x) > t), r) for t in times], axis=0)


def _loss_of(g: np.ndarray, on: np.ndarray, r: float) -> np.ndarray:
    """Return what currents ``(batch, out)`` lose while the rows that are ``on`` (+1, -1) are all there is."""
    devices = ((np.abs(on[:, j : j + 1] * g[:, j]), on[:, j : j + 1] * g[:, j]) for j in reversed(range(g.shape[1])))
    return on @ g.T - irdrop.Beyond.of(devices, r).through(r)


@dataclass
class _Phase:
    """Pulse widths ``(batch, in)`` of one phase, its number of time steps, and what its charge counts."""

    widths: np.ndarray
    steps: int
    factor: int


class PulseReadout(Model):
    """Product of pairs of devices by charge: inputs are whole numbers of time steps, wires are cut into segments.

    Reads :math:`y = \\sum_j (g^+_j - g^-_j) x_j` in units of conductance times input; each phase is integrated as the
    plain sum over its time steps, so that without wires, clamp error and counter it is exact.

    Examples
    --------
    >>> readout = PulseReadout(wire_resistance=0.0, segments=1)
    >>> readout.product([[20e-6, 0.0]], [[0.0, 5e-6]], [[127, -127]]) * 1e6
    array([[3175.]])
    """

    # fmt: off
    wire_resistance = Quantity(0.15, bounds=(0, None), softbounds=(0, 2), unit="ohm", group="Wires", source=_SOURCE,
                               doc="Resistance of a column's wire between neighbouring rows.")
    segments = Quantity(8, bounds=(0, None), softbounds=(0, 32), integer=True, group="Wires", source=_SOURCE,
                        doc="Parts of a wire whose devices are taken together at their middle; 0 solves each device.")
    alternate_ends = Flag(False, group="Wires", source=_SOURCE,
                          doc="Odd columns are sensed at the other end of their wire.")
    mode = Choice("one_pass", ("one_pass", "pos_neg", "split", "bit_wise"), group="Input", source=_SOURCE,
                  doc="All widths at once, positive and negative ones in turn, upper and lower bits in turn, or each "
                      "bit in a phase of its own.")
    input_bits = Quantity(8, bounds=(2, 16), softbounds=(2, 10), integer=True, unit="bit", group="Input",
                          source="assumed: aihwkit 1.2.0 has 254 steps",
                          doc="Bits of an input with its sign; the largest is 2^(bits-1) - 1 time steps.")
    split_bits = Quantity(3, bounds=(1, 15), softbounds=(1, 6), integer=True, unit="bit", group="Input",
                          source=_SOURCE, doc="Lower bits that are a phase of their own in mode 'split'.")
    swing = Quantity(0.2, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.05, 0.5), unit="V",
                     group="Circuit", source=_SOURCE, doc="How far a row that is on is from the rest voltage.")
    v_clamp_error = Quantity(0.0, softbounds=(-5e-3, 5e-3), unit="V", group="Circuit", source="assumed: exact clamp",
                             doc="Voltage of the sense node less the rest voltage of the rows.")
    time_step = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 10), unit="ns",
                         group="Circuit", source="assumed", doc="Width of the smallest pulse.")
    counter_frequency = Quantity(0.0, bounds=(0, None), softbounds=(0, 10), unit="GHz", group="Circuit",
                                 source="assumed: off; aihwkit 1.2.0 has 6.24 GHz",
                                 doc="Oscillator at 100 uA whose whole periods are counted as the charge; 0 is off.")
    # fmt: on

    @property
    def largest(self) -> int:
        """The largest input, in time steps."""
        return 2 ** (int(self.input_bits) - 1) - 1

    def check(self) -> None:
        """Raise `ParameterError` where the lower part has as many bits as the whole input."""
        super().check()
        if self.mode == "split" and self.split_bits >= self.input_bits - 1:
            allowed = f"1 .. {int(self.input_bits) - 2}"
            text = say("PulseReadout.split_bits", self.split_bits, "leaves no upper bits", allowed, "Take fewer.")
            raise ParameterError(text)

    def product(self, plus: ArrayLike, minus: ArrayLike, inputs: ArrayLike) -> np.ndarray:
        """Return the products ``(batch, out)``, siemens times time steps.

        Parameters
        ----------
        plus, minus : array_like
            ``(out, in)``, conductances of the pairs, siemens.
        inputs : array_like
            ``(batch, in)``, whole time steps with sign, at most `largest`.

        Raises
        ------
        ParameterError
            An input that is not a whole number of steps or too long; segments that do not divide the rows.
        """
        column = _Column.of(self, plus, minus)
        phases = self._phases(whole(inputs, "inputs", self.largest))
        return sum(p.factor * self._counted(self._charge(column, p)) for p in phases) / self.swing

    def currents(self, plus: ArrayLike, minus: ArrayLike, inputs: ArrayLike) -> np.ndarray:
        """Return the current of each column in time, ``(batch, out, steps)``, amperes; phases follow one another."""
        column = _Column.of(self, plus, minus)
        phases = self._phases(whole(inputs, "inputs", self.largest))
        at = [np.sign(p.widths) * (np.abs(p.widths) > t) for p in phases for t in range(p.steps)]
        return np.stack([column.current(self.swing * on, self.v_clamp_error) for on in at], -1)

    def _charge(self, column: _Column, phase: _Phase) -> np.ndarray:
        """Return the sum of the currents over the steps; the wires are linear, so the mean voltages give it at once."""
        mean = self.swing * phase.widths / phase.steps
        return phase.steps * column.current(mean, self.v_clamp_error)

    def _counted(self, charge: np.ndarray) -> np.ndarray:
        if not self.counter_frequency:
            return charge
        per_count = 100e-6 / (self.counter_frequency * self.time_step)  # amperes times steps
        return np.trunc(charge / per_count) * per_count

    def _phases(self, x: np.ndarray) -> Iterator[_Phase]:
        size, sign = np.abs(x), np.sign(x)
        if self.mode == "one_pass":
            yield _Phase(x, self.largest, 1)
        elif self.mode == "pos_neg":
            yield from (_Phase(part, self.largest, 1) for part in (np.maximum(x, 0), np.minimum(x, 0)))
        elif self.mode == "split":
            low = 2 ** int(self.split_bits)
            yield _Phase(sign * (size % low), low - 1, 1)
            yield _Phase(sign * (size // low), self.largest // low, low)
        else:
            for bit in range(int(self.input_bits) - 1):
                yield _Phase(sign * (size >> bit & 1), 1, 2**bit)


@dataclass
class _Column:
    """Columns as segments, the farthest first: what they load ``(out,)``, and how they are driven.

    ``loads`` is ``(segments, out)``; ``pairs`` ``(segments, out, rows)`` holds g+ - g-, ``both`` g+ + g-.
    """

    pairs: np.ndarray
    loads: np.ndarray
    joint: float
    first: float
    turned: np.ndarray

    @staticmethod
    def of(readout: PulseReadout, plus: ArrayLike, minus: ArrayLike) -> _Column:
        g = real(plus, "plus", {"out": None, "in": None})
        h = real(minus, "minus", {"out": g.shape[0], "in": g.shape[1]})
        not_negative(min(g.min(initial=0.0), h.min(initial=0.0)), "conductance", "S")
        outs, rows = g.shape
        segments = int(readout.segments) or rows
        if rows % segments:
            text = say("PulseReadout.segments", segments, "must divide the rows", f"divisors of {rows}", "Use 0 or 1.")
            raise ParameterError(text)
        turned = np.arange(outs) % 2 == 1 if readout.alternate_ends else np.zeros(outs, bool)
        joint = readout.wire_resistance * rows / segments
        # The devices of a segment sit at its middle; single devices have a whole segment of wire before the first.
        first = joint / 2 if readout.segments else joint
        pairs, both = (_ends(a, turned).reshape(outs, segments, -1).transpose(1, 0, 2) for a in (g - h, g + h))
        return _Column(pairs[::-1], both.sum(-1)[::-1], joint, first, turned)

    def current(self, voltages: np.ndarray, clamp_error: float) -> np.ndarray:
        """Return the currents ``(batch, out)``, amperes, for row voltages ``(batch, in)`` from rest, volts."""
        segments = len(self.loads)
        v = np.stack([voltages[:, ::-1], voltages])[(~self.turned).astype(int)]  # (out, batch, in)
        parts = v.reshape(len(self.turned), len(voltages), segments, -1)[:, :, ::-1]
        drives = np.einsum("obsr,sor->sbo", parts, self.pairs) - clamp_error * self.loads[:, None]
        return irdrop.Beyond.of(zip(self.loads, drives, strict=True), self.joint).through(self.first)


def _ends(g: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Return ``g`` with the rows of ``turned`` columns in reverse, so that device 0 is always nearest."""
    return np.where(turned[:, None], g[:, ::-1], g)
