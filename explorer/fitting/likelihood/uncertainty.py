# SPDX-License-Identifier: Apache-2.0
"""Errors that do not rest on a normal approximation: profile likelihoods and the parametric bootstrap, on request."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.rng import derive_seed

from ..errors import refusal
from ..measured import Measured
from ..normalise import Normalised
from . import candidates
from .assemble import of_one, settle
from .device_fit import DeviceFit, fit_device
from .fit import Prepared, prepare, quiet
from .objective import Objective
from .optimise import maximise
from .selection import Bench, Told, best_form
from .simulate import readings_of

POINTS = 15
REACH = 3.5
"""Standard errors that a profile covers each way."""

DROP = 1.920729
"""Half the 95 % quantile of chi-square with one degree of freedom."""


@dataclass(frozen=True)
class Profile:
    """The likelihood along one coordinate of the search, all others at their best.

    Attributes
    ----------
    name : str
    value : list of float
        ``(points,)``.
    drop : list of float
        ``(points,)`` loss of log likelihood.
    low, high : float
        Where it is 1.92: the 95 % interval; infinite (or 0) where the data set no limit.
    """

    name: str
    value: list[float]
    drop: list[float]
    low: float
    high: float


def profile(
    measured: Measured | Normalised | Prepared, model: str, name: str, *, device: int = 0, told: Told = quiet
) -> Profile:
    """Return the profile likelihood of one coordinate of one device.

    Parameters
    ----------
    name : str
        A coordinate such as ``s_up``, ``w_max``, ``dw_min_std``, ``write_std``.
    device : int
        Which device, in the order of the data.

    Raises
    ------
    MeasuredDataError
        If the class has no such coordinate, or it was held because nothing depends on it.
    """
    fit = _fitted(measured, model, told)[device]
    if name not in fit.objective.names:
        known = ", ".join(fit.objective.names)
        raise refusal("profile name", name, f"is no free coordinate of {model}", known, "Choose one of these.")
    i = fit.objective.names.index(name)
    c = fit.objective.coordinates[i]
    centre, width = fit.u[i], np.sqrt(fit.covariance[i, i])
    places = centre + np.linspace(-REACH, REACH, POINTS) * min(width, 3.0)
    drop = _walk(fit, i, places, told)
    value = np.array([float(c.outward(np.array(p))) for p in places])
    ends = sorted((_crossing(places, drop, -1), _crossing(places, drop, 1)))
    low, high = (float(c.outward(np.array(e))) if np.isfinite(e) else _open(c, e) for e in ends)
    return Profile(name, value.tolist(), drop.tolist(), min(low, high), max(low, high))


def _open(c, end: float) -> float:
    """Return an end without limit: 0 or infinity on a logarithmic scale."""
    if c.logarithmic:
        return 0.0 if end < 0 else float(np.sign(c.start) * np.inf)
    return end


def _walk(fit: DeviceFit, i: int, places: np.ndarray, told: Told) -> np.ndarray:
    """Return the loss at each place, walking outwards so that every search starts near its end."""
    c = fit.objective.coordinates[i]
    best = np.empty(places.size)
    middle = places.size // 2
    for side in (range(middle, places.size), range(middle - 1, -1, -1)):
        u = np.delete(fit.u, i)
        for k in side:
            held = {**fit.objective.held, c.name: float(c.outward(np.array(places[k])))}
            rest = Objective.of(fit.objective.candidate, fit.device, held)
            found = maximise(rest, u)
            best[k], u = found.log_likelihood, found.u
            told(k / places.size, f"profile of {c.name}")
    return max(fit.log_likelihood, best.max()) - best


def _crossing(places: np.ndarray, drop: np.ndarray, way: int) -> float:
    """Return where the loss passes 1.92 on one side of its minimum, by interpolation; infinite if nowhere."""
    k = int(drop.argmin())
    x, y = (places[k:], drop[k:]) if way > 0 else (places[k::-1], drop[k::-1])
    beyond = np.flatnonzero(y > DROP)
    if not beyond.size:
        return way * np.inf
    j = int(beyond[0])
    return float(np.interp(DROP, [y[j - 1], y[j]], [x[j - 1], x[j]]))


@dataclass(frozen=True)
class Bootstrap:
    """Parameters fitted to data simulated from the fit.

    Attributes
    ----------
    names : list of str
    values : list of list of float
        ``(replicates, parameter)``.
    stderr, low, high : dict of str to float
        Standard deviation, and 2.5 and 97.5 percentile, over the replicates.
    bias : dict of str to float
        Median of the replicates less the estimate.
    """

    names: list[str]
    values: list[list[float]]
    stderr: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]
    bias: dict[str, float]


def bootstrap(
    measured: Measured | Normalised | Prepared, model: str, n: int = 100, seed: int = 0, *, device: int = 0,
    told: Told = quiet,
) -> Bootstrap:  # fmt: skip
    """Return the parametric bootstrap of one device: simulate its readings ``n`` times, fit each.

    Raises
    ------
    MeasuredDataError
        If ``n`` is below 2.
    """
    if n < 2:
        raise refusal("bootstrap n", n, "must be more than one", "2, 3, ...", "Ask for more replicates.")
    fit = settle(_fitted(measured, model, told)[device : device + 1])[0]
    parameters, _ = of_one(fit)
    names = list(parameters)
    start = {k: float(v[0]) for k, v in fit.values().items()}
    rows = []
    for k in range(n):
        told(k / n, f"bootstrap {k + 1} of {n}")
        fresh = readings_of(fit, derive_seed(seed, "bootstrap", k))
        again = fit_device(fit.objective.candidate, replace(fit.device, readings=fresh), start)
        found, _ = of_one(replace(again, candidate=fit.candidate))
        rows.append([found[name].value for name in names])
    table = np.array(rows)
    centre = np.array([parameters[name].value for name in names])
    columns = [table.std(0, ddof=1), *np.percentile(table, (2.5, 97.5), 0), np.median(table, 0) - centre]
    return Bootstrap(names, table.tolist(), *(dict(zip(names, c.tolist(), strict=True)) for c in columns))


def _fitted(measured: Measured | Normalised | Prepared, model: str, told: Told) -> list[DeviceFit]:
    data = measured if isinstance(measured, Prepared) else prepare(measured)
    return best_form(candidates.get(model), Bench(data.bench.devices, data.bench.scenes), told)
