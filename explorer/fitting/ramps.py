# SPDX-License-Identifier: Apache-2.0
"""Ramps: stretches of a trace in which all pulses go the same way."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .checks import MIN_READINGS
from .errors import refusal
from .trace import DOWN, UP, Trace


@dataclass(frozen=True, eq=False)
class Ramp:
    """Readings along one ramp.

    Attributes
    ----------
    device_id : str
    cycle : int
    direction : int
        +1 or -1.
    pulses : array of int, (reading,)
        Pulses of this ramp applied before each reading.
    value : array of float, (reading,)
    n_averaged : int
        Number of measured ramps this one is the mean of.
    """

    device_id: str
    cycle: int
    direction: int
    pulses: np.ndarray
    value: np.ndarray
    n_averaged: int = 1

    def __len__(self) -> int:
        return self.value.size

    @property
    def label(self) -> str:
        """Name for messages."""
        return f"device {self.device_id} cycle {self.cycle} {'up' if self.direction > 0 else 'down'}"


def ramps_of(trace: Trace) -> list[Ramp]:
    """Split a trace where the direction of the pulses changes, ramps of any length.

    Reads without a pulse belong to the ramp before them, those at the start to the first ramp.
    """
    pulsed = np.flatnonzero(trace.direction != 0)
    if not pulsed.size:
        return []
    signs = trace.direction[pulsed]
    starts = pulsed[1:][signs[1:] != signs[:-1]]
    edges = [0, *starts.tolist(), len(trace)]
    found = []
    for first, last in itertools.pairwise(edges):
        direction = int(trace.direction[first:last].sum() > 0) * 2 - 1
        pulses = np.cumsum(trace.n_pulses[first:last])
        found.append(Ramp(trace.device_id, trace.cycle, direction, pulses, trace.value[first:last]))
    return found


def usable_ramps(traces: Iterable[Trace]) -> tuple[list[Ramp], int]:
    """Return the ramps with at least three readings after a pulse, and how many shorter ones there are."""
    every = [ramp for trace in traces if not trace.stuck for ramp in ramps_of(trace)]
    long_enough = [ramp for ramp in every if np.unique(ramp.pulses[ramp.pulses > 0]).size >= MIN_READINGS]
    return long_enough, len(every) - len(long_enough)


def averaged(ramps: list[Ramp]) -> list[Ramp]:
    """Return the mean ramp of each direction over the pulse counts that all its ramps have.

    Raises
    ------
    MeasuredDataError
        If these are fewer than three.
    """
    means = []
    for direction in (UP, DOWN):
        group = [ramp for ramp in ramps if ramp.direction == direction]
        if not group:
            continue
        shared = group[0].pulses
        for ramp in group[1:]:
            shared = np.intersect1d(shared, ramp.pulses)
        shared = np.unique(shared)
        if shared.size < MIN_READINGS:
            name = "up" if direction == UP else "down"
            rule = f"the {len(group)} {name} ramps have too few pulse counts in common"
            allowed = f"at least {MIN_READINGS}"
            raise refusal("fit cycles 'average'", int(shared.size), rule, allowed, "Use cycles='joint'.")
        rows = [_at(ramp, shared) for ramp in group]
        means.append(Ramp("mean", 0, direction, shared, np.mean(rows, axis=0), len(group)))
    return means


def _at(ramp: Ramp, pulses: np.ndarray) -> np.ndarray:
    """Return the mean reading of a ramp at given pulse counts."""
    slot = np.searchsorted(pulses, ramp.pulses)
    slot = np.minimum(slot, pulses.size - 1)
    hit = pulses[slot] == ramp.pulses
    total = np.bincount(slot[hit], weights=ramp.value[hit], minlength=pulses.size)
    return total / np.bincount(slot[hit], minlength=pulses.size)
