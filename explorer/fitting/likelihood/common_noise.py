# SPDX-License-Identifier: Apache-2.0
"""Noise and tile-wide shapes that all devices of a population have in common, from their likelihoods together.

Noise fitted device by device and then averaged comes out too small: the logarithm of a standard deviation from few
readings is low on average. Here all devices are judged at one value of the noise, each with its own best curve, and
that value is moved until the scores of all devices add up to nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .device_fit import WEAKEST, DeviceFit, restricted_slope, scanned
from .objective import Objective
from .optimise import maximise, scale_at

ROUNDS = 6
NEAR = 0.03
"""Move, in standard errors, at which the common value has settled."""

LARGEST_MOVE = 0.7
"""Largest move of a logarithm in one round."""


@dataclass(frozen=True, eq=False)
class CommonNoise:
    """Noise shared by all devices.

    Attributes
    ----------
    names : list of str
        Coordinates.
    psi : numpy.ndarray
        ``(q,)`` on the search scale.
    covariance : numpy.ndarray
        ``(q, q)``, from how the scores of the devices scatter.
    fits : list of DeviceFit
        With that noise, and curves that go with it; their covariance is that of the curve.
    """

    names: list[str]
    psi: np.ndarray
    covariance: np.ndarray
    fits: list[DeviceFit]


@dataclass(frozen=True, eq=False)
class _Judged:
    """One device at the common noise: the fit, the score of the noise and its information, ``(q,)`` and ``(q, q)``."""

    fit: DeviceFit
    score: np.ndarray
    information: np.ndarray


def noise_of(objective: Objective) -> list[str]:
    """Return the names of the free coordinates that all devices of a class share: noise, and tile-wide shapes."""
    return [n for n in objective.names if n.endswith("_std") or "_noise_" in n or n in objective.candidate.common]


def common_noise(fits: Sequence[DeviceFit]) -> CommonNoise | None:
    """Return the common noise of two or more devices; None where no noise is free in all of them."""
    found = {n: [f.u[f.objective.names.index(n)] for f in fits if n in f.objective.names] for n in _every_noise(fits)}
    names = [n for n, u in found.items() if len(u) > len(fits) / 2]
    if not names:
        return None
    psi = np.array([np.median(found[n]) for n in names])
    lost = [not f.converged or any(n not in f.objective.names for n in names) for f in fits]
    fits = [_freed(f, names) for f in fits]
    judged: list[_Judged] = []
    for _ in range(ROUNDS):
        begun = [j.fit for j in judged] or fits
        judged = [_judged(f, names, psi, anew=a and not judged) for f, a in zip(begun, lost, strict=True)]
        total = sum(j.information for j in judged)
        move = np.linalg.pinv(total) @ sum(j.score for j in judged)
        psi = psi + np.clip(move, -LARGEST_MOVE, LARGEST_MOVE)
        if move @ total @ move < NEAR**2 * len(names):
            break
    inverse = np.linalg.pinv(total)
    scores = np.array([j.score for j in judged])
    moves = (scores - scores.mean(0)) @ inverse.T  # of each device
    n = len(fits)
    covariance = moves.T @ moves * n / (n - 1)
    return CommonNoise(names, psi, covariance, [j.fit for j in judged])


def _every_noise(fits: Sequence[DeviceFit]) -> list[str]:
    """Return the names of the noise that is free in any device."""
    return list(dict.fromkeys(n for f in fits for n in noise_of(f.objective)))


def _freed(fit: DeviceFit, names: list[str]) -> DeviceFit:
    """Return the fit with all noise in question free, also where it was held; its covariance is made anew later."""
    old, missing = fit.objective, [n for n in names if n not in fit.objective.names]
    if not missing:
        return fit
    held = {n: v for n, v in old.held.items() if n not in names}
    full = Objective.of(old.candidate, old.device, held)
    known = dict(zip(old.names, fit.u, strict=True))
    u = np.array([known.get(c.name, c.inward(c.start)) for c in full.coordinates])
    kept = {n: why for n, why in fit.held.items() if n not in names}
    return replace(fit, objective=full, u=u, covariance=np.zeros((u.size, u.size)), held=kept)


def _judged(fit: DeviceFit, names: list[str], psi: np.ndarray, *, anew: bool) -> _Judged:
    """Return a device at the common noise, its curve at its best there; ``anew`` tries the scene's start as well."""
    full = fit.objective
    at = np.array([full.names.index(n) for n in names])
    rest = np.setdiff1d(np.arange(fit.u.size), at)
    held = {n: float(full.coordinates[i].outward(np.array(p))) for n, i, p in zip(names, at, psi, strict=True)}
    curve = Objective.of(full.candidate, full.device, {**full.held, **held})
    u = fit.u.copy()
    u[at] = psi
    starts = [u[rest], *([scanned(curve, curve.start())] if anew else [])]
    u[rest] = max((maximise(curve, s) for s in starts), key=lambda found: found.log_likelihood).u
    scale = scale_at(full, u)
    slope, information = full.slopes(u, scale)
    slope = slope / scale + restricted_slope(full, u, scale)
    information = information / np.outer(scale, scale)
    inverse = np.linalg.pinv(information[np.ix_(rest, rest)], hermitian=True)
    cross = information[np.ix_(at, rest)]
    profile = information[np.ix_(at, at)] - cross @ inverse @ cross.T
    score = slope[at] - cross @ inverse @ slope[rest]
    return _Judged(_with_curve(fit, u, rest, curve), score, profile)


def _with_curve(fit: DeviceFit, u: np.ndarray, rest: np.ndarray, curve: Objective) -> DeviceFit:
    """Return the fit at ``u`` with the covariance of the curve at fixed noise, by the observed information."""
    scale = scale_at(curve, u[rest])
    information = curve.bend_of_errors(u[rest], scale, WEAKEST)
    root, directions = np.linalg.eigh(np.nan_to_num(information))
    inverse = (directions / np.maximum(root, WEAKEST)) @ directions.T * np.outer(scale, scale)
    covariance = np.zeros_like(fit.covariance)
    covariance[np.ix_(rest, rest)] = inverse
    return replace(fit, u=u, covariance=covariance)
