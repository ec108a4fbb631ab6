# SPDX-License-Identifier: Apache-2.0
"""Whether a device can be expected to train a network: its numbers against the published specification, in words.

The limits are those of the preset `REFERENCE`, the specification of Gokmen and Vlasov (2016) for stochastic pulsed
updates with plain gradient descent. A device that misses them may still train with an algorithm made for it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import xarray as xr

from engine import presets
from engine.devices import Device

REFERENCE = "rpu_baseline_2016"
"""Preset that holds the limits."""

PASS, MARGINAL, FAIL, UNKNOWN = "pass", "marginal", "fail", "unknown"
MARGIN = 2.0
"""A number within this factor of its limit is marginal, beyond it it fails; our choice, the paper gives one figure."""

_ASYMMETRY = 0.05
_SYMMETRY_SHIFT = 0.1
_WRITE_SHARE = 0.05


@dataclass(frozen=True)
class Finding:
    """One number of a device, compared with its limit.

    Attributes
    ----------
    name, label : str
        Identifier and text.
    value : float
        NaN where the device has no such number.
    limit : float
        The largest value asked for (the smallest where ``at_least``).
    unit : str
        ``"1"`` for a pure number, ``"w"`` for weights.
    status : str
        `PASS`, `MARGINAL`, `FAIL` or `UNKNOWN`.
    words : str
        What it means for training.
    origin : str
        Where the limit comes from.
    measured : str
        How the number was found.
    """

    name: str
    label: str
    value: float
    limit: float
    unit: str
    status: str
    words: str
    origin: str
    measured: str
    at_least: bool = False


def write_noise(device: Device) -> float | None:
    """Return the standard deviation between state and read weight (weight units); None where a class has none."""
    own = getattr(device, "write_noise", None)  # a device in Python says it itself
    if own is not None:
        return float(own)
    values = device.physical_values()
    share = values.get("write_noise_std")
    return None if share is None else float(share * values["dw_min"])
