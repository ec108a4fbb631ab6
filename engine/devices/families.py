# SPDX-License-Identifier: Apache-2.0
"""What devices have in common, as base classes: processes in time, spread over devices, steps, write noise."""

from __future__ import annotations

from typing import ClassVar

from engine.devices.base import NOT_NEGATIVE, POSITIVE, Device
from engine.errors import ParameterError, say
from engine.quantity import Flag, Quantity

AIHWKIT = "aihwkit 1.2.0, default of PulsedDevice"
_DRIFT = "aihwkit 1.2.0, default of DriftParameter"
_WIDEST_LOG_NORMAL = 10.0  # the widest normal draw is 6.7: e^67 = 1e29 leaves room below the largest number, 3e38


class FadingDevice(Device):
    """Diffusion and decay, once per mini-batch (docs/physics/devices.md, section 5)."""

    abstract: ClassVar[bool] = True

    # fmt: off
    diffusion = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.01), unit="w/batch^0.5", group="Decay and diffusion",
                         source=AIHWKIT, doc="Standard deviation of the random walk in each mini-batch.")
    lifetime = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 1e6), unit="batches", group="Decay and diffusion",
                        source=AIHWKIT, doc="Decay constant, above 1; 0 switches the decay off.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a lifetime of at most one mini-batch that is not 0."""
        super().check()
        if 0 < self.lifetime <= 1:
            raise ParameterError(
                say(f"{type(self).__name__}.lifetime", float(self.lifetime), "is too short",
                    "0 (off), or above 1", "Give it in mini-batches.", unit="batches")
            )  # fmt: skip


class SpreadDevice(FadingDevice):
    """Spread over devices, faults, reset and drift: what every pulsed device has besides its step."""

    abstract: ClassVar[bool] = True

    # fmt: off
    dw_min_std = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 5), group="Cycle-to-cycle noise", source=AIHWKIT,
                          doc="Noise of a single step relative to the step; values far above 1 are normal.")
    dw_min_dtod = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 1), group="Device-to-device spread", source=AIHWKIT,
                           doc="Relative spread of the step size over devices, common to both directions.")
    dw_min_dtod_log_normal = Flag(False, group="Device-to-device spread", source=AIHWKIT,
                                  doc="Draw the step size log-normally; its mean is then exp(dtod^2/2) times dw_min.")
    up_down_dtod = Quantity(0.01, **NOT_NEGATIVE, softbounds=(0, 0.3), group="Device-to-device spread", source=AIHWKIT,
                            doc="Spread of the up/down asymmetry over devices, in units of dw_min.")
    w_max_dtod = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 1), group="Device-to-device spread", source=AIHWKIT,
                          doc="Relative spread of the upper bound over devices.")
    w_min_dtod = Quantity(0.3, **NOT_NEGATIVE, softbounds=(0, 1), group="Device-to-device spread", source=AIHWKIT,
                          doc="Relative spread of the lower bound over devices.")
    enforce_consistency = Flag(True, group="Device-to-device spread", source=AIHWKIT,
                               doc="Fold negative steps and wrong-sided bounds; off, crossed bounds disable a device.")
    perfect_bias = Flag(False, group="Faults", source=AIHWKIT,
                        doc="The last column (a bias) gets ideal devices with bounds a hundred times wider.")
    corrupt_devices_prob = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.5), group="Faults", source=AIHWKIT,
                                    doc="Probability that a device is stuck at a random weight.")
    corrupt_devices_range = Quantity(0.1, **NOT_NEGATIVE, softbounds=(0, 1), unit="w", group="Faults", source=AIHWKIT,
                                     doc="A stuck device's weight lies within plus or minus this.")
    diffusion_dtod = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 1), group="Decay and diffusion", source=AIHWKIT,
                              doc="Relative spread of the diffusion over devices.")
    lifetime_dtod = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 1), group="Decay and diffusion", source=AIHWKIT,
                             doc="Relative spread of the lifetime over devices.")
    reset = Quantity(0.0, softbounds=(-0.5, 0.5), unit="w", group="Reset", source=AIHWKIT,
                     doc="Mean weight that a reset, and the decay, goes to.")
    reset_dtod = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.2), unit="w", group="Reset", source=AIHWKIT,
                          doc="Spread of that weight over devices, absolute.")
    reset_std = Quantity(0.01, **NOT_NEGATIVE, softbounds=(0, 0.2), unit="w", group="Reset", source=AIHWKIT,
                         doc="Noise of a single reset.")
    drift_nu = Quantity(0.0, softbounds=(0, 0.2), group="Drift", source=_DRIFT,
                        doc="Mean exponent of the power-law drift, weight ~ t^-nu; 0 is no drift.")
    drift_nu_dtod = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 1), group="Drift", source=_DRIFT,
                             doc="Relative spread of the exponent over devices.")
    drift_nu_std = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 1), group="Drift", source=_DRIFT,
                            doc="Relative noise of the exponent at each call.")
    drift_t_0 = Quantity(1.0, **POSITIVE, softbounds=(0.1, 100), unit="s", log=True, group="Drift", source=_DRIFT,
                         doc="Time after a write at which the drift begins.")
    drift_reset_tol = Quantity(1e-7, **NOT_NEGATIVE, softbounds=(0, 1e-4), unit="w", group="Drift", source=_DRIFT,
                               doc="A weight that moved by more than this since the last call counts as written.")
    drift_nu_k = Quantity(0.0, softbounds=(-0.1, 0.1), group="Drift", source=_DRIFT,
                          doc="How the exponent falls with the logarithm of the conductance.")
    drift_log_g0 = Quantity(0.0, softbounds=(-5, 5), group="Drift", source=_DRIFT,
                            doc="Natural logarithm of the conductance at which the exponent is drift_nu.")
    drift_wg_ratio = Quantity(1.0, **POSITIVE, softbounds=(0.1, 10), unit="w/g", group="Drift", source=_DRIFT,
                              doc="Weight per conductance.")
    drift_g_offset = Quantity(0.0, softbounds=(-1, 1), unit="g", group="Drift", source=_DRIFT,
                              doc="Conductance at weight drift_w_offset.")
    drift_w_offset = Quantity(0.0, softbounds=(-1, 1), unit="w", group="Drift", source=_DRIFT,
                              doc="Weight at conductance drift_g_offset.")
    drift_w_noise_std = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 0.1), unit="w", group="Drift", source=_DRIFT,
                                 doc="Noise added at each drift call.")
    peer_compat = Flag(False, group="Compatibility", source="docs/physics/devices.md, section 9",
                       doc="Follow aihwkit also where it is thought to be wrong, so that published results carry over.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a log-normal spread whose draws would leave single precision."""
        super().check()
        if self.dw_min_dtod_log_normal and self.dw_min_dtod > _WIDEST_LOG_NORMAL:
            raise ParameterError(
                say(
                    f"{type(self).__name__}.dw_min_dtod",
                    self.dw_min_dtod,
                    "is too wide for a log-normal draw",
                    f"0 .. {_WIDEST_LOG_NORMAL} with dw_min_dtod_log_normal",
                    "Lower it, or draw normally.",
                )
            )


class PulsedDevice(SpreadDevice):
    """A device with a mean step and mean bounds (docs/physics/devices.md, section 2)."""

    abstract: ClassVar[bool] = True

    # fmt: off
    dw_min = Quantity(0.001, **POSITIVE, softbounds=(1e-5, 1), unit="w", log=True, group="Step", source=AIHWKIT,
                      doc="Mean size of one step; for constant, linear and soft-bounds types at weight zero.")
    up_down = Quantity(0.0, bounds=(-1, 1), inclusive_bounds=(False, False), softbounds=(-0.5, 0.5), group="Step",
                       source=AIHWKIT,
                       doc="Mean asymmetry of the steps: positive makes down steps smaller, negative up steps.")
    w_max = Quantity(0.6, **NOT_NEGATIVE, softbounds=(0.05, 2), unit="w", group="Bounds", source=AIHWKIT,
                     doc="Mean upper bound of the weight.")
    w_min = Quantity(-0.6, bounds=(None, 0), softbounds=(-2, 0), unit="w", group="Bounds", source=AIHWKIT,
                     doc="Mean lower bound of the weight.")
    # fmt: on

    @property
    def range(self) -> tuple[float, float]:
        """Nominal lower and upper bound of the weight (weight units)."""
        return self.w_min, self.w_max

    @property
    def granularity(self) -> float:
        """The step (weight units) that the update logic assumes: ``dw_min``."""
        return self.dw_min


class WrittenDevice(PulsedDevice):
    """A pulsed device whose reads see a frozen write error on top of the state that the pulses act on."""

    abstract: ClassVar[bool] = True

    # fmt: off
    write_noise_std = Quantity(0.0, **NOT_NEGATIVE, softbounds=(0, 100), group="Write noise",
                               source="aihwkit 1.2.0, write_noise_std",
                               doc="Error of a written weight, in units of dw_min, redrawn at each write.")
    apply_write_noise_on_set = Flag(True, group="Write noise", source="aihwkit 1.2.0, apply_write_noise_on_set",
                                    doc="Also when a weight is set from outside.")
    # fmt: on
