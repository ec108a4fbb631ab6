# SPDX-License-Identifier: Apache-2.0
"""Drift exponents device by device, and how their mean and spread depend on the conductance."""

from __future__ import annotations

from dataclasses import dataclass

import lmfit
import numpy as np

from ..errors import refusal
from .data import MIN_CELLS, Relaxation
from .moments import Moments

MIN_TIMES, MIN_DECADES = 3, 1.5
"""Reads and decades of time without which a slope says nothing."""

LEAST_SHARE = 1e-3


@dataclass(frozen=True, eq=False)
class Exponents:
    """Statistics of drift exponents over the conductance.

    Attributes
    ----------
    r : array, (level,)
        First reading over the largest level's.
    mean, mean_se, spread, spread_se : array, (level,)
        Of the exponents, corrected for the error of each device's own regression.
    laws : dict of str to dict of str to tuple
        ``mean`` and ``std`` to ``slope``, ``offset``, ``min``, ``max``, each a value and its standard error.
    """

    r: np.ndarray
    mean: np.ndarray
    mean_se: np.ndarray
    spread: np.ndarray
    spread_se: np.ndarray
    laws: dict[str, dict[str, tuple[float, float]]]

    def parameters(self) -> dict[str, float]:
        """Return the drift parameters of `engine.inference.noise.pcm.Pcm`."""
        return {f"nu_{of}_{name}": pair[0] for of, law in self.laws.items() for name, pair in law.items()}


def exponent_statistics(data: Relaxation, found: Moments) -> Exponents:
    """Fit ``clip(slope ln r + offset, min, max)`` to mean and spread of the devices' exponents.

    A device's exponent is the slope of ln G over ln t; the variance of its error is taken off the observed variance.

    Raises
    ------
    MeasuredDataError
        If there are fewer than three times or less than one and a half decades.
    """
    t0 = found.t_first_s if found.t_first_s > 0 else float(found.t_s[0]) / 2
    times = np.concatenate([[t0], found.t_s])
    decades = float(np.log10(times[-1] / times[0]))
    if times.size < MIN_TIMES or decades < MIN_DECADES:
        rule, allowed = "are too few for drift exponents", f"{MIN_TIMES} times over {MIN_DECADES} decades"
        raise refusal(f"times of {data.source}", f"{times.size} over {decades:.2g} decades", rule, allowed,
                      "Read at later times too.")  # fmt: skip
    nu, se = _slopes(np.log(times / t0), data.g_us)
    rows = []
    for level, g in zip(found.level, found.g_us, strict=True):
        at = (data.level == level) & np.isfinite(nu)
        if at.sum() >= MIN_CELLS:
            own = max(float(nu[at].var(ddof=1) - (se[at] ** 2).mean()), 0.0)
            n, sd = at.sum(), nu[at].std(ddof=1)
            spread = np.sqrt(own)
            spread_se = sd**2 / max(spread, 0.1 * sd) / np.sqrt(2 * n)  # of the variance, by its derivative
            rows.append((g / found.g_max_us, nu[at].mean(), sd / np.sqrt(n), spread, spread_se))
    r, mean, mean_se, spread, spread_se = np.array(rows).T
    laws = {"mean": _clipped(r, mean, mean_se), "std": _clipped(r, spread, spread_se)}
    return Exponents(r, mean, mean_se, spread, spread_se, laws)


def _slopes(x: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each device's exponent and its standard error, (device,); NaN where there are too few reads above 0."""
    good = np.isfinite(g) & (g > 0)
    y = np.log(np.where(good, g, 1.0))
    n = good.sum(1)
    enough = n >= MIN_TIMES
    count = np.maximum(n, 1)
    mean_x, mean_y = (good * x).sum(1) / count, (good * y).sum(1) / count
    dx, dy = good * (x - mean_x[:, None]), good * (y - mean_y[:, None])
    sxx = np.maximum((dx**2).sum(1), 1e-12)
    slope = (dx * dy).sum(1) / sxx
    rest = ((dy - slope[:, None] * dx) ** 2).sum(1) / np.maximum(n - 2, 1)
    return np.where(enough, -slope, np.nan), np.where(enough, np.sqrt(rest / sxx), np.nan)


def _clipped(r: np.ndarray, y: np.ndarray, se: np.ndarray) -> dict[str, tuple[float, float]]:
    """Fit ``clip(slope ln r + offset, min, max)``."""
    p = lmfit.Parameters()
    x = np.log(np.maximum(r, LEAST_SHARE))
    slope, offset = np.polyfit(x, y, 1, w=1 / se)
    p.add("slope", float(slope))
    p.add("offset", float(offset))
    p.add("min", max(float(np.min(y)), 0.0), min=0.0, max=1.0)
    p.add("span", max(float(np.max(y) - np.min(y)), 1e-4), min=0.0, max=1.0)
    p.add("max", expr="min + span")

    def away(q: lmfit.Parameters) -> np.ndarray:
        line = q["slope"].value * x + q["offset"].value
        return (np.clip(line, q["min"].value, q["max"].value) - y) / se

    # The clip has corners: a simplex finds them, Levenberg-Marquardt gives the errors.
    rough = lmfit.minimize(away, p, method="nelder")
    best = lmfit.minimize(away, rough.params)
    best = best if best.chisqr <= rough.chisqr else rough
    nan = float("nan")
    return {n: (float(best.params[n].value), float(best.params[n].stderr or nan)) for n in ("slope", "offset", "min",
                                                                                            "max")}  # fmt: skip
