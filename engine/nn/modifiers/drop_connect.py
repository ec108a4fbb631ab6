# SPDX-License-Identifier: Apache-2.0
"""Weights that are zero by chance."""

from __future__ import annotations

from engine.nn.modifiers.copy import Copy
from engine.quantity import Quantity


class DropConnect(Copy):
    """Each weight is zero with probability ``pdrop``; the others are not enlarged."""

    title = "Drop-connect"
    formula = "W̃ = W or 0"

    # fmt: off
    pdrop = Quantity(0.01, bounds=(0, 1), softbounds=(0, 0.1), group="Drop-connect",
                     source="recipe of the LSTM of a device-specification study (LU-zhw323/LSTM_HWA): 0.01",
                     doc="Each weight is zero with this probability; the others are not enlarged.")
    # fmt: on
