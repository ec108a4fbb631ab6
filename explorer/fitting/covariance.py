# SPDX-License-Identifier: Apache-2.0
"""Standard errors of a least-squares fit whose residuals are not independent.

A random step shifts every later reading, so the residuals of a ramp are correlated and the usual formula,
which takes them as independent, gives errors that are too small. Here the covariance of the readings is
built from the two noise variances and carried through the estimator:

    Cov = inv(A) (r J'J + J' C J) inv(A),   A = J'J,

with ``r`` the variance of a reading, ``C`` the covariance that random steps leave in the readings, ``J``
the derivatives of the curves after the starting points are projected out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .recursion import Form, Projection, Shape, powers
from .stack import Stack


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """What one direction of a fit needs for errors.

    Attributes
    ----------
    jacobian : array, (reading, parameter)
        Derivatives of the curves, starting points projected out.
    normal : array, (parameter, parameter)
        ``J'J``.
    step_part : array, (parameter, parameter)
        ``J' C J`` for a relative step noise of 1 (``dw_min_std`` = 1).
    step_residual : float
        Expected sum of squared residuals for a relative step noise of 1 and exact readings.
    n_free : int
        Readings minus parameters minus starting points.
    """

    jacobian: np.ndarray
    normal: np.ndarray
    step_part: np.ndarray
    step_residual: float
    n_free: int

    def covariance(self, read_var: float, relative_var: float) -> np.ndarray:
        """Return the covariance of the free numbers, (parameter, parameter)."""
        scale = np.sqrt(np.diag(self.normal))
        scale = np.outer(scale, scale)
        scale[scale == 0] = 1.0
        inverse = np.linalg.pinv(self.normal / scale, hermitian=True) / scale
        return read_var * inverse + relative_var * inverse @ self.step_part @ inverse


def sensitivity(form: Form, free: np.ndarray, stack: Stack, fitted: Projection) -> Sensitivity:
    """Work out derivatives and the reach of step noise at a fitted shape."""
    shape = form.shape(*free)
    raw = _derivatives(form, free, stack, fitted)
    norm = np.sqrt(stack.sum(fitted.gain**2))
    start = fitted.gain / stack.spread(np.where(norm > 0, norm, 1.0))
    jacobian = raw - start[:, None] * stack.spread(stack.sum(start[:, None] * raw))
    decay, variance = _step_noise(shape, stack, fitted)
    echoed = _adjoint(jacobian, decay, stack)
    q = np.linalg.qr(jacobian)[0] if jacobian.shape[1] else jacobian
    kept = np.column_stack([start, q])
    seen = _adjoint(kept, decay, stack)
    # the part of the scatter that starting points absorb counts ramp by ramp, that of parameters in all
    absorbed = variance @ (seen**2).sum(axis=1)
    return Sensitivity(
        jacobian,
        jacobian.T @ jacobian,
        (echoed * variance[:, None]).T @ echoed,
        float(max(_accumulated(decay, variance, stack).sum() - absorbed, 0.0)),
        max(stack.y.size - free.size - stack.starts.size, 1),
    )


def _derivatives(form: Form, free: np.ndarray, stack: Stack, fitted: Projection) -> np.ndarray:
    """Differentiate the curves by each free number, starting points held, by central differences."""
    start = stack.spread(fitted.y0)
    columns = []
    for i, value in enumerate(free):
        h = 1e-6 * max(abs(value), 1e-6)
        sides = []
        for sign in (1, -1):
            moved = np.array(free, dtype=float)
            moved[i] += sign * h
            shape = form.shape(*moved)
            sides.append(np.where(fitted.active, _unbounded(shape, stack.n, start), shape.bound))
        with np.errstate(invalid="ignore"):  # inf - inf on a plateau that does not exist
            columns.append((sides[0] - sides[1]) / (2 * h))
    return np.nan_to_num(np.stack(columns, axis=1))


def _unbounded(shape: Shape, n: np.ndarray, start: np.ndarray) -> np.ndarray:
    gain, offset = powers(shape.slope, n)
    return gain * start + shape.step0 * offset


def _step_noise(shape: Shape, stack: Stack, fitted: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of the state survives to each reading, and the variance added since the last."""
    decay = np.where(fitted.active, powers(shape.slope, stack.dn)[0], 0.0)
    variance = np.where(fitted.active, stack.dn * shape.step(fitted.curve) ** 2, 0.0)
    return decay, variance


def _adjoint(x: np.ndarray, decay: np.ndarray, stack: Stack) -> np.ndarray:
    """Return ``x_t + decay_{t+1} (x_{t+1} + ...)``: what a random step at ``t`` adds up to in ``x``."""
    out = np.array(x)
    for now, before in reversed(list(stack.steps_through())):
        out[before] += decay[now, None] * out[now]
    return out


def _accumulated(decay: np.ndarray, variance: np.ndarray, stack: Stack) -> np.ndarray:
    """Return the variance of the state at each reading."""
    out = np.array(variance)
    for now, before in stack.steps_through():
        out[now] += decay[now] ** 2 * out[before]
    return out
