# SPDX-License-Identifier: Apache-2.0
"""Pulse-by-pulse simulation of one device, written from the step formulas and not from the closed forms."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from explorer.fitting import Measured
from explorer.fitting.trace import pulse_trace


@dataclass(frozen=True)
class Device:
    """A linear-step device; with both gammas 1 it has soft bounds. Names as in `engine.devices`."""

    dw_min: float
    up_down: float
    w_max: float
    w_min: float
    gamma_up: float = 1.0
    gamma_down: float = 1.0
    dw_min_std: float = 0.0
    write_noise_std: float = 0.0

    def step(self, w: float, direction: int) -> float:
        """Return the signed noise-free step from ``w``."""
        if direction > 0:
            return self.dw_min * (1 + min(self.up_down, 0)) * (1 - self.gamma_up * w / self.w_max)
        return -self.dw_min * (1 - max(self.up_down, 0)) * (1 - self.gamma_down * w / self.w_min)

    def noisy(self, dw_min_std: float, write_noise_std: float) -> Device:
        return replace(self, dw_min_std=dw_min_std, write_noise_std=write_noise_std)


def ramps(
    device: Device,
    n_pulses: int,
    cycles: int = 1,
    start: float = -0.9,
    seed: int = 0,
    pulses_per_reading: int = 1,
    device_id: str = "1",
) -> Measured:
    """Pulse a device up and down; weights are the readings, one after every ``pulses_per_reading`` pulses."""
    rng = np.random.default_rng(seed)
    traces, w = [], start
    directions = np.repeat([1, -1], n_pulses)
    for cycle in range(1, cycles + 1):
        xi = rng.standard_normal(2 * n_pulses) * device.dw_min_std
        states = np.empty(2 * n_pulses)
        for t, direction in enumerate(directions):
            w = w + device.step(w, direction) * (1 + xi[t])
            w = min(max(w, device.w_min), device.w_max)
            states[t] = w
        noise = rng.standard_normal(2 * n_pulses) * device.write_noise_std * device.dw_min
        kept = slice(pulses_per_reading - 1, None, pulses_per_reading)
        trace = pulse_trace(device_id, cycle, directions[kept], (states + noise)[kept])
        traces.append(replace(trace, n_pulses=trace.n_pulses * pulses_per_reading))
    return Measured(tuple(traces), "1", "synthetic")
