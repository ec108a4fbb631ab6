# SPDX-License-Identifier: Apache-2.0
"""What a response model offers to the fitter, and the least squares that all of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import lmfit
import numpy as np

from ..recursion import LARGEST_SLOPE, SMALLEST_SLOPE, Form, Projection, Shape, project
from ..stack import Stack
from ..trace import DIRECTION_NAMES

SLOPE_LIMITS = (SMALLEST_SLOPE, LARGEST_SLOPE)

NEAR_LIMIT = 1e-3
"""Distance from a limit at which the optimiser counts as stopped by it."""

_TOLERANCE = 1e-13
"""Relative change of parameters and residuals at which the optimiser stops; near machine precision, so
that exact data are recovered exactly."""

_MAX_EVALUATIONS = 2000


@dataclass(frozen=True, eq=False)
class Solution:
    """Least-squares result of one direction.

    Attributes
    ----------
    stack : Stack
    form : Form
        Which numbers were free.
    free : array, (parameter,)
        Their best values.
    fitted : Projection
        Curves and starting points.
    result : lmfit.minimizer.MinimizerResult
        The optimiser's own account; its covariance is not used, see `explorer.fitting.covariance`.
    notes : tuple of str
    """

    stack: Stack
    form: Form
    free: np.ndarray
    fitted: Projection
    result: lmfit.minimizer.MinimizerResult
    notes: tuple[str, ...] = field(default=())

    @property
    def shape(self) -> Shape:
        """The fitted shape, mirrored coordinates."""
        return self.form.shape(*self.free)

    @property
    def residual(self) -> np.ndarray:
        """Readings minus curves, mirrored, (reading,)."""
        return self.stack.y - self.fitted.curve

    @property
    def sum_of_squares(self) -> float:
        """Sum of squared residuals."""
        return float(self.residual @ self.residual)


def least_squares(form: Form, start: Shape, stack: Stack) -> Solution:
    """Fit the free numbers of a form to the ramps of one direction, starting points free."""
    parameters = lmfit.Parameters()
    for name in form.names:
        low, high = SLOPE_LIMITS if name == "slope" else (-np.inf, np.inf)
        parameters.add(name, value=getattr(start, name), min=low, max=high)

    def residual(trial: lmfit.Parameters) -> np.ndarray:
        return stack.y - project(form.shape(*(trial[n].value for n in form.names)), stack).curve

    result = lmfit.minimize(
        residual,
        parameters,
        method="leastsq",
        calc_covar=False,
        ftol=_TOLERANCE,
        xtol=_TOLERANCE,
        max_nfev=_MAX_EVALUATIONS,
    )
    free = np.array([result.params[n].value for n in form.names])
    shape = form.shape(*free)
    notes = [] if result.success else [f"the optimiser stopped early: {result.message}"]
    if np.isclose(shape.slope, SLOPE_LIMITS, atol=NEAR_LIMIT).any():
        name = DIRECTION_NAMES[stack.direction]
        notes.append(f"{name} steps change by their own size over one unit of weight: the fit is at its limit")
    return Solution(stack, form, free, project(shape, stack), result, tuple(notes))


class ResponseModel(ABC):
    """A device model whose noise-free response has a closed form. One more file here is one more model.

    Attributes
    ----------
    stem : str
        Name of the device in `engine.devices`.
    title : str
    parameters : dict of str to (str, str)
        Unit and meaning of the fitted device parameters, by name.
    of_direction : dict of int to tuple of str
        Parameters that only ramps of one direction determine.
    """

    stem: str
    title: str
    parameters: Mapping[str, tuple[str, str]]
    of_direction: Mapping[int, tuple[str, ...]]

    @abstractmethod
    def guess(self, stack: Stack) -> Shape:
        """Return starting values for one direction, from the data alone."""

    @abstractmethod
    def solve(self, stack: Stack, start: Shape) -> Solution:
        """Fit one direction."""

    @abstractmethod
    def device_values(self, up: Shape, down: Shape) -> dict[str, float]:
        """Turn the shapes of both directions into device parameters."""

    @abstractmethod
    def shapes(self, values: Mapping[str, float]) -> tuple[Shape, Shape]:
        """Turn device parameters into the shapes of both directions (mirrored coordinates)."""

    @abstractmethod
    def held(self, solution: Solution, reach: float) -> tuple[Shape, dict[str, str]]:
        """Return the shape with every number filled in, and why some are not determined by the data.

        Parameters
        ----------
        solution : Solution
        reach : float
            Farthest state of any fitted curve in this direction, mirrored.
        """

    def fixed_values(self, values: Mapping[str, float]) -> dict[str, float | bool]:
        """Return further device parameters that follow from the fitted ones."""
        return {}


def step_scales(values: Mapping[str, float]) -> tuple[float, float]:
    """Return the step scales ``(s_up, s_down)`` of ``dw_min`` and ``up_down``.

    Only the weaker direction is reduced: ``s_up = dw_min * (1 + min(up_down, 0))``,
    ``s_down = dw_min * (1 - max(up_down, 0))``.
    """
    asymmetry = values["up_down"]
    dw_min = values["dw_min"]
    return dw_min * (1 + min(asymmetry, 0.0)), dw_min * (1 - max(asymmetry, 0.0))


def dw_min_and_up_down(s_up: float, s_down: float) -> dict[str, float]:
    """Return ``dw_min`` and ``up_down`` of two step scales; the inverse of `step_scales`."""
    if s_up >= s_down:
        return {"dw_min": s_up, "up_down": 1 - s_down / s_up}
    return {"dw_min": s_down, "up_down": s_up / s_down - 1}
