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

ROUNDS = 8
NEAR = 0.03
"""Move, in standard errors, at which the common value has settled."""

STEPS = 4
"""Newton steps by which a curve follows the noise before it is searched for."""

SETTLED = 0.1
"""Distance of a curve from its best, in standard errors, that counts as none."""

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
    follows : list of numpy.ndarray
        ``(coordinates, q)`` of each device: how its best curve moves with the common values.
    """

    names: list[str]
    psi: np.ndarray
    covariance: np.ndarray
    fits: list[DeviceFit]
    follows: list[np.ndarray]


@dataclass(frozen=True, eq=False)
class _Judged:
    """One device at the common noise.

    Attributes
    ----------
    fit : DeviceFit
        Its ``u`` is the best curve there; its covariance is not yet that of the curve.
    score, information : numpy.ndarray
        ``(q,)`` and ``(q, q)`` of the noise, the curve at its best.
    restricted : numpy.ndarray
        ``(coordinates,)`` slope of what the restricted likelihood adds.
    """

    fit: DeviceFit
    score: np.ndarray
    information: np.ndarray
    restricted: np.ndarray


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
    judged = [_judged(f, names, psi, anew=a) for f, a in zip(fits, lost, strict=True)]
    fresh = True  # the restricted part changes little with the noise: found at the start, and anew once all has settled
    for _ in range(ROUNDS):
        total = sum(j.information for j in judged)
        move = np.linalg.pinv(total) @ sum(j.score for j in judged)
        psi = psi + np.clip(move, -LARGEST_MOVE, LARGEST_MOVE)
        settled = move @ total @ move < NEAR**2 * len(names)
        if settled and fresh:
            break
        fresh = bool(settled)
        judged = [_judged(j.fit, names, psi, None if fresh else j.restricted) for j in judged]
    ended = [_observed(j.fit, names) for j in judged]
    covariance = _covariance(sum(information for _, information, _ in ended), judged)
    return CommonNoise(names, psi, covariance, [fit for fit, _, _ in ended], [follow for _, _, follow in ended])


def _covariance(information: np.ndarray, judged: Sequence[_Judged]) -> np.ndarray:
    """Return the covariance of the common noise from how the scores of the devices scatter.

    The observed information turns scores into moves; where it is not positive, the expected one does.
    """
    if np.linalg.eigvalsh(information)[0] <= 0:
        information = sum(j.information for j in judged)
    inverse = np.linalg.pinv(information)
    scores = np.array([j.score for j in judged])
    moves = (scores - scores.mean(0)) @ inverse.T  # of each device
    n = len(judged)
    return moves.T @ moves * n / (n - 1)


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


def _judged(
    fit: DeviceFit, names: list[str], psi: np.ndarray, restricted: np.ndarray | None = None, *, anew: bool = False
) -> _Judged:
    """Return a device at the common noise, its curve at its best there; ``anew`` tries the scene's start as well."""
    full, at, rest = fit.objective, *_parts(fit, names)
    u = fit.u.copy()
    u[at] = psi
    scale = scale_at(full, u)
    found = None if anew else _nearby(full, u, rest, scale)
    if found is None:
        u[rest] = _searched(fit, u, at, rest, anew=anew)
        scale = scale_at(full, u)
        found = u, *full.slopes(u, scale)
    u, slope, information = found
    if restricted is None:
        restricted = restricted_slope(full, u, scale, rest)
    slope, information = slope / scale + restricted, information / np.outer(scale, scale)
    inverse = np.linalg.pinv(information[np.ix_(rest, rest)], hermitian=True)
    cross = information[np.ix_(at, rest)]
    profile = information[np.ix_(at, at)] - cross @ inverse @ cross.T
    score = slope[at] - cross @ inverse @ slope[rest]
    return _Judged(replace(fit, u=u), score, profile, restricted)


def _parts(fit: DeviceFit, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return where the common noise and where the curve stand among the coordinates."""
    at = np.array([fit.objective.names.index(n) for n in names])
    return at, np.setdiff1d(np.arange(fit.u.size), at)


def _nearby(full: Objective, u: np.ndarray, rest: np.ndarray, scale: np.ndarray):
    """Return the best curve by a few Newton steps from a near one, with slopes and information; None if it is not near.

    How far the curve still is from its best enters the score of the noise only by its square.
    """
    u, value = u.copy(), float(full.values(u)[0])
    for _ in range(STEPS):
        slope, information = full.slopes(u, scale)
        step = np.linalg.pinv(information[np.ix_(rest, rest)], WEAKEST, hermitian=True) @ slope[rest]
        if slope[rest] @ step < SETTLED**2:
            return u, slope, information
        u[rest] += scale[rest] * np.clip(step, -1, 1)
        value, before = float(full.values(u)[0]), value
        if value < before:
            return None
    return None


def _searched(fit: DeviceFit, u: np.ndarray, at: np.ndarray, rest: np.ndarray, *, anew: bool) -> np.ndarray:
    """Return the best curve at fixed noise by a search."""
    curve = _curve(fit, u, at)
    starts = [u[rest], *([scanned(curve, curve.start())] if anew else [])]
    return max((maximise(curve, s) for s in starts), key=lambda found: found.log_likelihood).u


def _curve(fit: DeviceFit, u: np.ndarray, at: np.ndarray) -> Objective:
    """Return the objective in which the common noise is held."""
    full = fit.objective
    held = {full.names[i]: float(full.coordinates[i].outward(u[i])) for i in at}
    return Objective.of(full.candidate, full.device, {**full.held, **held})


def _observed(fit: DeviceFit, names: list[str]) -> tuple[DeviceFit, np.ndarray, np.ndarray]:
    """Return the fit with the covariance of the curve at fixed noise, what it says of the noise, and how it follows it.

    The first two by the observed information; the curve is at its best for every noise.
    """
    at, rest = _parts(fit, names)
    scale = scale_at(fit.objective, fit.u)
    information = np.nan_to_num(fit.objective.bend_of_errors(fit.u, scale, WEAKEST))
    root, directions = np.linalg.eigh(information[np.ix_(rest, rest)])
    inverse = (directions / np.maximum(root, WEAKEST)) @ directions.T
    cross = information[np.ix_(at, rest)]
    profile = (information[np.ix_(at, at)] - cross @ inverse @ cross.T) / np.outer(scale[at], scale[at])
    covariance = np.zeros((fit.u.size, fit.u.size))
    covariance[np.ix_(rest, rest)] = inverse * np.outer(scale[rest], scale[rest])
    return replace(fit, covariance=covariance), profile, _follow(fit, at, rest, scale)


def _follow(fit: DeviceFit, at: np.ndarray, rest: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return how the best curve moves with the common values, ``(coordinates, q)``.

    By the expected information: the observed one may be next to nothing in some direction, and the curve run away.
    """
    _, information = fit.objective.slopes(fit.u, scale)
    inverse = np.linalg.pinv(information[np.ix_(rest, rest)], WEAKEST, hermitian=True)
    follow = np.zeros((fit.u.size, at.size))
    follow[at] = np.eye(at.size)
    follow[rest] = -(inverse @ information[np.ix_(rest, at)]) * scale[rest][:, None] / scale[at]
    return follow
