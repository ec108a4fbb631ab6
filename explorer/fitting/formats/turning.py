# SPDX-License-Identifier: Apache-2.0
"""The direction of the pulses of one sequence of readings, from where the readings turn round or jump."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import median_filter
from scipy.signal import find_peaks

from ..checks import MIN_READINGS
from ..errors import refusal
from ..trace import DOWN, UP
from .base import Options
from .directions import trend

SMOOTHED_SHARE, LONGEST_SMOOTHED = 1 / 40, 15
"""A running median over this share of the readings, and over so many at most, keeps noise from looking like a turn."""

TURN_SHARE = 0.35
"""Part of the range that readings must come back before it counts as a turn."""

JUMP_SHARE, JUMP_STEPS = 0.35, 10.0
"""A jump between ramps: this part of the range, and so many times the usual step, from one reading to the next."""


def told_or_turning(values: np.ndarray, options: Options, subject: str) -> np.ndarray:
    """Return the direction of each reading's pulse, (reading,): the caller's one, else from `turning`."""
    if options.directions is not None:
        given = np.atleast_1d(np.asarray(options.directions))
        if given.size not in (1, values.size) or not np.isin(given, (UP, DOWN, 0)).all():
            allowed = f"+1 or -1 for all, or {values.size} of +1, -1, 0"
            raise refusal("directions", str(options.directions), "does not fit the readings", allowed, "Correct it.")
        return np.broadcast_to(given, values.shape).astype(np.int8)
    return turning(values, subject)


def turning(values: np.ndarray, subject: str) -> np.ndarray:
    """Return +1 along rising and -1 along falling stretches, (reading,); stretches end where readings turn or jump.

    Raises
    ------
    MeasuredDataError
        If a stretch neither rises nor falls clearly.
    """
    good = np.isfinite(values)
    direction = np.zeros(values.size, dtype=np.int8)
    y = np.asarray(values, dtype=float)[good]
    if y.size < MIN_READINGS:
        return direction
    found = np.zeros(y.size, dtype=np.int8)
    edges = [0, *_edges(y), y.size]
    for first, last in itertools.pairwise(edges):
        found[first:last] = _clear(y[first:last], y, subject, first)
    direction[good] = found
    nearest = np.searchsorted(np.flatnonzero(good), np.arange(values.size)).clip(max=y.size - 1)
    return np.where(good, direction, found[nearest]).astype(np.int8)


def _edges(y: np.ndarray) -> list[int]:
    """Return where a new ramp begins."""
    low, high = np.percentile(y, (1, 99))
    span = max(high - low, 0.0) or (y.max() - y.min())
    if span <= 0:
        return []
    jumps = _jumps(y, span)
    turns = []
    for first, last in itertools.pairwise([0, *jumps, y.size]):
        part = y[first:last]
        width = _width(part.size)
        smooth = median_filter(part, width, mode="nearest")
        for sign in (1, -1):
            peaks, _ = find_peaks(sign * smooth, prominence=TURN_SHARE * span)
            for peak in peaks.tolist():
                near = max(peak - width // 2, 0)
                turns.append(first + near + int(np.argmax(sign * part[near : peak + width // 2 + 1])) + 1)
    reach = _width(y.size)  # a jump that is placed a little late looks like a turn just before it
    edges = sorted({*jumps, *(t for t in turns if all(abs(t - jump) > reach for jump in jumps))})
    return [e for k, e in enumerate(edges) if k == 0 or e - edges[k - 1] >= MIN_READINGS]


def _width(n: int) -> int:
    """Return over how many of ``n`` readings to smooth, an odd number."""
    return int(np.clip(round(SMOOTHED_SHARE * n), 1, LONGEST_SMOOTHED)) | 1


def _jumps(y: np.ndarray, span: float) -> list[int]:
    """Return the first readings after a jump: medians over some readings before and after lie far apart."""
    w = min(_width(y.size), max(y.size // 4, 1))
    median = np.median(sliding_window_view(y, w), axis=1)
    away = np.abs(median[w:] - median[:-w])  # of the readings before and from number w on
    limit = max(JUMP_SHARE * span, JUMP_STEPS * float(np.median(np.abs(np.diff(y)))) / np.sqrt(w))
    over = np.flatnonzero(away > limit)
    runs = np.split(over, np.flatnonzero(np.diff(over) > w) + 1) if over.size else []
    return [int(run[np.argmax(away[run])]) + w for run in runs]


def _clear(part: np.ndarray, whole: np.ndarray, subject: str, first: int) -> int:
    direction = trend(part)
    if direction or part.min() == part.max() or part.size < MIN_READINGS:
        return direction or (UP if part[-1] >= part[0] else DOWN)
    rule = f"the readings from number {first + 1} on neither rise nor fall clearly"
    remedy = "Add a direction column, or give directions=."
    raise refusal(f"direction of the {subject}", 0, rule, "+1 or -1", remedy)
