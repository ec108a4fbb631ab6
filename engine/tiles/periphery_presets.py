# SPDX-License-Identifier: Apache-2.0
"""Published and typical sets of converters and noise, by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.errors import ParameterError, near_miss
from engine.tiles.periphery import IOParameters

_PEER = "aihwkit 1.2.0"


@dataclass(frozen=True)
class PeripheryPreset:
    """A set of periphery parameters.

    Attributes
    ----------
    title, note, source : str
        One line each; what it leaves out stands in the note.
    values : dict
        What differs from the defaults of `IOParameters`.
    """

    title: str
    source: str
    note: str = ""
    values: dict[str, Any] = field(default_factory=dict)


_EIGHT_BITS = {"inp_res": 1 / 254, "out_res": 1 / 254, "out_bound": 10.0, "out_noise": 0.04}

PRESETS = {
    "default": PeripheryPreset(
        "Default", f"{_PEER}, IOParameters", "7-bit DAC, 9-bit ADC, inputs scaled to their largest, bounds managed."
    ),
    "perfect": PeripheryPreset("Perfect", "assumed", "The exact product.", {"is_perfect": True}),
    "device_presets": PeripheryPreset(
        "Training chips", f"{_PEER}, periphery of its device presets",
        "As the default, with a wider and noisier ADC.", {"out_bound": 20.0, "out_noise": 0.1},
    ),
    "eight_bits": PeripheryPreset(
        "8 bits in and out", f"{_PEER}, StandardIOPreset", "8-bit DAC and ADC.", _EIGHT_BITS
    ),
    "pcm_read": PeripheryPreset(
        "PCM read", f"{_PEER}, presets for inference",
        "8-bit converters, read noise of phase-change cells that grows with the root of the weight, wires. Inputs are "
        "scaled to their largest here; there a range for each layer is learned, and bounds are not managed.",
        _EIGHT_BITS | {"w_noise": 0.0175, "w_noise_type": "pcm_read", "ir_drop": 1.0, "bound_management": "none"},
    ),
    "four_bits": PeripheryPreset(
        "4 bits in and out", "assumed", "What an edge converter of four bits leaves of a product.",
        {"inp_res": 1 / 14, "out_res": 1 / 14},
    ),
    "two_phases": PeripheryPreset(
        "Two phases, digital sum", "assumed", "Negative and positive inputs one after the other, an ADC reading each.",
        {"mv_type": "pos_neg_separate_digital_sum"},
    ),
}  # fmt: skip


def names() -> list[str]:
    """Return the names of all presets, the default first."""
    return list(PRESETS)


def info(name: str) -> PeripheryPreset:
    """Return what is known of a preset.

    Raises
    ------
    ParameterError
        When there is none of that name; near misses are named.
    """
    if name not in PRESETS:
        hint = near_miss(name, PRESETS) or " Choose one of these."
        raise ParameterError(f"periphery preset {name!r}: there is none (allowed: {', '.join(PRESETS)}).{hint}")
    return PRESETS[name]


def load(name: str) -> IOParameters:
    """Return the parameters of a preset.

    Examples
    --------
    >>> load("eight_bits").out_bound
    10.0
    """
    return IOParameters(**info(name).values)
