# SPDX-License-Identifier: Apache-2.0
"""The step of every device class a second time: docs/physics/devices.md, section 3, in double precision.

Written from the formulas, not from the kernels.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def _scale(cells: Mapping[str, np.ndarray], way: int) -> np.ndarray:
    return cells["dwmin_up"] if way > 0 else cells["dwmin_down"]


def constant(device, cells, w, way):
    return _scale(cells, way) + 0 * w


def _linear(gamma_up, gamma_down, high, low, device, cells, w, way):
    """s (1 - gamma w / reference), the reference mirrored and shifted when the direction is reversed."""
    if way > 0:
        reference = low - device.reverse_offset if device.reverse_up else high
        return _scale(cells, way) * (1 - gamma_up * w / reference)
    reference = high + device.reverse_offset if device.reverse_down else low
    return _scale(cells, way) * (1 - gamma_down * w / reference)


def linear(device, cells, w, way):
    """Needs a device without spread of gamma."""
    mean = device.mean_bound_reference
    high = device.w_max if mean else cells["max_bound"]
    low = device.w_min if mean else cells["min_bound"]
    return _linear(device.gamma_up, device.gamma_down, high, low, device, cells, w, way)


def soft_bounds(device, cells, w, way):
    return _linear(1.0, 1.0, cells["max_bound"], cells["min_bound"], device, cells, w, way)


def soft_bounds_reference(device, cells, w, way):
    bound = cells["max_bound"] if way > 0 else cells["min_bound"]
    return _scale(cells, way) * (1 - (w + cells["reference"]) / bound)


def exp(device, cells, w, way):
    z = 2 * device.a * w / (cells["max_bound"] - cells["min_bound"]) + device.b
    bend = device.A_up * np.exp(device.gamma_up * z) if way > 0 else device.A_down * np.exp(-device.gamma_down * z)
    return _scale(cells, way) * np.maximum(1 - bend, 0)


def power(device, cells, w, way):
    u = (cells["max_bound"] - w) / (cells["max_bound"] - cells["min_bound"])
    base, exponent = (u, cells["gamma_up"]) if way > 0 else (1 - u, cells["gamma_down"])
    return _scale(cells, way) * np.clip(base, 0, 1) ** exponent


def power_reference(device, cells, w, way):
    return power(device, cells, w + cells["reference"], way)


def _between_nodes(table, w, low, high):
    at = (w - low) / (high - low) * (len(table) - 1)
    return np.interp(at, np.arange(len(table)), table)


def piecewise(device, cells, w, way):
    table = device.piecewise_up if way > 0 else device.piecewise_down
    return _scale(cells, way) * _between_nodes(table, w, cells["min_bound"], cells["max_bound"])


def lookup(device, cells, w, way):
    """The table spans the nominal range: it is measured in weight units."""
    table = device.mean_up if way > 0 else device.mean_down
    return _scale(cells, way) / device.dw_min * _between_nodes(table, w, device.w_min, device.w_max)


STEPS = {
    "constant_step": constant,
    "exp_step": exp,
    "floating_point": constant,
    "ideal": constant,
    "linear_step": linear,
    "lookup_table": lookup,
    "piecewise_step": piecewise,
    "pow_step": power,
    "pow_step_reference": power_reference,
    "soft_bounds": soft_bounds,
    "soft_bounds_pmax": soft_bounds,
    "soft_bounds_reference": soft_bounds_reference,
}


def doubles(tile) -> dict[str, np.ndarray]:
    """Return a tile's per-device arrays in double precision."""
    return {name: cell.numpy().astype(float) for name, cell in tile.cells.items()}
