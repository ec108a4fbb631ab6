# SPDX-License-Identifier: Apache-2.0
"""Diffusion in the logarithm of time, its strength by level: what filamentary memories show."""

from __future__ import annotations

import math
from collections.abc import Mapping

import lmfit
import numpy as np

from engine.inference.noise import NoiseModel
from engine.inference.noise.log_time_relaxation import LogTimeRelaxation

from ..data import Relaxation
from ..moments import Moments
from ..walk import shape_of
from .base import RetentionLaw

N_STRENGTH = 4
"""Coefficients of the logarithm of the strength over the level: a cubic, as good as a free value for each level."""

TABLE_LEVELS, TABLE_PER_DECADE, TABLE_TIMES = 21, 2, 16
DIGITS = 4
"""Of the tables' numbers, more than any measurement has: so the drift lab's link holds them."""


class LogTimeDiffusion(RetentionLaw):
    r"""Spread that grows with the root of log time, and a mean that falls in proportion to log time.

    .. math:: \sigma^2(r, t) = A(r) L(t), \quad m(r, t) = (m_0 + m_1 r) L(t), \quad L(t) = \ln(1 + t/\tau),
              \quad \ln A(r) = a_0 + a_1 r + a_2 r^2 + a_3 r^3

    with r the first reading over the largest level's. A walk whose steps come at a rate that falls as 1/t has this
    variance; with a free power of L instead of the root the RRAM array of the tests gives 0.50 +- 0.17.
    """

    stem = "log_time_diffusion"
    title = "diffusion in log time"
    units = {f"a{k}": "1" for k in range(N_STRENGTH)} | {"tau": "s", "m0": "uS", "m1": "uS"}
    meanings = {f"a{k}": f"coefficient of r^{k} in ln A, A in uS^2" for k in range(N_STRENGTH)} | {
        "tau": "time from which on conductances diffuse",
        "m0": "mean change for each e-fold of time, of small conductances",
        "m1": "how that changes up to the largest level",
    }

    def start(self, found: Moments) -> lmfit.Parameters:
        p = lmfit.Parameters()
        early = max(float(found.t_s[0]), 1e-9)
        growth = np.log1p(found.t_s[-1] / (early / 2))
        p.add("a0", math.log(max(float(np.nanmedian(found.spread[:, -1])) ** 2 / growth, 1e-12)))
        for k in range(1, N_STRENGTH):
            p.add(f"a{k}", 0.0)
        p.add("tau", early / 2, min=early * 1e-6, max=max(float(found.t_s[-1]), early) * 1e3)
        p.add("m0", 0.0)
        p.add("m1", 0.0)
        return p

    def law(self, p: Mapping[str, float], g_us: np.ndarray, t_s: np.ndarray, found: Moments) -> tuple:
        r = np.asarray(g_us) / found.g_max_us
        strength = np.exp(np.polynomial.polynomial.polyval(r, [p[f"a{k}"] for k in range(N_STRENGTH)]))
        grown = np.log1p(np.asarray(t_s) / p["tau"])
        return (p["m0"] + p["m1"] * r)[:, None] * grown, np.sqrt(strength[:, None] * grown)

    def noise_model(self, p: Mapping[str, float], found: Moments, data: Relaxation, source: str) -> NoiseModel:
        """Return `LogTimeRelaxation` with this law in its tables, persistence and tails from the devices."""
        decades = math.log10(found.t_s[-1] / found.t_s[0])
        times = np.geomspace(found.t_s[0], found.t_s[-1], _n_times(decades))
        times[[0, -1]] = found.t_s[[0, -1]]
        levels = _rounded(np.linspace(found.g_us.min(), found.g_us.max(), TABLE_LEVELS))
        shift, spread = self.law(p, levels, times, found)
        share, df = shape_of(data)
        return LogTimeRelaxation.of(
            levels.tolist(), _rounded(times).tolist(), _rounded(spread.T).tolist(), _rounded(shift.T).tolist(),
            kappa=share, draw="student", nu_df=df,
        )  # fmt: skip


def _n_times(decades: float) -> int:
    return min(max(2, math.ceil(TABLE_PER_DECADE * decades) + 1), TABLE_TIMES)


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return numbers with `DIGITS` significant digits."""
    return np.array([float(f"{v:.{DIGITS}g}") for v in np.ravel(values)]).reshape(np.shape(values))
