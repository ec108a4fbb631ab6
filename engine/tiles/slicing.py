# SPDX-License-Identifier: Apache-2.0
"""Weights and inputs of many bits from devices and phases of few: bit slices. docs/physics/circuit.md, 4."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, say
from engine.quantity import Model, Quantity
from engine.tiles.arrays import whole


def largest_of(bits: int) -> int:
    """Return the largest whole number of ``bits`` bits with sign, the smallest is minus it."""
    return 2 ** (bits - 1) - 1


def quantise(values: ArrayLike, limit: float, bits: int, name: str) -> np.ndarray:
    """Return ``values`` as whole numbers of ``bits`` bits with sign, int64; half way between two the even one.

    Parameters
    ----------
    values : array_like
        At most ``limit`` in magnitude.
    limit : float
        What the largest whole number stands for.
    bits : int
    name : str
        For the message.

    Raises
    ------
    ParameterError
        A value beyond the limit: nothing is clipped.

    Examples
    --------
    >>> quantise([0.5, -1.0, 0.1], 1.0, 4, "weights")
    array([ 4, -7,  1])
    """
    array = within(values, limit, name)
    return np.rint(array * (largest_of(bits) / limit)).astype(np.int64)


def within(values: ArrayLike, limit: float, name: str) -> np.ndarray:
    """Return ``values`` in double precision, or raise `ParameterError` if one is beyond ``limit`` in magnitude."""
    array = np.asarray(values, float)
    if (np.abs(array) > limit).any():
        worst = float(array.flat[np.abs(array).argmax()])
        remedy = "Scale or clip the values first, or raise the limit."
        raise ParameterError(say(name, worst, "is beyond the range", f"[-{limit:g}, {limit:g}]", remedy))
    return array


def digits(numbers: ArrayLike, bits: int, per_slice: int) -> np.ndarray:
    r"""Return the slices of whole numbers: digits of the magnitude to the base :math:`2^b`, each with the sign.

    .. math:: q = \sum_k 2^{bk} d_k, \quad |d_k| \le 2^b - 1

    Parameters
    ----------
    numbers : array_like
        Whole numbers of ``bits`` bits with sign, any shape.
    bits : int
    per_slice : int
        Bits b of a slice. The last one holds what is left.

    Returns
    -------
    numpy.ndarray
        int64 ``(slices, *shape)``, the lowest slice first.

    Examples
    --------
    >>> digits([[-100, 7]], 8, 3)
    array([[[-4,  7]],
    <BLANKLINE>
           [[-4,  0]],
    <BLANKLINE>
           [[-1,  0]]])
    """
    q = whole(numbers, "numbers", largest_of(bits))
    shifts = per_slice * np.arange(-(-(bits - 1) // per_slice))
    parts = [np.abs(q) >> s & (2**per_slice - 1) for s in shifts]
    return np.sign(q) * np.stack(parts)


def assembled(parts: ArrayLike, per_slice: int) -> np.ndarray:
    """Return the sum of slices ``(slices, ...)``, each shifted by its place: ``(...)``."""
    parts = np.asarray(parts)
    return np.tensordot(weights_of(len(parts), per_slice), parts, axes=1)


def weights_of(slices: int, per_slice: int) -> np.ndarray:
    """Return what each slice counts, :math:`2^{bk}`, int64 ``(slices,)``, the lowest first."""
    return 2 ** (per_slice * np.arange(slices))


def noise_gain(slices: int, per_slice: int) -> int:
    r"""Return the variance of a sum of slices over that of one slice, :math:`\sum_k 4^{bk}`: the top one dominates.

    Examples
    --------
    >>> noise_gain(3, 1), noise_gain(2, 4)
    (21, 257)
    """
    return int((weights_of(slices, per_slice) ** 2).sum())


class Slicing(Model):
    """How weights are spread over arrays and inputs over phases; off by default."""

    # fmt: off
    weight_bits = Quantity(0, bounds=(0, 16), softbounds=(0, 8), integer=True, unit="bit", group="Weights",
                           source="assumed (off)", doc="Bits of a weight with its sign; 0 leaves weights as they are.")
    weight_slice_bits = Quantity(15, bounds=(1, 15), softbounds=(1, 8), integer=True, unit="bit", group="Weights",
                                 source="assumed: all in one array", doc="Bits of a weight that one array holds.")
    input_bits = Quantity(0, bounds=(0, 16), softbounds=(0, 8), integer=True, unit="bit", group="Inputs",
                          source="assumed (off)", doc="Bits of an input with its sign; 0 leaves inputs as they are.")
    input_slice_bits = Quantity(15, bounds=(1, 15), softbounds=(1, 8), integer=True, unit="bit", group="Inputs",
                                source="assumed: all at once", doc="Bits of an input that are applied in one phase.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a single bit, which has no room for a sign."""
        super().check()
        for name in ("weight_bits", "input_bits"):
            if getattr(self, name) == 1:
                raise ParameterError(say(f"Slicing.{name}", 1, "leaves only the sign", "0, 2 .. 16", "Use 2 or more."))

    def of_weights(self, weights: ArrayLike, w_max: float) -> tuple[np.ndarray, np.ndarray]:
        """Return slices ``(slices, out, in)`` with values in [-w_max, w_max], and what each counts ``(slices,)``."""
        return _sliced(weights, w_max, int(self.weight_bits), int(self.weight_slice_bits), "weights")

    def of_inputs(self, inputs: ArrayLike, x_max: float) -> tuple[np.ndarray, np.ndarray]:
        """Return phases ``(phases, batch, in)`` with values in [-x_max, x_max], and what each counts ``(phases,)``."""
        return _sliced(inputs, x_max, int(self.input_bits), int(self.input_slice_bits), "inputs")


def _sliced(values: ArrayLike, limit: float, bits: int, per_slice: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return slices scaled such that the largest digit is ``limit``, and factors that restore the sum."""
    if not bits:
        return within(values, limit, name)[None], np.ones(1)
    per_slice = min(per_slice, bits - 1)
    parts = digits(quantise(values, limit, bits, name), bits, per_slice)
    unit = limit / (2**per_slice - 1)
    return parts * unit, weights_of(len(parts), per_slice) * ((2**per_slice - 1) / largest_of(bits))
