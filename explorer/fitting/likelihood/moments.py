# SPDX-License-Identifier: Apache-2.0
"""Start values from moments: step curves and noise of one device, before any likelihood.

Of the increments ``d`` of a ramp without their trend, ``-Cov(d, d')`` with the next increment ``d'`` is the variance of
a reading, ``Var(d) + 2 Cov(d, d')`` that of a step (docs/fitting.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .observations import Observed

TREND = 3
"""Degree of the polynomial that stands for a ramp; the start of a fit needs no more."""

LONG_ENOUGH = 8
"""Readings of a ramp that get a polynomial of their own."""

SMALLEST = 1e-4
"""Least noise that is assumed, as a share of the range: computed data have none, and would have no likelihood."""


@dataclass(frozen=True, eq=False)
class Steps:
    """States and mean steps along the pulses of one direction, smoothed, ``(points,)`` each."""

    state: np.ndarray
    step: np.ndarray

    def line(self) -> tuple[float, float]:
        """Return step at ``w = 0`` and slope of a straight line through the steps."""
        if np.ptp(self.state) == 0:
            return float(self.step.mean()), 0.0
        slope, level = np.polyfit(self.state, self.step, 1)
        return float(level), float(slope)

    def at(self, nodes: np.ndarray) -> np.ndarray:
        """Return the mean step at each node from the points around it; the nearest that has some where it has none."""
        width = (nodes[-1] - nodes[0]) / max(nodes.size - 1, 1)
        weight = np.maximum(1 - np.abs(self.state[None] - nodes[:, None]) / width, 0)
        mass = weight.sum(1)
        met = mass > 0
        if not met.any():
            return np.full(nodes.size, self.step.mean())
        return np.interp(nodes, nodes[met], (weight[met] @ self.step) / mass[met])


@dataclass(frozen=True, eq=False)
class Scene:
    """What is seen of one device before a fit.

    Attributes
    ----------
    low, high : float
        Ends of the smoothed states, weight units.
    reading_low, reading_high : float
        Extreme readings.
    steps : dict of int to Steps
        By direction, +1 and -1; steps are positive along their pulse. A direction that was not pulsed is missing.
    step_std, read_std : float
        Noise of a step and of a reading, weight units; never 0.
    ramp : int
        Pulses of the longest ramp.
    """

    low: float
    high: float
    reading_low: float
    reading_high: float
    steps: dict[int, Steps]
    step_std: float
    read_std: float
    ramp: int

    @property
    def span(self) -> float:
        """Range of the states, weight units."""
        return self.high - self.low

    @cached_property
    def lines(self) -> dict[int, tuple[float, float]]:
        """Step at ``w = 0`` and slope by direction, the step positive; a missing direction mirrors the other."""
        found = {way: steps.line() for way, steps in self.steps.items()}
        typical = max(float(np.mean([np.abs(s.step).mean() for s in self.steps.values()])), 1e-6 * self.span)
        for way in (1, -1):
            if way not in found:
                level, slope = found[-way]
                found[way] = (level, -slope)
            level, slope = found[way]
            found[way] = (max(level, 0.1 * typical), slope)
        return found

    def curve(self, way: int, nodes: np.ndarray) -> np.ndarray:
        """Return the mean step of a direction at nodes; mirrored where it was not measured."""
        if way in self.steps:
            return self.steps[way].at(nodes)
        return self.steps[-way].at(nodes[::-1])[::-1]

    def mean_step(self, way: int) -> float:
        """Return the mean step of a direction; positive, as steps against their pulse are no response."""
        steps = self.steps.get(way, self.steps.get(-way))
        return max(float(steps.step.mean()), 1e-3 * float(np.abs(steps.step).mean()), 1e-6 * self.span)

    @property
    def relative_noise(self) -> float:
        """Noise of a step relative to the mean step."""
        typical = np.mean([np.abs(s.step).mean() for s in self.steps.values()])
        return float(np.clip(self.step_std / max(typical, 1e-6 * self.span), 1e-3, 20.0))


def look(device: Observed) -> Scene:
    """Return the scene of a device."""
    states: dict[int, list[np.ndarray]] = {1: [], -1: []}
    steps: dict[int, list[np.ndarray]] = {1: [], -1: []}
    noise, ramp = [], 0
    r = device.readings
    for run in np.unique(device.run):
        rows = np.flatnonzero((device.run == run) & (r.reads > 0))
        pulses = np.cumsum(np.abs(np.where(r.start[rows] == 1, 0, r.pulses[rows])))
        way = int(np.sign(r.pulses[rows][r.start[rows] == 0].sum())) if rows.size else 0
        if way == 0:
            continue
        if rows[0] > 0 and r.start[rows[0]] == 0:  # the reading before the first pulse of the ramp belongs to it
            rows, pulses = np.append(rows[0] - 1, rows), np.append(0, pulses)
        ramp = max(ramp, int(pulses[-1]))
        state, step = _smoothed(pulses.astype(float), r.mean[rows])
        states[way].append(state), steps[way].append(way * step)
        noise.append(_noise(pulses.astype(float), r.mean[rows]))
    return _scene(device, states, steps, noise, ramp)


def _scene(device: Observed, states, steps, noise, ramp: int) -> Scene:
    found = {w: Steps(np.concatenate(states[w]), np.concatenate(steps[w])) for w in (1, -1) if states[w]}
    every = np.concatenate([s.state for s in found.values()])
    low, high = np.percentile(every, (0.5, 99.5))
    readings = device.readings.mean[device.readings.reads > 0]
    least = SMALLEST * max(float(np.ptp(readings)), 1e-12)
    terms = np.sum([n for n in noise if n is not None], axis=0) if any(n is not None for n in noise) else np.zeros(4)
    step_var = terms[0] / terms[1] if terms[1] else 0.0
    read_var = terms[2] / terms[3] if terms[3] else 0.0
    return Scene(float(low), float(max(high, low + least)), float(readings.min()), float(readings.max()), found,
                 max(np.sqrt(max(step_var, 0.0)), least), max(np.sqrt(max(read_var, 0.0)), least), max(ramp, 1))  # fmt: skip


def _smoothed(pulses: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return states and changes per pulse along a ramp: a polynomial where it is long, else the increments."""
    if y.size < LONG_ENOUGH:
        return (y[1:] + y[:-1]) / 2, np.diff(y) / np.maximum(np.diff(pulses), 1)
    scaled = pulses / pulses[-1]
    fit = np.polynomial.Polynomial.fit(scaled, y, TREND)
    return fit(scaled), fit.deriv()(scaled) / pulses[-1]


def _noise(pulses: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Return sum and count for the variance of a step and for that of a reading; None for a short ramp."""
    if y.size < LONG_ENOUGH:
        return None
    d, dn = np.diff(y), np.diff(pulses)
    x = np.linspace(-1, 1, d.size)
    basis = dn[:, None] * x[:, None] ** np.arange(TREND)
    d = d - basis @ np.linalg.lstsq(basis, d, rcond=None)[0]
    pair = (d[1:] * d[:-1]).sum()
    return np.array([(d @ d + 2 * pair) / max(dn.mean(), 1), d.size - TREND, -pair, d.size - 1])
