# SPDX-License-Identifier: Apache-2.0
"""Traces without the readings that were rejected: their pulses count for the next reading, or the trace is cut."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from .checks import MIN_READINGS
from .trace import READ, UNKNOWN, Trace


def bridged(traces: list[Trace]) -> tuple[list[Trace], list[str]]:
    """Return traces of good readings only, and notes.

    The pulses of a rejected reading are added to those of the next one. Where they went the other way, or are not
    known, nothing can be said about the step between: the trace is cut there, and goes on as another cycle that
    starts with a mere read.
    """
    numbers = Counter()
    for trace in traces:
        numbers[trace.device_id] = max(numbers[trace.device_id], trace.cycle)
    kept, cut = [], 0
    for trace in traces:
        bad = ~np.isfinite(trace.value) | (trace.direction == UNKNOWN)
        parts = _parts(trace, bad) if bad.any() else [trace]
        whole = [p for p in parts if len(p) >= MIN_READINGS or len(parts) == 1]
        cut += len(whole) - 1
        for k, part in enumerate(whole):
            numbers[trace.device_id] += k > 0
            kept.append(replace(part, cycle=numbers[trace.device_id]) if k else part)
    note = f"traces were cut at {cut} places where the pulses before a reading are not known; the rests are new cycles"
    return [t for t in kept if len(t)], [note] if cut > 0 else []


def _parts(trace: Trace, bad: np.ndarray) -> list[Trace]:
    direction, n_pulses = trace.direction.copy(), trace.n_pulses.copy()
    starts = [0]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], bad, [False]]).astype(int)))
    for first, after in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if first == 0 or after == bad.size:
            continue  # before the first and after the last good reading nothing is lost
        lost = direction[first:after]
        moved = set(lost[(n_pulses[first:after] > 0) | (lost == UNKNOWN)].tolist())
        own = {int(direction[after])} - {READ}
        if UNKNOWN in moved or len(moved | own) > 1:
            starts.append(after)
            direction[after], n_pulses[after] = READ, 0
        elif moved:
            direction[after] = moved.pop()
            n_pulses[after] += int(n_pulses[first:after].sum())
    parts = []
    for first, last in zip(starts, [*starts[1:], bad.size], strict=True):
        rows = np.flatnonzero(~bad[first:last]) + first
        extras = {name: array[rows] for name, array in trace.extras.items()}
        arrays = (trace.index[rows], direction[rows], trace.value[rows], n_pulses[rows])
        parts.append(Trace(trace.device_id, trace.cycle, *arrays, extras))
    return parts
