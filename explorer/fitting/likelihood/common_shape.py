# SPDX-License-Identifier: Apache-2.0
"""What the error of a shape that all devices share adds to the means over devices.

Devices are judged at the common shape; how they scatter then says nothing about an error of the shape, which moves all
of them the same way: with a larger amplitude of an exponential step all scales come out larger.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .common_noise import CommonNoise
from .effects import Cohort
from .parameters import Parameter, widened


def errors_of_shapes(
    made: dict[str, Parameter], together: CommonNoise, described: dict[str, tuple[str, str]]
) -> dict[str, Parameter]:
    """Return the means over devices with the errors of the common shapes besides their own.

    Parameters
    ----------
    made : dict
        Parameters of the population, by name.
    together : CommonNoise
        Common values with their covariance, and how each device follows them.
    described : dict
        Unit and meaning of each mean.

    Notes
    -----
    Along each principal axis of the shapes' covariance, one standard error either way, all devices follow;
    half the difference of a mean is its error from that axis.
    """
    candidate = together.fits[0].candidate
    at = [k for k, name in enumerate(together.names) if name in candidate.common]
    means = {n for effect in candidate.effects for n in effect.names() if n not in candidate.common_shown}
    if not at or not means:
        return {}
    root, axes = np.linalg.eigh(together.covariance[np.ix_(at, at)])
    squares = dict.fromkeys(means, 0.0)
    for axis in (axes * np.sqrt(np.maximum(root, 0.0))).T:
        move = np.zeros(len(together.names))
        move[at] = axis
        ahead, behind = (_means_at(together, way * move, described) for way in (1, -1))
        for name in means:
            squares[name] += (0.5 * (ahead[name] - behind[name])) ** 2
    return {n: widened(made[n], float(np.sqrt(s))) for n, s in squares.items() if n in made}


def _means_at(together: CommonNoise, move: np.ndarray, described: dict[str, tuple[str, str]]) -> dict[str, float]:
    pairs = zip(together.fits, together.follows, strict=True)
    cohort = Cohort([replace(fit, u=fit.u + follow @ move) for fit, follow in pairs])
    effects = cohort.fits[0].candidate.effects
    return {p.name: p.value for effect in effects for p in effect.of(cohort, described)}
