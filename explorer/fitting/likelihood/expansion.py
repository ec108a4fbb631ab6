# SPDX-License-Identifier: Apache-2.0
"""Devices of a curved class judged near the population, where each likelihood is taken as normal.

A random-effects model takes ``estimate_i ~ N(theta_i, v_i)``. Where a likelihood is far from normal, its maximum and
the curvature there are not that: a bound that one device hardly tells runs away and says it is known well. Lindstrom
and Bates (Biometrics 46, 1990, 673) expand each likelihood about the mode that it has together with the distribution of
the population instead, and take the normal of the same slope and curvature there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .device_fit import WEAKEST, DeviceFit
from .optimise import scale_at

ROUNDS = 3
STEPS = 4
NEAR = 0.05
"""Move, in standard errors, at which a mode has settled."""

FEWEST = 5
"""Devices from which their distribution is taken."""

LEAST = 1e-4
"""Least spread of a coordinate over devices, as a share of the largest: a matrix must have an inverse."""


@dataclass(frozen=True, eq=False)
class Mode:
    """Where one device lies with the population's help: point, slope and information of its own likelihood there."""

    u: np.ndarray
    slope: np.ndarray
    information: np.ndarray


def expanded(fits: Sequence[DeviceFit], shared: Sequence[str]) -> list[DeviceFit]:
    """Return fits whose quantities are those of the normal that each likelihood is like near the population.

    Parameters
    ----------
    fits : sequence of DeviceFit
        At common noise.
    shared : sequence of str
        Coordinates that are one for all devices; they stay.
    """
    names = [n for n in fits[0].objective.names if n not in shared]
    alike = [i for i, f in enumerate(fits) if [n for n in f.objective.names if n not in shared] == names]
    if len(alike) < FEWEST:
        return list(fits)
    chosen = [fits[i] for i in alike]
    at = [np.array([f.objective.names.index(n) for n in names]) for f in chosen]
    modes, _ = near_population(chosen, at)
    made = list(fits)
    for i, f, a, m in zip(alike, chosen, at, modes, strict=True):
        made[i] = _with(f, a, m)
    return made


def near_population(fits: Sequence[DeviceFit], at: Sequence[np.ndarray]) -> tuple[list[Mode], np.ndarray]:
    """Return the modes of devices and their distribution, and the covariance of each device there.

    Parameters
    ----------
    fits : sequence of DeviceFit
    at : sequence of numpy.ndarray
        Which coordinates of each device differ over the population; the same ones in the same order.
    """
    modes = [_start(f, a) for f, a in zip(fits, at, strict=True)]
    mean, spread = _first(modes)
    for _ in range(ROUNDS):
        inverse = np.linalg.inv(spread)
        modes = [_mode(f, a, m, mean, inverse) for f, a, m in zip(fits, at, modes, strict=True)]
        points = np.array([m.u for m in modes])
        mean, away = points.mean(0), points - points.mean(0)
        each = np.array([np.linalg.inv(m.information + inverse) for m in modes])
        spread = _positive(away.T @ away / len(modes) + each.mean(0))
    return modes, each


def _start(fit: DeviceFit, at: np.ndarray) -> Mode:
    covariance = fit.covariance[np.ix_(at, at)]
    return Mode(fit.u[at], np.zeros(at.size), np.linalg.pinv(covariance, hermitian=True))


def _first(modes: Sequence[Mode]) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and spread of the maxima that do not care for those that ran away."""
    u = np.array([m.u for m in modes])
    centre = np.median(u, axis=0)
    return centre, np.diag(np.maximum((1.4826 * np.median(np.abs(u - centre), axis=0)) ** 2, 1e-8))


def _positive(matrix: np.ndarray) -> np.ndarray:
    root, axes = np.linalg.eigh(matrix)
    return (axes * np.maximum(root, LEAST**2 * root[-1])) @ axes.T


def _mode(fit: DeviceFit, at: np.ndarray, begin: Mode, mean: np.ndarray, inverse: np.ndarray) -> Mode:
    """Return the mode of likelihood and population together, by Newton steps that only go up."""
    u = fit.u.copy()
    starts = [begin.u, mean]
    worth = [_worth(fit, u, at, x, mean, inverse) for x in starts]
    u[at], value = starts[int(np.argmax(worth))], max(worth)
    for _ in range(STEPS):
        scale = scale_at(fit.objective, u)
        slope, information = fit.objective.slopes(u, scale)
        slope, information = slope[at] / scale[at], information[np.ix_(at, at)] / np.outer(scale[at], scale[at])
        whole = information + inverse
        step = np.linalg.solve(whole, slope - inverse @ (u[at] - mean))
        if step @ whole @ step < NEAR**2:
            break
        moved = next((s for s in (1.0, 0.5, 0.2) if _worth(fit, u, at, u[at] + s * step, mean, inverse) > value), 0.0)
        if not moved:
            break
        u[at] += moved * step
        value = _worth(fit, u, at, u[at], mean, inverse)
    return Mode(u[at], slope, information)


def _worth(fit: DeviceFit, u: np.ndarray, at: np.ndarray, place: np.ndarray, mean: np.ndarray, inverse) -> float:
    moved, away = u.copy(), place - mean
    moved[at] = place
    return float(fit.objective.values(moved)[0]) - 0.5 * float(away @ inverse @ away)


def _with(fit: DeviceFit, at: np.ndarray, mode: Mode) -> DeviceFit:
    """Return the fit at the mode, with the way from there to the maximum of the normal, and its covariance."""
    u = fit.u.copy()
    u[at] = mode.u
    scale = scale_at(fit.objective, u)
    observed = np.nan_to_num(fit.objective.bend_of_errors(u, scale, WEAKEST))[np.ix_(at, at)]
    root, axes = np.linalg.eigh(observed)
    slope = fit.objective.slopes(u, scale)[0][at]
    if root[0] < WEAKEST:
        root, axes = np.linalg.eigh(mode.information * np.outer(scale[at], scale[at]))
    inverse = (axes / np.maximum(root, WEAKEST)) @ axes.T
    covariance, shift = np.zeros((u.size, u.size)), np.zeros(u.size)
    covariance[np.ix_(at, at)] = inverse * np.outer(scale[at], scale[at])
    shift[at] = scale[at] * (inverse @ slope)
    return replace(fit, u=u, covariance=covariance, shift=shift)
