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
"""Ranges of the data from the origin beyond which a bound may count as not there."""

NOTHING = 0.5
"""Loss of log likelihood that counts as none: that of one standard error."""

SCAN = 18
"""Hard bounds tried on each side, besides the level where ramps end."""

TINY = 1e-12
"""Noise that is none."""

LIMIT = 1.92
"""Loss of log likelihood at the end of a 95 % interval: half of 1.96 squared."""

WEAKEST = 1e-3
"""Least eigenvalue of the scaled information; a smaller one is a direction the data say nothing about."""

HARDLY = 3.0
"""Gain in log likelihood (3.0: probability 1.4 % by chance for one bound) below which readings do not stop at it."""


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
        Coordinates that were held: ``far`` for a bound out of reach, ``nothing`` for noise that is not seen.
    shift : numpy.ndarray or None
        ``(coordinates,)`` from ``u`` to the estimate, where quantities are to be taken as straight between the two.
    """

    candidate: Candidate
    objective: Objective
    u: np.ndarray
    covariance: np.ndarray
    log_likelihood: float
    converged: bool
    weak: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    shift: np.ndarray | None = None

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
            rows = quantity(self.values(self.u + moves))
            found = np.array([np.broadcast_to(np.asarray(r, float), len(moves)) for r in rows])  # (q, sets)
        n = self.u.size
        slopes = np.nan_to_num((found[:, 1 : n + 1] - found[:, n + 1 :]) / (2 * step))
        value = found[:, 0] if self.shift is None else found[:, 0] + slopes @ self.shift
        return value, slopes @ self.covariance @ slopes.T


def fit_device(
    candidate: Candidate, device: Observed, start: Mapping[str, float] | None = None, *, elsewhere: bool = True
) -> DeviceFit:
    """Fit a candidate as it stands (no variants).

    Parameters
    ----------
    candidate : Candidate
    device : Observed
    start : dict, optional
        Start values by coordinate, for those that should not come from the scene.
    elsewhere : bool
        Also begin at the candidate's other starts.
    """
    objective, best = found(candidate, device, start, elsewhere=elsewhere)
    held = {n: "nothing" if v == 0.0 else "far" for n, v in objective.held.items()}
    return finished(objective, best, held)


def found(
    candidate: Candidate, device: Observed, start: Mapping[str, float] | None = None, *, elsewhere: bool = True
) -> tuple[Objective, Optimum]:
    """Return the maximum of the likelihood and its objective, in which numbers that ran away are held."""
    objective = Objective.of(candidate, device)
    begins = [
        scanned(objective, _begin(objective, start or {})),
        *(scanned(objective, _begin(objective, o)) for o in (candidate.other_starts() if elsewhere else ())),
    ]
    best = max((maximise(objective, begin) for begin in begins), key=lambda found: found.log_likelihood)
    objective, best = _with_far_bounds(objective, best)
    return _without(objective, best, _silent_noise(objective, best))


def _begin(objective: Objective, values: Mapping[str, float]) -> np.ndarray:
    """Return the objective's own start with some values put in."""
    begin = objective.start()
    for i, c in enumerate(objective.coordinates):
        if values.get(c.name):
            begin[i] = c.inward(values[c.name])
    return begin


def scanned(objective: Objective, begin: np.ndarray) -> np.ndarray:
    """Return a start whose hard bounds are the likeliest of a grid, with steps as they are or larger.

    The likelihood has one maximum for every level that some readings rest at, and a plateau in the data makes the steps
    of the scene too small.
    """
    names = objective.names
    if not objective.candidate.hard_bounds or not {"w_max", "w_min"} & set(names):
        return begin
    scene = objective.candidate.scene
    middle = (scene.low + scene.high) / 2
    edges = {"w_max": (scene.reading_high, 1), "w_min": (scene.reading_low, -1)}
    for name in (n for n in ("w_max", "w_min", "w_max") if n in names):
        edge, way = edges[name]
        places = [*(middle + (edge - middle) * np.linspace(0.4, 1.05, SCAN)), scene.rest.get(way, edge)]
        trials = [_moved(objective, begin, name, w, f) for w in places if w * way > 0 for f in (False, True)]
        if trials:
            begin = trials[int(objective.values(np.array(trials)).argmax())]
    trials = [begin, *_rested(objective, begin)]
    return trials[int(objective.values(np.array(trials)).argmax())]


def _rested(objective: Objective, u: np.ndarray) -> list[np.ndarray]:
    """Return points with both bounds where ramps end, over a grid of noise.

    Readings that rest leave the moments too much noise of the steps, with which no bound is likely.
    """
    scene, names = objective.candidate.scene, objective.names
    rest = u.copy()
    for name, way in (("w_max", 1), ("w_min", -1)):
        if name in names and scene.rest.get(way, 0.0) * way > 0:
            rest[names.index(name)] = objective.coordinates[names.index(name)].inward(scene.rest[way])
    grids = {"dw_min_std": np.geomspace(0.05, 1.0, 5), "write_std": scene.step_std * np.geomspace(0.03, 1.0, 4)}
    points = [rest]
    for i, c in enumerate(objective.coordinates):
        if c.name in grids:
            points = [np.where(np.arange(u.size) == i, c.inward(v), point) for point in points for v in grids[c.name]]
    return points


def _moved(objective: Objective, u: np.ndarray, name: str, value: float, fast: bool) -> np.ndarray:
    """Return a point with one bound elsewhere; ``fast`` with steps as large as in the first part of the ramps."""
    scene, moved = objective.candidate.scene, u.copy()
    start = dict(zip(objective.names, objective.start(), strict=True))
    hurry = {f"s_{n}": np.log(scene.hurry(way)) for n, way in (("up", 1), ("down", -1))}
    for i, c in enumerate(objective.coordinates):
        if c.name == name:
            moved[i] = c.inward(value)
        elif fast and c.name in hurry:
            moved[i] = start[c.name] + hurry[c.name]
        elif fast and c.name == "write_std":  # plateaus leave the moments little to tell it by
            moved[i] = max(start[c.name], np.log(scene.step_std))
    return moved


def _without(objective: Objective, best: Optimum, away: Mapping[str, float]) -> tuple[Objective, Optimum]:
    """Return objective and optimum with some coordinates held; the rest is searched anew, from two starts."""
    if not away:
        return objective, best
    kept = [i for i, c in enumerate(objective.coordinates) if c.name not in away]
    rest = Objective.of(objective.candidate, objective.device, {**objective.held, **away})
    starts = [best.u[kept], rest.start()]
    return rest, maximise(rest, max(starts, key=lambda u: float(rest.values(u)[0])))


def _with_far_bounds(objective: Objective, best: Optimum) -> tuple[Objective, Optimum]:
    """Return objective and optimum with bounds that ran away held as near as the likelihood does not mind."""
    span = objective.candidate.scene.span
    x = {n: float(v[0]) for n, v in objective.outward(best.u).items()}
    away = {n: np.sign(x[n]) for n in ("w_max", "w_min") if n in objective.names and abs(x[n]) > BEYOND * span}
    nearer = objective, best
    for distance in (BEYOND, 10 * BEYOND, 1000 * BEYOND):
        nearer = _without(objective, best, {n: float(sign * distance * span) for n, sign in away.items()})
        if nearer[1].log_likelihood > best.log_likelihood - NOTHING:
            break
    return nearer


def _silent_noise(objective: Objective, best: Optimum) -> dict[str, float]:
    """Return noise without which the data are as likely, by name, and the value it is held at: 0."""
    found = {}
    for name in ("write_std", "read_std", "dw_min_std"):
        if name in objective.names and len(found) == 0 and _loss(objective, best, name, TINY) < NOTHING:
            found[name] = 0.0
    return found


def _loss(objective: Objective, best: Optimum, name: str, value: float) -> float:
    """Return how much the log likelihood falls when one coordinate is put elsewhere, the others as they are."""
    u = best.u.copy()
    i = objective.names.index(name)
    u[i] = objective.coordinates[i].inward(value)
    return best.log_likelihood - float(objective.values(u)[0])


def upper_limit(fit: DeviceFit, name: str) -> float:
    """Return the value of a noise held at 0 at which the log likelihood has fallen by 1.92 (95 %)."""
    free = Objective.of(fit.candidate, fit.device, {n: v for n, v in fit.objective.held.items() if n != name})
    i = free.names.index(name)
    places = np.geomspace(1e-3, 1e3, 60) * abs(free.coordinates[i].start)
    u = np.tile(np.insert(fit.u, i, 0.0), (places.size, 1))
    u[:, i] = [free.coordinates[i].inward(p) for p in places]
    lost = fit.log_likelihood - free.values(u)
    beyond = np.flatnonzero(lost > LIMIT)
    return float(places[beyond[0]]) if beyond.size else float(places[-1])


def finished(objective: Objective, best: Optimum, held: Mapping[str, str]) -> DeviceFit:
    """Return the fit with its covariance; one Newton step if it gains."""
    u, scale = best.u, scale_at(objective, best.u, best.scale)
    covariance, weak, step = _inverse(objective, u, scale)
    value = best.log_likelihood
    nearer = float(objective.values(u + step)[0])
    if nearer > value:
        u, value = u + step, nearer
    u = u + _restricted(objective, u, scale, covariance)
    return DeviceFit(objective.candidate, objective, u, covariance, value, best.converged, weak, held)


def _inverse(objective: Objective, u: np.ndarray, scale: np.ndarray) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """Return the covariance, the coordinates of weak directions, and a Newton step that leaves those alone."""
    information = objective.bend_of_errors(u, scale, WEAKEST)
    root, directions = np.linalg.eigh(np.nan_to_num(information))
    faint = root < WEAKEST
    weak = tuple(n for n, d in zip(objective.names, np.abs(directions[:, faint]).T.max(0) if faint.any() else
                                   np.zeros(u.size), strict=True) if d > 0.3)  # fmt: skip
    scaled = (directions / np.maximum(root, WEAKEST)) @ directions.T
    slope = objective.slopes(u, scale)[0]
    firm = directions[:, ~faint]
    step = scale * (firm @ ((firm.T @ slope) / root[~faint]))
    return scaled * np.outer(scale, scale), weak, np.clip(step, -scale, scale)


def _restricted(objective: Objective, u: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Return the way from the maximum of the likelihood to that of the restricted one, ``(coordinates,)``."""
    slope = restricted_slope(objective, u, scale)
    return np.clip(covariance @ slope, -scale, scale)


def restricted_slope(
    objective: Objective, u: np.ndarray, scale: np.ndarray, own: np.ndarray | None = None
) -> np.ndarray:
    """Return the slope of what the restricted likelihood adds, ``(coordinates,)``.

    ``own`` are the coordinates of the curve that these data alone determine, by default all but the noise: a shape that
    many devices share takes up next to nothing of the noise of one.

    A curve fitted to the data takes up part of the noise, which therefore comes out too small; the restricted
    likelihood adds ``-log det(information of the curve) / 2`` ("Recovery of inter-block information when block sizes
    are unequal", Biometrika 58, 1971; "Parameter orthogonality and approximate conditional inference", JRSS B 49,
    1987). The noise of a step counts in weight units here: relative to the step it would move with the curve.
    """
    noise = np.array(["noise" in n or n.endswith("_std") for n in objective.names])
    if noise.all() or not noise.any():
        return np.zeros(u.size)
    turn = _in_weight_units(objective, u, scale)  # coordinates with absolute noise = turn @ coordinates
    curve = (np.linalg.inv(turn) * scale / scale[:, None])[:, ~noise if own is None else own]
    slope = np.zeros(u.size)
    for j in np.flatnonzero(noise):
        sides = [_information_of(objective, u, scale, curve, j, sign) for sign in (1, -1)]
        slope[j] = -0.5 * (sides[0] - sides[1]) / (0.4 * scale[j])
    return turn.T @ slope


def _information_of(objective: Objective, u, scale, curve: np.ndarray, j: int, sign: int) -> float:
    """Return log det of the information of the curve with one noise moved."""
    moved = u.copy()
    moved[j] += sign * 0.2 * scale[j]
    information = curve.T @ objective.slopes(moved, scale)[1] @ curve
    return float(np.log(np.maximum(np.linalg.eigvalsh(information), WEAKEST)).sum())


def _in_weight_units(objective: Objective, u: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the matrix that turns the logarithm of relative step noise into that of the noise in weight units."""
    turn = np.eye(u.size)
    moves = np.concatenate([np.eye(u.size), -np.eye(u.size)]) * 0.02 * scale
    with np.errstate(all="ignore"):
        levels = objective.candidate.noise_levels(objective.outward(u + moves))
        for name in (n for n in levels if n in objective.names):
            level = np.log(np.maximum(levels[name], 1e-300))
            turn[objective.names.index(name)] += np.nan_to_num((level[: u.size] - level[u.size :]) / (0.04 * scale))
    return turn


def stops_at(fit: DeviceFit, name: str) -> bool:
    """Return whether readings stop at a hard bound: taking it away costs more than `HARDLY`."""
    if name not in fit.objective.names:
        return False
    i = fit.objective.names.index(name)
    u = fit.u.copy()
    u[i] = np.log(FAR * fit.candidate.scene.span)
    return float(fit.objective.values(fit.u)[0] - fit.objective.values(u)[0]) > HARDLY
