# SPDX-License-Identifier: Apache-2.0
"""A small version of a drift run that answers within a few seconds, or none where there is no such version."""

from __future__ import annotations

from engine import ops
from explorer.experiments import robust
from explorer.experiments.chips import cost
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.scenario import Scenario

SECONDS = 1.5
"""Of one scenario on one core; the way to the worker and back comes on top."""
ATTEMPTS = ((4, 99, SECONDS), (3, 5, SECONDS), (2, 4, SECONDS), (1, 3, SECONDS), (1, 2, 3.0))
"""Most chips and times of an attempt, each where the one before leaves too few samples; seconds the fewest have."""
FEWEST_SAMPLES, _MOST_SAMPLES = 24, 1000
# Measured on one core of a Zen 3 by AVX2, with all that goes into a result; a page and perhaps a full run want some of
# it too. Other kernels take so many times as long: portable ones as measured there; of AVX-512 it is an assumption.
_MULTIPLICATION_S, _CONVERSION_S, _DEVICE_S = 3e-10, 3e-9, 2.7e-8
_SLOWER = {"avx512": 0.6, "avx2": 1.0, "portable": 7.0}


def quick(experiment: DriftAccuracy, scenario: Scenario) -> DriftAccuracy | None:
    """Return the run of one scenario on few chips, times and samples; None where even that takes too long.

    Its chips are the first ones of the full run.
    """
    there = robust.known(experiment.network, scenario.training)
    if not there and cost(experiment.network).multiplications > robust.SMALL:
        return None
    for chips, moments, longest in ATTEMPTS:
        times = _thinned(experiment.times, moments)
        found = _attempt(experiment, scenario, min(chips, int(experiment.n_chips)), times, longest)
        if found is not None:
            return found
    return None


def _attempt(
    experiment: DriftAccuracy, scenario: Scenario, chips: int, times: list[float], longest: float
) -> DriftAccuracy | None:
    told = cost(experiment.network)
    devices = told.weights * scenario.made_converter().slices * chips * (len(times) + 2)
    sample = told.multiplications * _MULTIPLICATION_S + told.converted * _CONVERSION_S

    def fit(seconds: float) -> int:
        left = seconds / _SLOWER[ops.build_info()["isa"]] - devices * _DEVICE_S
        return int(left / (sample * chips * len(times)))

    if fit(longest) < FEWEST_SAMPLES:
        return None
    most, wanted = max(fit(SECONDS), FEWEST_SAMPLES), int(experiment.samples)
    return DriftAccuracy(
        network=experiment.network, n_chips=chips, samples=min(most, wanted) if wanted else min(most, _MOST_SAMPLES),
        times=times, seed=int(experiment.seed), scenarios=[scenario.copy()],
    )  # fmt: skip


def _thinned(times: list[float], most: int) -> list[float]:
    """Return so many of the times at most, the first and the last among them."""
    if len(times) <= most:
        return list(times)
    return [times[round(k * (len(times) - 1) / (most - 1))] for k in range(most)]
