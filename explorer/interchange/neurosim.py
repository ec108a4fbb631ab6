# SPDX-License-Identifier: Apache-2.0
"""NeuroSim's nonlinearity settings: curves ``G(P) = B (1 - exp(-P/A)) + G_min``, as soft bounds that follow them."""

from __future__ import annotations

import math

from engine.devices.soft_bounds import SoftBounds
from engine.devices.soft_bounds_pmax import SoftBoundsPmax
from engine.errors import ParameterError, say

from . import Imported


def read(
    a_ltp: float, levels_ltp: int, a_ltd: float | None = None, levels_ltd: int | None = None, sigma_c2c: float = 0.0
) -> Imported:
    """Return the device of NeuroSim's settings, its conductances at -1 .. 1 in weight.

    Parameters
    ----------
    a_ltp, a_ltd : float
        ``A`` of the curves in pulses (``paramALTP``, ``paramALTD`` times the number of levels where they are given
        relative to it); above 0. For down pulses that of up pulses if not given.
    levels_ltp, levels_ltd : int
        Pulses from one end to the other (``maxNumLevelLTP``, ``maxNumLevelLTD``).
    sigma_c2c : float
        Noise of one pulse over the whole range (``sigmaCtoC``).

    Raises
    ------
    ParameterError
        If a setting breaks a rule.

    Notes
    -----
    The label of nonlinearity (-9 .. 9) stands for a value of A in a table of NeuroSim's, under a licence that keeps it
    out of here; NeuroSim prints A beside it.

    References
    ----------
    docs/physics/devices.md, section 3.4.
    """
    a_ltd, levels_ltd = a_ltd or a_ltp, levels_ltd or levels_ltp
    for name, value in (("a_ltp", a_ltp), ("a_ltd", a_ltd), ("levels_ltp", levels_ltp), ("levels_ltd", levels_ltd)):
        if not math.isfinite(value) or value <= 0:
            raise ParameterError(
                say(f"neurosim.{name}", value, "must be positive", "above 0", "Give A, not its label.")
            )
    if not 0 <= sigma_c2c < 1:
        raise ParameterError(say("neurosim.sigma_c2c", sigma_c2c, "is a share of the range", "0 .. 1", "Correct it."))
    quiet = {"dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0, "mult_noise": False}
    curve = SoftBoundsPmax(p_max=levels_ltp, alpha=1 / a_ltp)
    noise = 2 * sigma_c2c
    notes = (
        "spread from device to device (sigmaDtoD, of the nonlinearity) is left out: set the spread of bounds or steps",
    )
    if (a_ltd, levels_ltd) == (a_ltp, levels_ltp):
        return Imported(curve.copy(dw_min_std=noise / curve.granularity, **quiet), notes)
    up, down = curve.soft_bounds(), SoftBoundsPmax(p_max=levels_ltd, alpha=1 / a_ltd).soft_bounds()
    s_up = -math.expm1(-1 / a_ltp) * up["w_max"]
    s_down = math.expm1(-1 / a_ltd) * down["w_min"]
    dw_min = max(s_up, s_down)
    asymmetry = 1 - s_down / s_up if s_up >= s_down else -(1 - s_up / s_down)
    device = SoftBounds(dw_min=dw_min, up_down=asymmetry, w_max=up["w_max"], w_min=down["w_min"],
                        dw_min_std=noise / dw_min, **quiet)  # fmt: skip
    return Imported(device, notes)


def settings(device: SoftBoundsPmax) -> dict[str, float]:
    """Return ``a_ltp``, ``levels_ltp`` and ``sigma_c2c`` of a device given by its curve; `read` takes them."""
    span = device.range_max - device.range_min
    sigma = device.dw_min_std * device.granularity / span
    return {"a_ltp": 1 / device.alpha, "levels_ltp": device.p_max, "sigma_c2c": sigma}
