# SPDX-License-Identifier: Apache-2.0
"""The fit of one candidate to one device: maximum, covariance, and what the data say nothing about."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from .candidates.base import FAR, Candidate
from .objective import Objective
from .observations import Observed
from .optimise import Optimum, maximise, scale_at

BEYOND = FAR / 2
"""Ranges of the data from the origin where a bound counts as not there: nearer, the curve would bend visibly."""

WEAKEST = 1e-3
"""Least eigenvalue of the scaled information; a smaller one is a direction the data say nothing about."""

HARDLY = 3.0
"""Gain in log likelihood (3.0: probability 1.4 % by chance for one bound) below which readings do not stop at it."""

SCAN = 12
"""Places tried for a hard bound before a fit with it."""


@dataclass(frozen=True, eq=False)
class DeviceFit:
    """One candidate fitted to one device.

    Attributes
    ----------
    candidate : Candidate
    objective : Objective
    u : numpy.ndarray
        ``(coordinates,)`` estimate on the search scale, corrected for the degrees of freedom of the curve.
    covariance : numpy.ndarray
        ``(coordinates, coordinates)`` inverse of the observed information.
    log_likelihood : float
        At the maximum.
    converged : bool
    weak : tuple of str
        Coordinates that take part in a combination the data say nothing about.
    held : dict of str to str
        Coordinates that were held, and why.
    """

    candidate: Candidate
    objective: Objective
    u: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    converged: bool
    weak: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)

    @property
    def device(self) -> Observed:
        """The readings."""
        return self.objective.device

    @property
    def n_parameters(self) -> int:
        """Free numbers, noise included."""
        return self.u.size

    @property
    def transitions(self) -> int:
        """Readings that count."""
        return self.device.readings.transitions

    def values(self, u: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the coordinates by name, ``(sets,)`` each; by default at the estimate."""
        return self.objective.outward(self.u if u is None else u)

    def spread_of(self, quantity: Callable[[dict], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return quantities ``(q,)`` and their covariance ``(q, q)`` by their slopes; ``quantity`` is vectorised."""
        step = 1e-4 * np.maximum(np.sqrt(np.diag(self.covariance)), 1e-6)
        moves = np.concatenate([[np.zeros(self.u.size)], np.diag(step), -np.diag(step)])
        with np.errstate(all="ignore"):
            found = np.asarray(quantity(self.values(self.u + moves)), float)  # (q, sets)
        n = self.u.size
        slopes = np.nan_to_num((found[:, 1 : n + 1] - found[:, n + 1 :]) / (2 * step))
        return found[:, 0], slopes @ self.covariance @ slopes.T


def fit_device(candidate: Candidate, device: Observed, start: Mapping[str, float] | None = None) -> DeviceFit:
    """Fit a candidate as it stands (no variants).

    Parameters
    ----------
    candidate : Candidate
    device : Observed
    start : dict, optional
        Start values by coordinate, for those that should not come from the scene.
    """
    objective = Objective.of(candidate, device)
    begin = objective.start()
    for i, c in enumerate(objective.coordinates):
        if start and c.name in start:
            begin[i] = c.inward(start[c.name])
    best, held = maximise(objective, begin), {}
    away = _away(objective, best)
    if away:
        held = dict.fromkeys(away, "the likelihood does not fall towards infinity")
        objective = Objective.of(candidate, device, away)
        kept = [i for i, c in enumerate(Objective.of(candidate, device).coordinates) if c.name not in away]
        best = maximise(objective, best.u[kept])
    return finished(objective, best, held)


def _away(objective: Objective, best: Optimum) -> dict[str, float]:
    """Return bounds that ran away, by name, and where they are held."""
    limit = BEYOND * objective.candidate.scene.span
    x = {n: float(v[0]) for n, v in objective.outward(best.u).items()}
    return {n: float(np.sign(x[n]) * limit) for n in ("w_max", "w_min") if n in objective.names and abs(x[n]) > limit}


def finished(objective: Objective, best: Optimum, held: Mapping[str, str]) -> DeviceFit:
    """Return the fit with its covariance; one Newton step if it gains."""
    u, scale = best.u, scale_at(objective, best.u, best.scale)
    covariance, weak, step = _inverse(objective, u, scale)
    value = best.log_likelihood
    nearer = float(objective.values(u + step)[0])
    if nearer > value:
        u, value = u + step, nearer
    u = u + covariance @ _lost_freedom(objective, u, scale)
    return DeviceFit(objective.candidate, objective, u, covariance, value, best.converged, weak, held)


def _inverse(objective: Objective, u: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Return the covariance, the coordinates of weak directions, and a Newton step that leaves those alone."""
    information = objective.bend(u, scale)
    root, directions = np.linalg.eigh(np.nan_to_num(information))
    faint = root < WEAKEST
    weak = tuple(n for n, d in zip(objective.names, np.abs(directions[:, faint]).T.max(0) if faint.any() else
                                   np.zeros(u.size), strict=True) if d > 0.3)  # fmt: skip
    scaled = (directions / np.maximum(root, WEAKEST)) @ directions.T
    slope = objective.slopes(u, scale)[0]
    firm = directions[:, ~faint]
    step = scale * (firm @ ((firm.T @ slope) / root[~faint]))
    return scaled * np.outer(scale, scale), weak, np.clip(step, -scale, scale)


def _lost_freedom(objective: Objective, u: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the slope of ``-log det(information of the curve) / 2`` by the noise, ``(coordinates,)``.

    Added to the likelihood it makes it the restricted one: a curve fitted to the data takes up part of the noise, and
    noise would come out too small ("Recovery of inter-block information", Biometrika 1971; Cox and Reid, JRSS B 1987).
    """
    noise = np.array(["noise" in n or n.endswith("_std") for n in objective.names])
    found = np.zeros(u.size)
    if noise.all():
        return found
    for j in np.flatnonzero(noise):
        sides = []
        for sign in (1, -1):
            moved = u.copy()
            moved[j] += sign * 0.2 * scale[j]
            information = objective.slopes(moved, scale)[1][np.ix_(~noise, ~noise)]
            root = np.linalg.eigvalsh(information)
            sides.append(np.log(np.maximum(root, WEAKEST)).sum())
        found[j] = -0.5 * (sides[0] - sides[1]) / (0.4 * scale[j])
    return np.clip(found, -u.size / scale.min(), u.size / scale.min())


def hard_bounds_called_for(fit: DeviceFit) -> dict[str, float]:
    """Return the hard bounds worth a fit, and where to start them: option name to weight.

    Bounds across the outer part of the states are tried with everything else as fitted; where the likelihood gains
    more than `HARDLY`, readings stop at one.
    """
    scene, candidate = fit.candidate.scene, fit.candidate
    found = {}
    for option, name, edge in (("top", "w_max", scene.high), ("bottom", "w_min", scene.low)):
        if candidate.options.get(option):
            continue
        places = edge - np.sign(edge) * np.linspace(-0.1, 0.3, SCAN) * scene.span
        places = places[np.sign(places) == np.sign(edge)]
        x = {n: np.repeat(v, places.size) for n, v in fit.values().items()}
        gains = _with_bound(fit, x, name, places) - fit.log_likelihood
        if gains.size and gains.max() > HARDLY:
            found[option] = float(places[gains.argmax()])
    return found


def _with_bound(fit: DeviceFit, x: dict[str, np.ndarray], name: str, places: np.ndarray) -> np.ndarray:
    trial = type(fit.candidate)(fit.candidate.scene, **fit.candidate.options, **{_OPTION[name]: True})
    objective = Objective.of(trial, fit.device)
    x = {**x, name: places}
    u = np.stack([np.log(np.abs(x[c.name])) if c.logarithmic else x[c.name] for c in objective.coordinates], axis=1)
    return objective.values(u)


_OPTION = {"w_max": "top", "w_min": "bottom"}
