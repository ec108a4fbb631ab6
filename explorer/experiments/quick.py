# SPDX-License-Identifier: Apache-2.0
"""A small version of a drift run that answers within a few seconds, or none where there is no such version."""

from __future__ import annotations

from explorer.experiments import robust
from explorer.experiments.chips import cost
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.scenario import Scenario

CHIPS, MOMENTS = (4, 3, 1), (99, 5, 3)
"""Most chips and times of the first attempt, and of the next ones where that leaves too few samples."""
FEWEST_SAMPLES, _MOST_SAMPLES = 24, 1000
_SECONDS = 1.5  # of one scenario on one core; the way to the worker and back comes on top
# Measured on one core with all that goes into a result; a page and perhaps a full run want some of it too.
_MULTIPLICATION_S, _CONVERSION_S, _DEVICE_S = 4e-11, 7e-9, 1.2e-8


def quick(experiment: DriftAccuracy, scenario: Scenario) -> DriftAccuracy | None:
    """Return the run of one scenario on few chips, times and samples; None where even that takes too long.

    Its chips are the first ones of the full run.
    """
    there = robust.known(experiment.network, scenario.training)
    if not there and cost(experiment.network).multiplications > robust.SMALL:
        return None
    for chips, moments in zip(CHIPS, MOMENTS, strict=True):
        found = _attempt(experiment, scenario, min(chips, int(experiment.n_chips)), _thinned(experiment.times, moments))
        if found is not None:
            return found
    return None


def _attempt(experiment: DriftAccuracy, scenario: Scenario, chips: int, times: list[float]) -> DriftAccuracy | None:
    told = cost(experiment.network)
    devices = told.weights * scenario.made_converter().slices * chips * (len(times) + 2)
    sample = told.multiplications * _MULTIPLICATION_S + told.converted * _CONVERSION_S
    most = int((_SECONDS - devices * _DEVICE_S) / (sample * chips * len(times)))
    if most < FEWEST_SAMPLES:
        return None
    wanted = int(experiment.samples)
    return DriftAccuracy(
        network=experiment.network, n_chips=chips, samples=min(most, wanted) if wanted else min(most, _MOST_SAMPLES),
        times=times, seed=int(experiment.seed), scenarios=[scenario.copy()],
    )  # fmt: skip


def _thinned(times: list[float], most: int) -> list[float]:
    """Return so many of the times at most, the first and the last among them."""
    if len(times) <= most:
        return list(times)
    return [times[round(k * (len(times) - 1) / (most - 1))] for k in range(most)]
