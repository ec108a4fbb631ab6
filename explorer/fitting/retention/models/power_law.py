# SPDX-License-Identifier: Apache-2.0
"""Power law with a drift exponent of each device: what phase-change memory shows."""

from __future__ import annotations

from collections.abc import Mapping

import lmfit
import numpy as np

from engine.inference.noise import NoiseModel
from engine.inference.noise.pcm import Pcm

from ..data import Relaxation
from ..exponents import exponent_statistics
from ..moments import Moments
from .base import RetentionLaw

LEAST_SHARE = 1e-3


class PowerLaw(RetentionLaw):
    r"""Conductances fall by a power of time; exponents differ from device to device, and every read adds noise.

    .. math:: G(t) = G_1 x^{-\nu}, \quad x = t/t_1, \quad \mu_\nu = a \ln r + b, \quad \sigma_\nu = a' \ln r + b',
              \quad \sigma_{read} = G_1 q r^{-c}

    with t_1 the time of the first read, and r the first reading over the largest level's.
    """

    stem = "power_law"
    title = "power law (PCM)"
    units = {"mu_slope": "1", "mu_offset": "1", "sd_slope": "1", "sd_offset": "1", "q": "1", "q_exponent": "1"}
    meanings = {
        "mu_slope": "change of the mean exponent for each e-fold of conductance",
        "mu_offset": "mean exponent at the largest level",
        "sd_slope": "change of the exponent's spread for each e-fold of conductance",
        "sd_offset": "spread of the exponent over devices at the largest level",
        "q": "noise of the difference of two reads over the conductance, at the largest level",
        "q_exponent": "how fast that grows towards small conductances",
    }

    def start(self, found: Moments) -> lmfit.Parameters:
        p = lmfit.Parameters()
        p.add("mu_slope", 0.0)
        p.add("mu_offset", 0.05)
        p.add("sd_slope", 0.0)
        p.add("sd_offset", 0.02, min=0)
        p.add("q", 0.02, min=0)
        p.add("q_exponent", 0.3, min=-1, max=3)
        return p

    def law(self, p: Mapping[str, float], g_us: np.ndarray, t_s: np.ndarray, found: Moments) -> tuple:
        g = np.asarray(g_us)[:, None]
        r = np.maximum(g / found.g_max_us, LEAST_SHARE)
        grown = np.log(np.asarray(t_s) / first_time(found))
        mean = g * np.exp(-(p["mu_slope"] * np.log(r) + p["mu_offset"]) * grown)
        wide = np.maximum(p["sd_slope"] * np.log(r) + p["sd_offset"], 0.0)
        read = g * p["q"] * r ** -p["q_exponent"]
        return mean - g, np.sqrt((mean * wide * grown) ** 2 + read**2)

    def noise_model(self, p: Mapping[str, float], found: Moments, data: Relaxation, source: str) -> NoiseModel:
        """Return `Pcm` with the exponents of the devices, read one by one; programming is taken as exact."""
        nu = exponent_statistics(data, found)
        growth = np.sqrt(2.0)  # the difference of two reads has twice the variance of one
        model = Pcm()
        per_read = model.copy(t_0=first_time(found)).read_growth(float(found.t_s[-1]))
        q = p["q"] / growth / per_read
        return Pcm(
            g_max=found.g_max_us, t_0=first_time(found), prog_coeff=[0.0], q_s=min(max(q, 0.0), 1.0),
            q_exponent=min(max(p["q_exponent"], 0.0), 2.0), **nu.parameters(),
        )  # fmt: skip


def first_time(found: Moments) -> float:
    """Return the time that drift counts from: of the first read; half the second one's where that is 0."""
    return found.t_first_s if found.t_first_s > 0 else float(found.t_s[0]) / 2
