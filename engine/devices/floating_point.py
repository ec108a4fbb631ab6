# SPDX-License-Identifier: Apache-2.0
"""Floating-point device: a digital weight that may still fade."""

from engine.devices.base import POSITIVE
from engine.devices.ideal import Ideal
from engine.quantity import Quantity

_DRIFT = "aihwkit 1.2.0, default of SimpleDriftParameter"


class FloatingPoint(Ideal):
    r"""The ideal device with a power-law drift: :math:`w(t) = w_0 (t / t_0)^{-\nu}` after the last write.

    See docs/physics/devices.md, section 3.11.
    """

    title = "Floating point"

    # fmt: off
    drift_nu = Quantity(0.0, softbounds=(0, 0.2), group="Drift", source=_DRIFT,
                        doc="Exponent of the power-law drift, weight ~ t^-nu; 0 is no drift.")
    drift_t_0 = Quantity(1.0, **POSITIVE, softbounds=(0.1, 100), unit="s", log=True, group="Drift", source=_DRIFT,
                         doc="Time after a write at which the drift begins.")
    drift_reset_tol = Quantity(1e-7, bounds=(0, None), softbounds=(0, 1e-4), unit="w", group="Drift", source=_DRIFT,
                               doc="A weight that moved by more than this since the last call counts as written.")
    # fmt: on
