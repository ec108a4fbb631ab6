# SPDX-License-Identifier: Apache-2.0
"""Near-memory digital processing: fixed-point scale, offset and activation behind the converters of a tile.

docs/physics/circuit.md, 7. Batch normalisation, drift compensation, scales of the mapping and the step of the next
layer's inputs fold into one scale and one offset for each column (`fold`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from engine.errors import ParameterError, ShapeError, say
from engine.quantity import Choice, Flag, Model, Quantity
from engine.tiles.arrays import real, whole

_SOURCE = '"A Precision-Optimized Fixed-Point Near-Memory Digital Processing Unit for Analog In-Memory Computing", 2024'
_SECOND_HAND = f"{_SOURCE}; bits from public summaries, unverified"


@dataclass
class Stored:
    """What the unit holds for each column, as whole numbers.

    Attributes
    ----------
    scales : numpy.ndarray
        int64 ``(terms, out)``, in units of 2^-(scale_fraction + shift).
    offsets : numpy.ndarray
        int64 ``(out,)``, in units of 2^-(offset_fraction + shift).
    limited : numpy.ndarray
        bool ``(out,)``, columns with a scale or an offset beyond its bits: the largest that fits is stored.
    """

    scales: np.ndarray
    offsets: np.ndarray
    limited: np.ndarray


class Nmpu(Model):
    r"""Fixed-point unit: whole codes of the converters in, whole codes of the next layer's inputs out.

    .. math:: v_i = \mathrm{act}\bigl(R\bigl((\sum_p S_{ip} z_{ip} + O_i 2^{f_s - f_o}) / 2^{f_s + k}\bigr)\bigr)

    Examples
    --------
    >>> unit = Nmpu(activation="none")
    >>> unit.run([[100], [-100]], unit.store([[0.74]], [-3.5]))
    array([[ 71],
           [-78]])
    """

    # fmt: off
    scale_bits = Quantity(8, bounds=(2, 24), softbounds=(4, 16), integer=True, unit="bit", group="Scale",
                          source=_SECOND_HAND, doc="Bits of a column's scale.")
    scale_fraction = Quantity(7, bounds=(0, 24), softbounds=(0, 15), integer=True, unit="bit", group="Scale",
                              source=_SECOND_HAND, doc="How many of them are behind the point.")
    signed_scale = Flag(False, group="Scale", source=_SECOND_HAND,
                        doc="One of the bits is a sign; without it columns of negative scale need flipped weights.")
    offset_bits = Quantity(8, bounds=(2, 24), softbounds=(4, 16), integer=True, unit="bit", group="Offset",
                           source=_SECOND_HAND, doc="Bits of a column's offset, with its sign.")
    offset_fraction = Quantity(1, bounds=(0, 24), softbounds=(0, 8), integer=True, unit="bit", group="Offset",
                               source=_SECOND_HAND, doc="How many of them are behind the point.")
    shift = Quantity(0, bounds=(0, 16), softbounds=(0, 8), integer=True, unit="bit", group="Scale",
                     source="assumed (off)", doc="Power of two by which scale and offset are stored larger.")
    accumulator_bits = Quantity(32, bounds=(8, 48), softbounds=(16, 32), integer=True, unit="bit", group="Accumulator",
                                source="assumed: wide enough for codes of many slices",
                                doc="Bits of the sum of all terms, with its sign.")
    overflow = Choice("saturate", ("saturate", "wrap"), group="Accumulator", source="assumed",
                      doc="A sum beyond its bits stays at the end of the range, or comes back at the other end.")
    rounding = Choice("half_up", ("half_up", "half_even", "truncate"), group="Output", source=_SECOND_HAND,
                      doc="How fractions are dropped: to the nearest, upwards or to even half way, or downwards.")
    clip_first = Flag(False, group="Output", source="assumed",
                      doc="Saturation and ReLU act on the sum, before its fraction is dropped.")
    activation = Choice("relu", ("none", "relu", "sigmoid", "tanh"), group="Output", source=_SOURCE,
                        doc="What follows; the last two by a table.")
    table_bits = Quantity(6, bounds=(1, 12), softbounds=(3, 10), integer=True, unit="bit", group="Output",
                          source="assumed", doc="Bits of the output that address the table of an activation.")
    table_range = Quantity(4.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 8), group="Output",
                           source="assumed", doc="Argument of the activation that the largest output stands for.")
    out_bits = Quantity(8, bounds=(2, 16), softbounds=(4, 12), integer=True, unit="bit", group="Output",
                        source=_SECOND_HAND, doc="Bits of the output.")
    unsigned_out = Flag(False, group="Output", source="assumed", doc="All bits for numbers from zero up.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for an offset finer than the scale, or a table with more entries than outputs."""
        super().check()
        if self.offset_fraction > self.scale_fraction:
            allowed, remedy = f"at most scale_fraction = {int(self.scale_fraction)}", "Its last bits would be lost."
            raise ParameterError(say("Nmpu.offset_fraction", self.offset_fraction, "is too large", allowed, remedy))
        if self.activation in ("sigmoid", "tanh") and self.table_bits > self.out_bits:
            allowed = f"at most out_bits = {int(self.out_bits)}"
            raise ParameterError(say("Nmpu.table_bits", self.table_bits, "is too large", allowed, "Take fewer."))

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest output."""
        return (0, 2 ** int(self.out_bits) - 1) if self.unsigned_out else _signed(self.out_bits)

    def store(self, scales: ArrayLike, offsets: ArrayLike) -> Stored:
        """Return scales and offsets as the unit holds them: rounded half to even, limited to their bits.

        Parameters
        ----------
        scales : array_like
            ``(terms, out)``, outputs per code; a term is a tile or a slice whose codes are added.
        offsets : array_like
            ``(out,)``, in outputs.

        Raises
        ------
        ParameterError
            A negative scale without `signed_scale`.
        """
        s = real(scales, "scales", {"terms": None, "out": None})
        o = real(offsets, "offsets", {"out": s.shape[1]})
        if not self.signed_scale and (s < 0).any():
            remedy = "Set signed_scale, or flip the weights of these columns (flipped)."
            raise ParameterError(say("scales", float(s.min()), "must not be negative", "[0, inf)", remedy))
        low, high = _signed(self.scale_bits) if self.signed_scale else (0, 2 ** int(self.scale_bits) - 1)
        exact = np.rint(s * 2.0 ** (self.scale_fraction + self.shift))
        moved = np.rint(o * 2.0 ** (self.offset_fraction + self.shift))
        stored, kept = np.clip(exact, low, high), np.clip(moved, *_signed(self.offset_bits))
        limited = (stored != exact).any(0) | (kept != moved)
        return Stored(stored.astype(np.int64), kept.astype(np.int64), limited)

    def accumulate(self, codes: ArrayLike, stored: Stored) -> np.ndarray:
        """Return the sums before rounding, int64 ``(batch, out)``, in units of 2^-(scale_fraction + shift).

        Parameters
        ----------
        codes : array_like
            Whole codes of the converters, ``(terms, batch, out)``, or ``(batch, out)`` for one term.
        stored : Stored
        """
        z = whole(codes, "codes", 2**31)
        z = z[None] if z.ndim == 2 else z
        if z.ndim != 3 or (z.shape[0], z.shape[2]) != stored.scales.shape:
            terms, out = stored.scales.shape
            raise ShapeError(
                f"codes: got shape {z.shape}, expected (terms={terms}, batch=any, out={out}). Check store."
            )
        aligned = stored.offsets << int(self.scale_fraction - self.offset_fraction)
        total = (stored.scales[:, None] * z).sum(0) + aligned
        low, high = _signed(self.accumulator_bits)
        return np.clip(total, low, high) if self.overflow == "saturate" else (total - low) % (high - low + 1) + low

    def run(self, codes: ArrayLike, stored: Stored) -> np.ndarray:
        """Return the outputs, int64 ``(batch, out)``, for codes as in `accumulate`."""
        total = self.accumulate(codes, stored)
        places = int(self.scale_fraction + self.shift)
        if self.clip_first:
            low, high = (limit << places for limit in self.limits)
            total = np.clip(total, max(low, 0) if self.activation == "relu" else low, high)
        v = np.clip(rounded(total, places, self.rounding), *self.limits)
        if self.activation in ("sigmoid", "tanh"):
            return self.table()[(v - self.limits[0]) >> int(self.out_bits - self.table_bits)]
        return np.maximum(v, 0) if self.activation == "relu" else v

    def table(self) -> np.ndarray:
        """Return the entries of the activation's table, int64 ``(2^table_bits,)``, for rising outputs."""
        low, high = self.limits
        width = 2 ** int(self.out_bits - self.table_bits)
        middle = low + width * np.arange(2 ** int(self.table_bits)) + (width - 1) / 2
        argument = middle * (self.table_range / high)
        value = np.tanh(argument) if self.activation == "tanh" else (1 + np.tanh(argument / 2)) / 2
        return np.clip(np.rint(value * high), low, high).astype(np.int64)

    def error_bound(self, largest_code: float) -> float:
        r"""Return the largest error of :math:`s z + o` for one term that is neither limited nor saturated, in outputs.

        .. math:: 1/2 + |z| 2^{-(f_s + k + 1)} + 2^{-(f_o + k + 1)}

        (1 in place of 1/2 where fractions are cut.)

        Examples
        --------
        >>> Nmpu().error_bound(128)
        1.25
        """
        cut = 1.0 if self.rounding == "truncate" else 0.5
        parts = largest_code * 2.0 ** -(self.scale_fraction + self.shift + 1)
        return float(cut + parts + 2.0 ** -(self.offset_fraction + self.shift + 1))


def _signed(bits: float) -> tuple[int, int]:
    return -(2 ** (int(bits) - 1)), 2 ** (int(bits) - 1) - 1


def rounded(numbers: np.ndarray, places: int, how: str) -> np.ndarray:
    """Return whole numbers with their last ``places`` bits dropped, by whole-number arithmetic only.

    Examples
    --------
    >>> import numpy as np
    >>> [rounded(np.array([-192, 192, 320]), 7, how).tolist() for how in ("half_up", "half_even", "truncate")]
    [[-1, 2, 3], [-2, 2, 2], [-2, 1, 2]]
    """
    if places == 0 or how == "truncate":
        return numbers >> places
    up = (numbers + 2 ** (places - 1)) >> places
    if how == "half_up":
        return up
    half_way = numbers % 2**places == 2 ** (places - 1)
    return up - (half_way & (up % 2 == 1))


def fold(
    steps: ArrayLike,
    bias: ArrayLike | float = 0.0,
    *,
    gamma: ArrayLike | float = 1.0,
    beta: ArrayLike | float = 0.0,
    mean: ArrayLike | float = 0.0,
    variance: ArrayLike | float = 1.0,
    eps: float = 0.0,
    out_step: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Return scale and offset ``(out,)`` of each column, with batch normalisation folded in.

    .. math:: s_i = \frac{\delta_i \gamma_i}{D \sqrt{\sigma_i^2 + \epsilon}},\quad
              o_i = \frac{1}{D} \left(\beta_i + \frac{(b_i - \mu_i) \gamma_i}{\sqrt{\sigma_i^2 + \epsilon}}\right)

    Parameters
    ----------
    steps : array_like
        ``(out,)``, what one code stands for before the normalisation: converter step, times input scale (a constant
        one), output scale, scale of the mapping, drift factor.
    bias : array_like
        ``(out,)``, digital bias.
    gamma, beta, mean, variance : array_like
        ``(out,)``, of the batch normalisation; the defaults are none.
    eps : float
    out_step : float
        D, what one output code stands for: the step of the next layer's inputs.

    Examples
    --------
    >>> s, o = fold([0.5], [1.0], gamma=2.0, beta=0.25, mean=0.5, variance=4.0, out_step=0.125)
    >>> s.tolist(), o.tolist()
    ([4.0], [6.0])
    """
    slope = np.asarray(gamma, float) / np.sqrt(np.asarray(variance, float) + eps)
    d = np.asarray(steps, float)
    scale = d * slope / out_step
    offset = (np.asarray(beta) + (np.asarray(bias) - np.asarray(mean)) * slope) / out_step
    return scale, np.broadcast_to(offset, scale.shape).astype(float)


def flipped(scales: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return the scales without sign, and the sign ``(out,)`` to multiply the weights of each column with instead.

    Exact where the converter's codes are symmetric about zero.
    """
    s = np.asarray(scales, float)
    return np.abs(s), np.where(s < 0, -1, 1)


def best_shift(unit: Nmpu, scales: ArrayLike, offsets: ArrayLike) -> int:
    """Return the largest shift with which neither scales nor offsets exceed their bits: the finest steps.

    Examples
    --------
    >>> best_shift(Nmpu(), [0.2, 0.1], [3.0, -1.0])
    3
    """
    fits = [k for k in range(17) if not unit.copy(shift=k).store(np.atleast_2d(scales), offsets).limited.any()]
    if not fits:
        worst = float(np.abs(np.asarray(scales)).max())
        remedy = "Take more bits before the point, or a larger out_step."
        raise ParameterError(say("scales", worst, "do not fit with any shift", "0 .. 16", remedy))
    return max(fits)
