# SPDX-License-Identifier: Apache-2.0
"""From traces to what the likelihood takes: pulses, repeated reads grouped, cycles numbered, device by device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from engine.likelihood import Readings

from ..trace import Trace

HELD_OUT_EVERY = 4
"""One cycle in this many is held out; the last one where there are fewer."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Readings of one device, in weight units.

    Attributes
    ----------
    device_id : str
    readings : Readings
        Rows are groups: the reads after one write.
    cycle : numpy.ndarray
        ``(rows,)`` number of the up-and-down cycle over all traces of the device.
    """

    device_id: str
    readings: Readings
    cycle: np.ndarray

    @property
    def repeated(self) -> bool:
        """True where some weight was read more than once, so that read noise is told from write noise."""
        return bool((self.readings.reads > 1).any())

    @cached_property
    def run(self) -> np.ndarray:
        """Number of the stretch of pulses in one direction that each row belongs to, ``(rows,)``."""
        way = np.sign(self.readings.pulses)
        way[self.readings.start == 1] = 0
        turns = np.zeros(way.size, bool)
        turns[1:] = (way[1:] != way[:-1]) & (way[:-1] != 0)
        return np.cumsum(turns | (self.readings.start == 1))

    @property
    def cycles(self) -> int:
        """Number of cycles."""
        return int(np.unique(self.cycle).size)

    def split(self) -> tuple[Observed, Observed] | None:
        """Return the device with only the kept, and with only the held-out cycles counted; None with one cycle."""
        numbers = np.unique(self.cycle)
        if numbers.size < 2:
            return None
        place = np.searchsorted(numbers, self.cycle)
        every = min(HELD_OUT_EVERY, numbers.size)
        out = (place % every == every - 1).astype(np.int8)
        kept, held = (replace(self.readings, counted=mask) for mask in (1 - out, out))
        return replace(self, readings=kept), replace(self, readings=held)


def observe(traces: Sequence[Trace]) -> list[Observed]:
    """Return the devices of traces whose values are weights, in the order they come."""
    by_device: dict[str, list[Trace]] = {}
    for trace in traces:
        by_device.setdefault(trace.device_id, []).append(trace)
    return [_device(name, group) for name, group in by_device.items()]


def _device(name: str, traces: list[Trace]) -> Observed:
    parts, cycles, first = [], [], 0
    for trace in traces:
        parts.append(_grouped(trace))
        numbers = first + _cycles(parts[-1]["pulses"])
        first = int(numbers[-1]) + 1
        cycles.append(numbers)
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    rows = joined["mean"].size
    return Observed(name, Readings(counted=np.ones(rows, np.int8), **joined), np.concatenate(cycles))


def _grouped(trace: Trace) -> dict[str, np.ndarray]:
    """Join readings between two pulses to one row: their mean, and how they scatter about it."""
    opens = trace.n_pulses > 0
    opens[0] = True
    first = np.flatnonzero(opens)
    group = np.cumsum(opens) - 1
    reads = np.bincount(group)
    mean = np.bincount(group, trace.value) / reads
    squares = np.bincount(group, (trace.value - mean[group]) ** 2)
    start = np.zeros(first.size, np.int8)
    start[0] = 1
    pulses = trace.direction[first].astype(np.int32) * trace.n_pulses[first].astype(np.int32)
    return {"pulses": pulses, "reads": reads, "mean": mean, "squares": squares, "start": start}


def _cycles(pulses: np.ndarray) -> np.ndarray:
    """Number the cycles of one trace: a new one where the direction of its first pulses comes back."""
    way = np.sign(pulses)
    pulsed = np.flatnonzero(way)
    if not pulsed.size:
        return np.zeros(pulses.size, int)
    back = np.zeros(pulses.size, int)
    again = (way[pulsed[1:]] == way[pulsed[0]]) & (way[pulsed[:-1]] != way[pulsed[0]])
    back[pulsed[1:][again]] = 1
    return np.cumsum(back)
