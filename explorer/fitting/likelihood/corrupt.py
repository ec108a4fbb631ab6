# SPDX-License-Identifier: Apache-2.0
"""Corrupt devices: those that never change, do not answer to pulses, or are unlike all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t

from .device_fit import DeviceFit
from .observations import Observed

SILENT = 4.0
"""Standard errors by which readings must differ from white noise; less, and a device does not answer to pulses."""

FALSE_ALARM = 0.01
"""Probability of calling any device of a sound population an outlier (shared among all devices and quantities)."""

FEWEST = 6
"""Devices below which nothing can be called unlike the others."""

MAD = 1.4826
"""Median absolute deviation to standard deviation, normal distribution."""


@dataclass(frozen=True)
class Corrupt:
    """A device that does not belong to the population.

    Attributes
    ----------
    device_id : str
    reason : str
    statistic, limit : float
        What was tested, and where it counts as corrupt.
    excluded : bool
    """

    device_id: str
    reason: str
    statistic: float
    limit: float
    excluded: bool


def silent(device: Observed) -> Corrupt | None:
    """Return the finding where the readings are white noise about one level, whatever the pulses did.

    Von Neumann's ratio: half the mean squared difference of neighbours over the variance is 1 for white noise, with
    standard error ``1 / sqrt(n)``, and less where a state is remembered from one reading to the next.
    """
    y = device.readings.mean[device.readings.reads > 0]
    variance = float(y.var())
    ratio = 0.5 * float((np.diff(y) ** 2).mean()) / variance if variance > 0 else 1.0
    score = (1 - ratio) * float(np.sqrt(y.size))
    if score >= SILENT:
        return None
    reason = f"no response to pulses: readings are white noise about one level ({score:.1f}, below the limit {SILENT:g})"
    return Corrupt(device.device_id, reason, score, SILENT, True)


def outliers(fits: Sequence[DeviceFit], *, excluded: bool) -> list[Corrupt]:
    """Return devices whose fitted numbers lie outside the spread of the others.

    Each number is held against median and scaled median absolute deviation; the limit is the quantile of Student's t
    with ``n - 1`` degrees of freedom at which a sound population raises a false alarm with probability `FALSE_ALARM`.
    """
    n = len(fits)
    if n < FEWEST:
        return []
    names = [c.name for c in fits[0].objective.coordinates if all(c.name in f.objective.names for f in fits)]
    limit = float(t.isf(FALSE_ALARM / (2 * n * max(len(names), 1)), n - 1))
    found: dict[str, Corrupt] = {}
    for name in names:
        at = [f.objective.names.index(name) for f in fits]
        u = np.array([f.u[i] for f, i in zip(fits, at, strict=True)])
        own = np.array([f.covariance[i, i] for f, i in zip(fits, at, strict=True)])
        middle = np.median(u)
        spread = max(MAD * float(np.median(np.abs(u - middle))), 1e-9)
        score = np.abs(u - middle) / np.sqrt(spread**2 + own)
        for f, s in zip(fits, score, strict=True):
            known = found.get(f.device.device_id)
            if s > limit and (known is None or s > known.statistic):
                reason = f"{name} lies {s:.1f} robust standard deviations from the median device (limit {limit:.1f})"
                found[f.device.device_id] = Corrupt(f.device.device_id, reason, float(s), limit, excluded)
    return list(found.values())


