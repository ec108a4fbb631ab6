# SPDX-License-Identifier: Apache-2.0
"""Where each device of a curved class lies with the population's help: modes of likelihood and distribution together.

Linearised at these modes (Lindstrom and Bates, Biometrics 46, 1990, 673) a likelihood gives a first distribution over
devices, and a place and a width to draw around; the integrals of `marginal` then do without taking it as normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .device_fit import DeviceFit
from .optimise import scale_at

ROUNDS = 3
STEPS = 4
NEAR = 0.05
"""Move, in standard errors, at which a mode has settled."""

LEAST = 1e-4
"""Least spread of a coordinate over devices, as a share of the largest: a matrix must have an inverse."""


@dataclass(frozen=True, eq=False)
class _Mode:
    """Where one device lies with the population's help, and the information of its own likelihood there."""

    u: np.ndarray
    information: np.ndarray


@dataclass(frozen=True, eq=False)
class Expansion:
    """Modes of all devices and the distribution that goes with them, on the search scale.

    Attributes
    ----------
    points : numpy.ndarray
        ``(devices, coordinates)``.
    covariances : numpy.ndarray
        ``(devices, coordinates, coordinates)`` of likelihood and distribution together.
    """

    points: np.ndarray
    covariances: np.ndarray


def expanded(fits: Sequence[DeviceFit], at: np.ndarray) -> Expansion:
    """Return the modes of devices.

    Parameters
    ----------
    fits : sequence of DeviceFit
        At common noise, with the same coordinates.
    at : numpy.ndarray
        Which coordinates differ from device to device; the others stay.
    """
    modes = [_start(f, at) for f in fits]
    mean, spread = _first(modes)
    for _ in range(ROUNDS):
        inverse = np.linalg.inv(spread)
        modes = [_mode(f, at, m, mean, inverse) for f, m in zip(fits, modes, strict=True)]
        points = np.array([m.u for m in modes])
        mean, away = points.mean(0), points - points.mean(0)
        each = np.array([np.linalg.inv(m.information + inverse) for m in modes])
        spread = _positive(away.T @ away / len(modes) + each.mean(0))
    return Expansion(points, each)


def _start(fit: DeviceFit, at: np.ndarray) -> _Mode:
    covariance = fit.covariance[np.ix_(at, at)]
    return _Mode(fit.u[at], np.linalg.pinv(covariance, hermitian=True))


def _first(modes: Sequence[_Mode]) -> tuple[np.ndarray, np.ndarray]:
    """Return centre and spread of the maxima that do not care for those that ran away."""
    u = np.array([m.u for m in modes])
    centre = np.median(u, axis=0)
    return centre, np.diag(np.maximum((1.4826 * np.median(np.abs(u - centre), axis=0)) ** 2, 1e-8))


def _positive(matrix: np.ndarray) -> np.ndarray:
    root, axes = np.linalg.eigh(matrix)
    return (axes * np.maximum(root, LEAST**2 * root[-1])) @ axes.T


def _mode(fit: DeviceFit, at: np.ndarray, begin: _Mode, mean: np.ndarray, inverse: np.ndarray) -> _Mode:
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
    return _Mode(u[at], information)


def _worth(fit: DeviceFit, u: np.ndarray, at: np.ndarray, place: np.ndarray, mean: np.ndarray, inverse) -> float:
    moved, away = u.copy(), place - mean
    moved[at] = place
    return float(fit.objective.values(moved)[0]) - 0.5 * float(away @ inverse @ away)
