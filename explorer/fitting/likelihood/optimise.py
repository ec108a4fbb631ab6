# SPDX-License-Identifier: Apache-2.0
"""Maximum likelihood by lmfit, with slopes and information from the filter."""

from __future__ import annotations

from dataclasses import dataclass

import lmfit
import numpy as np

from .objective import Objective

CLOSE = 0.02
"""Slope at which the search stops, in units where the information is 1: the estimate is then within this share of a
standard error of the maximum."""

MOST_STEPS = 30
FLAT = 1e-4
"""Information per unit of the search scale below which a number is not scaled by it."""

WIDEST = 3.0
"""A standard error on the search scale is not taken larger than this for steps."""


@dataclass(frozen=True, eq=False)
class Optimum:
    """Where the likelihood is largest.

    Attributes
    ----------
    u : numpy.ndarray
        ``(coordinates,)`` on the search scale.
    log_likelihood : float
    scale : numpy.ndarray
        ``(coordinates,)`` typical standard errors, by which steps were scaled.
    converged : bool
    result : lmfit.minimizer.MinimizerResult
    """

    u: np.ndarray
    log_likelihood: float
    scale: np.ndarray
    converged: bool
    result: lmfit.minimizer.MinimizerResult


class _Search:
    """Value, slope and information at points in scaled units, each computed once."""

    def __init__(self, objective: Objective, origin: np.ndarray, scale: np.ndarray):
        self.objective, self.origin, self.scale = objective, origin, scale
        self._slopes: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def point(self, parameters: lmfit.Parameters) -> np.ndarray:
        return self.origin + self.scale * np.array([p.value for p in parameters.values()])

    def value(self, parameters: lmfit.Parameters) -> float:
        return -float(self.objective.values(self.point(parameters))[0])

    def _at(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = u.tobytes()
        if key not in self._slopes:
            self._slopes[key] = self.objective.slopes(u, self.scale)
        return self._slopes[key]

    def slope(self, parameters: lmfit.Parameters) -> np.ndarray:
        return -self._at(self.point(parameters))[0]

    def information(self, z: np.ndarray, *_) -> np.ndarray:
        return self._at(self.origin + self.scale * np.asarray(z))[1]

    def bend(self, z: np.ndarray, *_) -> np.ndarray:
        return self.objective.bend(self.origin + self.scale * np.asarray(z), self.scale)


def scale_at(objective: Objective, u: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """Return standard errors from the expected information alone, one number at a time; cut where it is flat."""
    before = np.full(u.size, 0.05) if scale is None else scale
    information = np.diag(objective.slopes(u, before)[1]) / before**2
    return 1 / np.sqrt(np.maximum(information, max(FLAT, 1 / WIDEST**2)))


def maximise(objective: Objective, start: np.ndarray | None = None) -> Optimum:
    """Return the maximum of the log likelihood near ``start`` (by default the candidate's own).

    First with the expected information. Where that does not lead on (a bound in reach makes it wrong), with the
    observed one, which costs more.
    """
    u = objective.start() if start is None else np.array(start, float)
    scale = scale_at(objective, u)
    found = _searched(objective, u, scale)
    if not found.converged:
        found = _searched(objective, found.u, scale_at(objective, found.u, scale), exact=True)
    return found


def _searched(objective: Objective, u: np.ndarray, scale: np.ndarray, *, exact: bool = False) -> Optimum:
    search = _Search(objective, u, scale)
    parameters = lmfit.Parameters()
    for name in objective.names:
        parameters.add(f"z_{name}", value=0.0)
    minimiser = lmfit.Minimizer(search.value, parameters, calc_covar=False, scale_covar=False)
    options = {"gtol": CLOSE, "maxiter": MOST_STEPS, "initial_trust_radius": 2.0, "max_trust_radius": 1e3}
    result = minimiser.scalar_minimize(
        method="trust-exact", jac=search.slope, hess=search.bend if exact else search.information, options=options
    )
    best = u + scale * np.array([p.value for p in result.params.values()])
    value = -float(result.fun) if np.ndim(result.fun) == 0 else -float(np.squeeze(result.fun))
    return Optimum(best, value, scale, bool(result.success), result)
