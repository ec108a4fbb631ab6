# SPDX-License-Identifier: Apache-2.0
"""Which noise a fit believes in, and how uncertain its free numbers are because of it.

Two witnesses are heard. The moments of neighbouring increments tell step noise from reading noise; the
residuals tell how far the traces wander from the curves. Slow reading noise (random telegraph, 1/f) looks
like step noise to the first, but does not add up over a ramp as step noise would; the second shows it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from .covariance import Sensitivity, sensitivity
from .models import Solution
from .noise import Noise, moments
from .recursion import project
from .stack import Stack

EXACT = 1e-9
"""Residual over range below which data are taken as computed, not measured: there is no noise in them."""

SWINGS_PER_RAMP = 3
"""Independent swings a random walk makes about a fitted ramp: degrees of freedom of its residual."""

DOUBT = 0.05
"""Probability with which two estimates that should agree are said to differ."""


@dataclass(frozen=True, eq=False)
class NoiseBudget:
    """Noise of a measurement, both directions together, and the covariances that follow.

    Attributes
    ----------
    read_var, read_var_se : float
        Variance of one reading (write plus read noise) in weight units squared, with standard error; NaN
        if it could not be estimated.
    relative_var, relative_var_se : float
        Square of the step noise relative to the step (``dw_min_std**2``), likewise.
    covariance : dict of int to array
        Covariance of the free numbers of each direction.
    notes : tuple of str
    """

    read_var: float
    read_var_se: float
    relative_var: float
    relative_var_se: float
    covariance: Mapping[int, np.ndarray]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Residuals:
    """Sums over the single ramps of one direction."""

    squares: float
    reach: Sensitivity
    n_ramps: int


def noise_budget(solutions: Mapping[int, Solution], single: Mapping[int, Stack]) -> NoiseBudget:
    """Estimate noise from the single ramps and carry it to the free numbers of the solutions."""
    found, rest = {}, {}
    for direction, solution in solutions.items():
        stack = single[direction]
        fitted = project(solution.shape, stack)
        residual = stack.y - fitted.curve
        rest[direction] = _Residuals(
            float(residual @ residual),
            sensitivity(solution.form, solution.free, stack, fitted),
            len(stack.ramps),
        )
        found[direction] = moments(stack, solution.shape, fitted)
    if _exact(single, rest):
        read, relative, notes = (0.0, 0.0), (0.0, 0.0), ()
    else:
        read, relative, notes = _weigh([n for n in found.values() if n], rest)
    covariance = {}
    for direction, solution in solutions.items():
        covariance[direction] = _covariance(solution, rest[direction], single[direction], read[0], relative[0])
    return NoiseBudget(*read, *relative, covariance, notes)


def _exact(single: Mapping[int, Stack], rest: Mapping[int, _Residuals]) -> bool:
    span = max(float(np.ptp(stack.y)) for stack in single.values())
    n = sum(stack.y.size for stack in single.values())
    return math.sqrt(sum(r.squares for r in rest.values()) / n) <= EXACT * span


def _weigh(found: list[Noise], rest: Mapping[int, _Residuals]):
    """Return ``(read_var, se), (relative_var, se), notes`` after hearing both witnesses."""
    nothing = (math.nan, math.nan)
    if not found:
        return nothing, nothing, ("noise was not estimated, the ramps are too short; it is taken as 0",)
    n = np.array([noise.n_increments for noise in found], dtype=float)
    squares = n @ [noise.mean_step_sq for noise in found]
    read = float(n @ [noise.read_var for noise in found] / n.sum())
    read_se = float(np.linalg.norm(n * [noise.read_var_se for noise in found]) / n.sum())
    relative = float(n @ [noise.step_var for noise in found] / squares)
    relative_se = float(np.linalg.norm(n * [noise.step_var_se for noise in found]) / squares)
    notes = []
    if read < 2 * read_se:
        notes.append(f"write and read noise is not resolved: its variance is {read:.2g} ± {read_se:.2g} w²")
        read = max(read, 0.0)
    relative, relative_se, more = _hear_both((relative, relative_se), (read, read_se), rest)
    if relative < 2 * relative_se and not more:
        more.append(
            "cycle-to-cycle noise is not resolved beside the reading noise: "
            f"dw_min_std² is {relative:.2g} ± {relative_se:.2g}"
        )
    return (read, read_se), (relative, relative_se), (*notes, *more)


def _hear_both(step: tuple[float, float], reading: tuple[float, float], rest) -> tuple[float, float, list[str]]:
    """Settle the step noise between neighbouring readings (``near``) and the wander of the residuals.

    Where the two agree their mean counts, each by its precision. Where the wander is too small it counts
    alone: the neighbours then saw slow reading noise. Where it is too large the curves are wrong, and only
    the neighbours count.
    """
    (near, near_se), (read, read_se) = step, reading
    squares = sum(r.squares for r in rest.values())
    n_free = sum(r.reach.n_free for r in rest.values())
    reach = sum(r.reach.step_residual for r in rest.values())
    if reach <= 0:
        return max(near, 0.0), near_se, []
    far = max(squares - read * n_free, 0.0) / reach
    # residuals blur the wander by the scatter of the readings and by what is not known of it
    blur = math.hypot(math.sqrt(2 * n_free) * read, n_free * read_se) / reach
    swings = SWINGS_PER_RAMP * sum(r.n_ramps for r in rest.values())
    swing_se = math.sqrt(2 / swings)
    low, high = chi2.ppf([DOUBT / 2, 1 - DOUBT / 2], swings) / swings
    if far > high * (max(near, 0.0) + 2 * near_se):
        expected = read * n_free + max(near, 0.0) * reach
        note = (
            f"the curves miss the data: residual rms {math.sqrt(squares / n_free):.3g} w, of which noise "
            f"explains {math.sqrt(expected / n_free):.3g} w. The model has another shape, or the ramps differ"
        )
        return max(near, 0.0), near_se, [note]
    if far < low * near:
        note = (
            f"neighbouring readings suggest dw_min_std = {math.sqrt(near):.3g}, but with it traces would "
            f"wander farther from the curves than they do: {math.sqrt(far):.3g} is used. The rest is "
            "taken for slow reading noise (1/f, telegraph)"
        )
        return far, math.hypot(far * swing_se, blur), [note] if near > 2 * near_se else []
    far_se = math.hypot(max(near, far) * swing_se, blur)
    total = near_se**2 + far_se**2
    if total == 0:
        return max(near, 0.0), 0.0, []
    mean = (near * far_se**2 + far * near_se**2) / total
    return max(mean, 0.0), near_se * far_se / math.sqrt(total), []


def _covariance(solution: Solution, rest: _Residuals, single: Stack, read: float, relative: float):
    """Return the covariance of the free numbers of one direction.

    What the residuals hold beyond the noise (a wrong shape, differing ramps) counts as reading noise, so
    that errors never come out smaller than a common least-squares fit would say.
    """
    relative = 0.0 if math.isnan(relative) else relative
    excess = (rest.squares - relative * rest.reach.step_residual) / rest.reach.n_free
    white = max(excess, 0.0 if math.isnan(read) else read)
    reach = rest.reach
    if solution.stack is not single:
        reach = sensitivity(solution.form, solution.free, solution.stack, solution.fitted)
    share = solution.stack.n_averaged
    return reach.covariance(white / share, relative / share)
