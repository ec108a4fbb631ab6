# SPDX-License-Identifier: Apache-2.0
"""Cycle-to-cycle and reading noise from the increments of ramps, by moments.

A reading is ``y_t = state_t + e_t`` and the state takes a random step ``c_t`` beside the regular one. Of
the increments ``d`` without their trend, ``Var(d) + 2 Cov(d, d')`` is the variance of ``c`` and
``-Cov(d, d')`` that of ``e``, with ``d'`` the following increment.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .recursion import Projection, Shape
from .stack import Stack

_MAX_TERMS = 3
_LAGS = 3
"""Products of increments three apart share no noise, so autocovariances up to there give the error."""


@dataclass(frozen=True)
class Noise:
    """Noise variances of one direction, in weight units squared.

    Attributes
    ----------
    step_var, step_var_se : float
        Variance of the random part of one step (cycle-to-cycle), and its standard error.
    read_var, read_var_se : float
        Variance of one reading about the state (write plus read noise), and its standard error.
    mean_step_sq : float
        Mean of the squared regular step; ``step_var`` over it is the square of ``dw_min_std``.
    n_increments : int
    """

    step_var: float
    step_var_se: float
    read_var: float
    read_var_se: float
    mean_step_sq: float
    n_increments: int

    @property
    def relative_var(self) -> float:
        """Step noise relative to the step, squared; never negative."""
        return max(self.step_var, 0.0) / self.mean_step_sq

    @property
    def resolved(self) -> bool:
        """True where the step noise is at least two standard errors above zero."""
        return self.step_var > 2 * self.step_var_se


def moments(stack: Stack, shape: Shape, fitted: Projection) -> Noise | None:
    """Estimate the noise of one direction; None if no ramp has enough readings below the bound.

    Readings on a plateau at the bound are left out, clipping hides their noise. A repeated read of the
    same state is left out too: only the first reading after a pulse enters.
    """
    parts = []
    states = stack.split(fitted.curve)
    for ramp, y, state, active in zip(
        stack.ramps, stack.split(stack.y), states, stack.split(fitted.active), strict=True
    ):
        first = np.diff(ramp.pulses, prepend=-1) > 0
        use = first & active
        part = _of_ramp(y[use], ramp.pulses[use].astype(float), shape.step(state[use]))
        if part is not None:
            parts.append(part)
    if not parts:
        return None
    total = np.sum(parts, axis=0)
    step_sum, step_n, step_err, read_sum, read_n, read_err, squares, pulses, terms = total
    step_var = step_sum / step_n
    read_var = (read_sum - terms * step_var) / read_n
    return Noise(
        float(step_var),
        float(np.sqrt(step_err) / step_n),
        float(read_var),
        float(np.sqrt(read_err) / read_n),
        float(squares / pulses),
        int(read_n + len(parts)),
    )


def _of_ramp(y: np.ndarray, n: np.ndarray, step: np.ndarray) -> np.ndarray | None:
    """Return sums over one ramp: for step and read noise (sum, count, variance of sum), squared steps."""
    d, dn = np.diff(y), np.diff(n)
    terms = int(min(_MAX_TERMS, max(1, d.size // 10)))
    count = d.size - 3 * terms
    if count < 2:
        return None
    x = np.linspace(-1, 1, d.size)
    basis = dn[:, None] * x[:, None] ** np.arange(terms)
    d = d - basis @ np.linalg.lstsq(basis, d, rcond=None)[0]
    neighbours = np.zeros_like(d)
    neighbours[1:] += d[:-1]
    neighbours[:-1] += d[1:]
    step_terms = d * (d + neighbours) / dn.mean()
    read_terms = -d[1:] * d[:-1]
    squares = (step[:-1] ** 2 * dn).sum()
    # removing a trend of p terms takes p degrees of freedom from the variance and from each covariance
    return np.array(
        [
            step_terms.sum(),
            count,
            _variance_of_sum(step_terms),
            read_terms.sum(),
            read_terms.size,
            _variance_of_sum(read_terms),
            squares,
            dn.sum(),
            terms * dn.mean(),
        ]
    )


def _variance_of_sum(x: np.ndarray) -> float:
    """Return the variance of ``x.sum()`` for a series correlated over a few lags."""
    x = x - x.mean()
    total = x @ x
    for lag in range(1, min(_LAGS, x.size - 1) + 1):
        total += 2 * (x[lag:] @ x[:-lag])
    return max(float(total), float(x @ x) / 4)  # few readings can give a nonsensical, even negative sum
