# SPDX-License-Identifier: Apache-2.0
"""A generated retention measurement of known law, to try things with."""

from __future__ import annotations

import numpy as np

from .data import Relaxation

NAME = "ohmscape_retention.csv"
LEVELS, DEVICES = 8, 150
TIMES_S = (0.0, 0.1, 1.0, 10.0, 1e3, 1e5)
TAU_S, FALL_US = 0.01, 0.06


def example(seed: int = 0) -> Relaxation:
    """Return devices that diffuse in log time: variance ``(0.1 + r (1 - r)) ln(1 + t/tau)`` uS^2, r the level's share.

    Parameters
    ----------
    seed : int
        Of all draws.
    """
    rng = np.random.default_rng(seed)
    level = np.repeat(np.arange(LEVELS), DEVICES)
    g0 = 12.0 + 24.0 * level / (LEVELS - 1) + 0.2 * rng.standard_normal(level.size)
    grown, r = np.log1p(np.array(TIMES_S[1:]) / TAU_S), g0 / g0.max()
    steps = np.sqrt(np.diff(grown, prepend=0)) * rng.standard_normal((level.size, grown.size))
    change = np.sqrt(0.1 + r * (1 - r))[:, None] * steps.cumsum(1) - FALL_US * grown
    g = np.concatenate([g0[:, None], np.maximum(g0[:, None] + change, 0.0)], axis=1)
    return Relaxation(g, np.broadcast_to(np.array(TIMES_S), g.shape), level, NAME)


def as_csv(data: Relaxation) -> str:
    """Return a measurement as a long table: device, level, time, conductance."""
    lines = ["device,level,time_s,G (uS)"]
    for d, (k, times, readings) in enumerate(zip(data.level, data.t_s, data.g_us, strict=True), 1):
        lines += [f"d{d},{k},{t:g},{g:.5f}" for t, g in zip(times, readings, strict=True) if np.isfinite(g)]
    return "\n".join([*lines, ""])
