# SPDX-License-Identifier: Apache-2.0
"""A population of a curved class by its marginal likelihood: the numbers of single devices are integrated out.

A random-effects model takes the likelihood of a device as normal. That of a power step is not: a bound a little nearer
with a smaller exponent loses little, one much farther with a larger exponent loses no more. The mode then lies nearer
than the mean, and a population of modes has bounds too near and exponents too small.

Here mean and spread of the population maximise the product over devices of ``integral L_i(z) N(z; mu, T) dz`` (EM;
Dempster, Laird, Rubin, J. R. Stat. Soc. B 39, 1977, 1). The integrals are sums over draws around each device, weighted
by what likelihood and distribution say of them. z are the quantities that the class itself draws as normal numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .device_fit import DeviceFit
from .expansion import Mode, expanded, near_population
from .objective import Objective

FEWEST = 5
"""Devices from which their distribution is taken."""

DRAWS = 200
FREEDOM = 8
"""Degrees of freedom of Student's t that draws come from: its tails are heavier than those of any of the targets."""

WIDER = 1.4
"""Variance of the draws over that of the target."""

ROUNDS = 2
"""Times that draws are made anew, around where the devices were found to be."""

THIN, MORE = 40.0, 4
"""Draws' worth (of equal weight) below which a device gets more, and times that this is tried."""

STEPS = 60
NEAR = 0.01
"""Move of the mean, in standard errors, at which it has settled."""

NARROW = 0.25
"""Least variance over devices, as a share of the variance of a typical device's own error.

Where devices differ by less, what they say themselves cannot be told from the noise of the draws, and they are judged
near the population as if each likelihood were normal there.
"""

LEAST = 1e-3
"""Least variance of a device's error, as a share of that over devices: none would count as a number that is held."""

STEP = 1e-4
"""For slopes of quantities, on the search scale."""


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Draws around one device.

    Attributes
    ----------
    u, z : numpy.ndarray
        ``(draws, coordinates)`` on the search scale, and the quantities there.
    log_weight : numpy.ndarray
        ``(draws,)`` log likelihood less the log density of ``z`` among the draws.
    """

    u: np.ndarray
    z: np.ndarray
    log_weight: np.ndarray


@dataclass(frozen=True, eq=False)
class _Found:
    """Population and devices after some steps of EM.

    Attributes
    ----------
    mean, spread : numpy.ndarray
        ``(q,)`` and ``(q, q)`` of the population.
    means, covariances : numpy.ndarray
        ``(devices, q)`` and ``(devices, q, q)`` of each device, given its readings and the population.
    weights : list of numpy.ndarray
        ``(draws,)`` of each device.
    narrow : bool
        Whether some variance of ``spread`` is the least one that is allowed.
    """

    mean: np.ndarray
    spread: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    weights: list[np.ndarray]
    narrow: bool


def marginal(fits: Sequence[DeviceFit], shared: Sequence[str]) -> list[DeviceFit]:
    """Return fits whose quantities pool to the estimate of the marginal likelihood.

    Parameters
    ----------
    fits : sequence of DeviceFit
        At common noise, all of one curved class.
    shared : sequence of str
        Coordinates that are one for all devices; they stay.

    Notes
    -----
    A device's quantities become ``mu + n H^-1 s_i`` with its score ``s_i = T^-1 (E z_i - mu)`` and the information of
    all devices H; their error is by how much these scatter more than T.
    For normal likelihoods both are as they were. The draws are the same at every call.
    """
    free = _free(fits, shared)
    if len(fits) < FEWEST or not free:
        return list(fits)
    whole = [_freed(f, [*free, *shared]) for f in fits]
    blocks = _blocks(whole[0], free)
    names = [n for block in blocks for n in block]
    at = np.array([whole[0].objective.names.index(n) for n in free])
    if len(names) == len(free):
        found, quantities = _population(whole, at, names, blocks)
        if not found.narrow:
            return _as_fits(whole, at, found, quantities)
    return expanded(fits, shared)


def _free(fits: Sequence[DeviceFit], shared: Sequence[str]) -> list[str]:
    """Return the coordinates that more than half of the devices tell."""
    every = dict.fromkeys(n for f in fits for n in f.objective.names if n not in shared)
    return [n for n in every if sum(n in f.objective.names for f in fits) > len(fits) / 2]


def _freed(fit: DeviceFit, names: Sequence[str]) -> DeviceFit:
    """Return the fit with just these coordinates free, in the class order: the population helps with them."""
    old, values = fit.objective, {n: float(v[0]) for n, v in fit.values().items()}
    if set(old.names) == set(names):
        return fit
    full = Objective.of(old.candidate, old.device, {n: v for n, v in values.items() if n not in names})
    u = np.array([c.inward(values.get(c.name, c.start)) for c in full.coordinates])
    kept = {n: why for n, why in fit.held.items() if n not in names}
    return replace(fit, objective=full, u=u, covariance=np.eye(u.size), held=kept)


def _blocks(fit: DeviceFit, free: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the quantities that are drawn together; a bound that few devices tell is none of them."""
    idle = {"w_max", "w_min"} - set(free)
    blocks = (tuple(n for n in effect.drawn() if n not in idle) for effect in fit.candidate.effects)
    return [block for block in blocks if block]


def _population(
    fits: Sequence[DeviceFit], at: np.ndarray, names: Sequence[str], blocks: Sequence[Sequence[str]]
) -> tuple[_Found, Callable]:
    """Return the maximum of the marginal likelihood, and the quantities as a function of a device's search scale."""
    mask = np.array([[any(a in b and c in b for b in blocks) for c in names] for a in names])

    def quantities(fit: DeviceFit, u: np.ndarray) -> np.ndarray:
        found = fit.candidate.natural(fit.values(u))
        return np.stack([np.broadcast_to(found[n], u.shape[0]) for n in names], axis=1)

    modes, widths = near_population(fits, [at] * len(fits))
    places = [[(m.u, c)] for m, c in zip(modes, widths, strict=True)]
    z = np.array([quantities(f, _placed(f, at, p[0][0][None]))[0] for f, p in zip(fits, places, strict=True)])
    mean, spread = z.mean(0), np.cov(z.T)
    own = _own(fits, at, modes, quantities)
    clouds = [_cloud(f, at, p, quantities, k) for k, (f, p) in enumerate(zip(fits, places, strict=True))]
    for again in range(1, ROUNDS + MORE):
        found = _settled(clouds, mean, spread, mask, own)
        mean, spread = found.mean, found.spread
        thin = [1 / (w @ w) < THIN for w in found.weights]
        if again >= ROUNDS and not any(thin):
            break
        for k, fit in enumerate(fits):
            if thin[k] or again < ROUNDS:
                centre, width = _moments(found.weights[k], clouds[k].u)
                places[k] = [*places[k], (centre, width + places[k][-1][1])] if thin[k] else [(centre, width)]
                clouds[k] = _cloud(fit, at, places[k], quantities, len(fits) * again + k)
    return _settled(clouds, mean, spread, mask, own), quantities


def _own(fits: Sequence[DeviceFit], at: np.ndarray, modes: Sequence[Mode], quantities: Callable) -> np.ndarray:
    """Return the variance of a typical device's own error, ``(q,)``, by the information at its mode."""
    found = []
    for fit, mode in zip(fits, modes, strict=True):
        slopes = _slopes(fit, at, _placed(fit, at, mode.u[None])[0], quantities)
        found.append(np.diag(slopes @ np.linalg.pinv(mode.information, 1e-6, hermitian=True) @ slopes.T))
    return np.median(found, axis=0)


def _slopes(fit: DeviceFit, at: np.ndarray, u: np.ndarray, quantities: Callable) -> np.ndarray:
    """Return the slopes of quantities over the search scale, ``(q, coordinates)``."""
    moved = [np.where(np.arange(u.size) == k, STEP, 0.0) for k in at]
    each = [(quantities(fit, (u + m)[None])[0] - quantities(fit, (u - m)[None])[0]) / (2 * STEP) for m in moved]
    return np.stack(each, axis=1)


def _placed(fit: DeviceFit, at: np.ndarray, points: np.ndarray) -> np.ndarray:
    u = np.tile(fit.u, (len(points), 1))
    u[:, at] = points
    return u


def _cloud(
    fit: DeviceFit, at: np.ndarray, places: Sequence[tuple[np.ndarray, np.ndarray]], quantities: Callable, seed: int
) -> _Cloud:
    """Return draws from Student's t around places, each a point and a covariance, in pairs on either side of them."""
    n, rng = at.size, np.random.default_rng(seed)
    roots = [np.linalg.cholesky(WIDER * c + 1e-12 * np.trace(c) * np.eye(n)) for _, c in places]
    parts = []
    for (point, _), root in zip(places, roots, strict=True):
        half = rng.standard_normal((DRAWS // 2, n)) / np.sqrt(rng.chisquare(FREEDOM, (DRAWS // 2, 1)) / FREEDOM)
        parts.append(point + np.concatenate([half, -half]) @ root.T)
    drawn = np.concatenate(parts)
    each = [_log_density(drawn - point, root) for (point, _), root in zip(places, roots, strict=True)]
    u = _placed(fit, at, drawn)
    moved = [np.where(np.arange(u.shape[1]) == k, STEP, 0.0) for k in at]
    slopes = [(quantities(fit, u + m) - quantities(fit, u - m)) / (2 * STEP) for m in moved]
    volume = np.linalg.slogdet(np.stack(slopes, axis=2))[1]
    return _Cloud(drawn, quantities(fit, u), fit.objective.values(u) - np.logaddexp.reduce(each, axis=0) + volume)


def _log_density(away: np.ndarray, root: np.ndarray) -> np.ndarray:
    """Return the logarithm of Student's density up to a constant."""
    t = np.linalg.solve(root, away.T)
    return -0.5 * (FREEDOM + len(t)) * np.log1p((t**2).sum(0) / FREEDOM) - np.log(np.diag(root)).sum()


def _settled(
    clouds: Sequence[_Cloud], mean: np.ndarray, spread: np.ndarray, mask: np.ndarray, own: np.ndarray
) -> _Found:
    """Return the population at which EM stands still on these draws."""
    n = len(clouds)
    spread, _ = _wide(np.where(mask, spread, 0.0), own, mean)
    for _ in range(STEPS):
        inverse = np.linalg.inv(spread)
        weights = [_weights(cloud, mean, inverse) for cloud in clouds]
        each = [_moments(w, cloud.z) for w, cloud in zip(weights, clouds, strict=True)]
        means, covariances = (np.array(part) for part in zip(*each, strict=True))
        before, mean = mean, means.mean(0)
        away = means - mean
        new = np.where(mask, (away.T @ away + covariances.sum(0)) / (n - 1), 0.0)
        error = np.sqrt(np.diag(new) / n)
        spread, floored = _wide(new, own, mean)
        if (np.abs(mean - before) < NEAR * error).all():
            break
    return _Found(mean, spread, means, covariances, weights, bool(floored.any()))


def _weights(cloud: _Cloud, mean: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    away = cloud.z - mean
    log = cloud.log_weight - 0.5 * np.einsum("ki,ij,kj->k", away, inverse, away)
    found = np.exp(log - log.max())
    return found / found.sum()


def _moments(weights: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = weights @ values
    away = values - mean
    return mean, (weights[:, None] * away).T @ away


def _wide(spread: np.ndarray, own: np.ndarray, mean: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the spread with no variance less than a share of the devices' own error ``own``, and where it was less."""
    scale = np.maximum(np.abs(mean), 1e-9)
    least = np.maximum(NARROW * np.minimum(own, scale**2), (1e-3 * scale) ** 2)
    size = np.sqrt(np.maximum(np.diag(spread), least))
    root, axes = np.linalg.eigh(
        spread / np.outer(size, size) + np.diag(np.maximum(least - np.diag(spread), 0) / size**2)
    )
    return (axes * np.maximum(root, 1e-3)) @ axes.T * np.outer(size, size), np.diag(spread) < least


def _as_fits(fits: Sequence[DeviceFit], at: np.ndarray, found: _Found, quantities: Callable) -> list[DeviceFit]:
    """Return fits at one point, from which each has its own way to its quantities, straight and with one error."""
    n, inverse = len(fits), np.linalg.inv(found.spread)
    information = sum(inverse - inverse @ c @ inverse for c in found.covariances)
    root, axes = np.linalg.eigh(information)
    whole = n * (axes / np.maximum(root, 1e-9 * root[-1])) @ axes.T
    values = found.mean + (found.means - found.mean) @ inverse @ whole.T
    # So that the spread that is pooled from these is the one found here.
    apart = np.atleast_2d(np.cov(values.T)) - found.spread
    size = np.sqrt(np.diag(found.spread))
    root, axes = np.linalg.eigh(np.where(_same_block(found.spread), apart, 0.0) / np.outer(size, size))
    error = (axes * np.maximum(root, LEAST)) @ axes.T * np.outer(size, size)
    made = []
    for fit, value in zip(fits, values, strict=True):
        u = _nearest(fit, at, found.mean, quantities)
        slopes = _slopes(fit, at, u, quantities)
        back = np.linalg.inv(slopes)
        covariance, shift = np.zeros((u.size, u.size)), np.zeros(u.size)
        covariance[np.ix_(at, at)] = back @ error @ back.T
        shift[at] = back @ (value - quantities(fit, u[None])[0])
        made.append(replace(fit, u=u, covariance=covariance, shift=shift))
    return made


def _same_block(spread: np.ndarray) -> np.ndarray:
    return (spread != 0) | np.eye(len(spread), dtype=bool)


def _nearest(fit: DeviceFit, at: np.ndarray, mean: np.ndarray, quantities: Callable) -> np.ndarray:
    """Return the point of the search scale that has the mean's quantities, by Newton's method from the fit's own."""
    u = fit.u.copy()
    for _ in range(30):
        missing = mean - quantities(fit, u[None])[0]
        if np.abs(missing).max() < 1e-9 * np.abs(mean).max():
            break
        slopes = _slopes(fit, at, u, quantities)
        u[at] += np.clip(np.linalg.solve(slopes, missing), -0.5, 0.5)
    return u
