# SPDX-License-Identifier: Apache-2.0
"""The noise-free curve of a device whose step is linear in its state, and its free starting points.

One pulse takes ``y`` to ``y + step0 + slope * y``, up to a hard ``bound``. After ``n`` pulses

    y_n = min(lam**n * y0 + step0 * (lam**n - 1) / slope, bound),    lam = 1 + slope,

exactly. Constant step (slope 0), linear step and soft bounds (``bound = -step0 / slope``, reached only in
the limit) are all of this form. The starting point of every ramp enters linearly and is solved for, so
the optimiser sees only the few numbers that describe the device (variable projection).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from .stack import Stack
from .trace import DOWN, UP

SMALLEST_SLOPE = -0.999999
"""A slope of -1 puts the state on its bound with one pulse; beyond, steps overshoot."""

LARGEST_SLOPE = 1.0
"""Steps that more than double over one unit of weight are no device response."""

_LARGEST_EXPONENT = 100.0
"""Growth beyond exp(100) during a trial is cut, its square would overflow; no fitted curve comes near."""

_ROUNDS = 20


@dataclass(frozen=True)
class Shape:
    """The numbers of one direction, in weight units and mirrored: up ramps of ``y``.

    Attributes
    ----------
    step0 : float
        Step at ``y = 0``.
    slope : float
        Change of the step per unit of ``y``.
    bound : float
        Hard bound; infinite where the curve meets none.
    """

    step0: float
    slope: float
    bound: float = np.inf

    @property
    def fixed_point(self) -> float:
        """State where the step vanishes; infinite where steps do not shrink."""
        return -self.step0 / self.slope if self.slope < 0 else np.inf

    def step(self, y: np.ndarray | float) -> np.ndarray:
        """Return the step from ``y``, any shape."""
        return self.step0 + self.slope * np.asarray(y)

    def curve(self, n: np.ndarray, y0: np.ndarray | float) -> np.ndarray:
        """Return the state after ``n`` pulses from ``y0``."""
        gain, offset = powers(self.slope, n)
        return np.minimum(gain * y0 + self.step0 * offset, self.bound)


def both(shapes: Mapping[int, Shape]) -> tuple[Shape, Shape]:
    """Return the shapes of up and down; a direction that is missing is the mirror image of the other."""
    only = next(iter(shapes.values()))
    return shapes.get(UP, only), shapes.get(DOWN, only)


def powers(slope: float, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``lam**n`` and ``(lam**n - 1) / slope`` (its limit ``n`` at slope 0)."""
    exponent = np.asarray(n, dtype=float) * np.log1p(slope)
    exponent = np.minimum(exponent, _LARGEST_EXPONENT)
    offset = np.expm1(exponent) / slope if slope != 0 else np.asarray(n, dtype=float)
    return np.exp(exponent), offset


@dataclass(frozen=True, eq=False)
class Projection:
    """Best starting points for a shape, and what follows from them.

    Attributes
    ----------
    y0 : array, (ramp,)
        Starting points.
    curve : array, (reading,)
        Noise-free states.
    active : array of bool, (reading,)
        Readings at which the curve is below the bound.
    gain : array, (reading,)
        Derivative of the curve with respect to the starting point.
    """

    y0: np.ndarray
    curve: np.ndarray
    active: np.ndarray
    gain: np.ndarray


def project(shape: Shape, stack: Stack) -> Projection:
    """Solve for the starting point of each ramp by least squares.

    With a bound the readings on the plateau say nothing about the start, so the set of readings below it
    is found by iteration.
    """
    gain, offset = powers(shape.slope, stack.n)
    target = stack.y - shape.step0 * offset
    active = np.ones(stack.y.size, dtype=bool)
    for _ in range(_ROUNDS):
        weight = np.where(active, gain, 0.0)
        norm = stack.sum(weight * gain)
        empty = norm == 0
        y0 = stack.sum(weight * target) / np.where(empty, 1.0, norm)
        y0 = np.where(empty, shape.bound, y0)
        free = gain * stack.spread(y0) + shape.step0 * offset
        below = free < shape.bound
        if np.array_equal(below, active):
            break
        active = below
    return Projection(y0, np.minimum(free, shape.bound), active, np.where(active, gain, 0.0))


@dataclass(frozen=True)
class Form:
    """Which numbers of a `Shape` are free, and how the others follow.

    Attributes
    ----------
    names : tuple of str
        Free numbers, in the order of the arguments of ``shape``.
    shape : callable
        ``shape(*free) -> Shape``.
    """

    names: tuple[str, ...]
    shape: Callable[..., Shape]


AFFINE = Form(("step0", "slope"), Shape)
"""No bound in sight."""

CLIPPED = Form(("step0", "slope", "bound"), Shape)
"""A plateau in the data."""


def limited(bound: float) -> Form:
    """Return the form with the step vanishing at a given ``bound``."""
    return Form(("step0",), lambda step0: Shape(step0, -step0 / bound))


def affine_guess(stack: Stack, keep: np.ndarray | None = None) -> Shape:
    """Estimate step and slope by one linear regression, without a starting value.

    Summing the recursion gives ``y_n = c + step0 * n + slope * sum(y)``: linear in the unknowns, and the
    sum averages reading noise away. Exact for noise-free data with one pulse per reading.

    Parameters
    ----------
    stack : Stack
    keep : array of bool, (reading,), optional
        Readings to use; must be a first part of each ramp.
    """
    rise = np.diff(stack.y, prepend=0.0)
    before = np.roll(stack.y, 1)
    area = stack.dn * before + (stack.dn - 1) / 2 * rise * (stack.dn > 0)
    area[stack.starts] = 0.0
    area = np.cumsum(area)
    area -= stack.spread(area[stack.starts])
    weight = np.ones(stack.y.size) if keep is None else keep.astype(float)
    columns = [_centred(stack, x, weight) for x in (stack.n, area, stack.y)]
    solution = np.linalg.lstsq(np.stack(columns[:2], axis=1), columns[2], rcond=None)[0]
    return Shape(float(solution[0]), float(np.clip(solution[1], SMALLEST_SLOPE / 2, LARGEST_SLOPE / 2)))


def _centred(stack: Stack, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Subtract the weighted mean of each ramp, and drop readings of weight 0."""
    mean = stack.sum(weight * x) / np.maximum(stack.sum(weight), 1.0)
    return weight * (x - stack.spread(mean))
