# SPDX-License-Identifier: Apache-2.0
"""Charge-trap memory in subthreshold operation, up to five days."""

from __future__ import annotations

import torch

from engine.errors import ParameterError, say
from engine.inference.draws import Draws, time_bits
from engine.inference.noise.base import PROGRAM, READ, RELAX, NoiseModel, State
from engine.quantity import Flag, Quantity, Table

_SOURCE = "IEDM 2022 (128 K devices, 40 nm), as coefficients of CrossSim, SONOS"
_DAY_S = 86400.0
# Mean drift after day 1 .. 5: ascending polynomial of the target current, nA.
_DRIFT = [
    [0.172684, 0.0572552, -0.000685715, 3.50271e-06, -9.37682e-09, 1.40575e-11,
     -1.19803e-14, 5.41293e-18, -8.85448e-22, -1.66869e-25, 5.9518e-29],
    [0.250712, 0.0662195, -0.000683218, 2.99442e-06, -6.78255e-09, 7.70482e-12,
     -3.04983e-15, -2.15919e-18, 2.94617e-21, -1.23359e-24, 1.85329e-28],
    [-0.01753, 0.0976883, -0.000963791, 4.55551e-06, -1.22391e-08, 1.93786e-11,
     -1.85899e-14, 1.07659e-17, -3.58211e-21, 5.96785e-25, -3.3041e-29],
    [0.0403338, 0.103111, -0.0010474, 4.83961e-06, -1.28132e-08, 1.99484e-11,
     -1.85139e-14, 1.00008e-17, -2.84944e-21, 3.01008e-25, 1.18747e-29],
    [0.319927, 0.106596, -0.00104054, 4.5029e-06, -1.10352e-08, 1.56477e-11,
     -1.27592e-14, 5.45513e-18, -7.26841e-22, -2.43893e-25, 7.14608e-29],
]  # fmt: skip


class Sonos(NoiseModel):
    r"""Silicon-oxide-nitride-oxide-silicon cells; a conductance here is the current at the read voltage, in nA.

    .. math:: I(t) = \max\left(0, I_T + D_t(I_T) + A_t (1 - e^{-I_T/B_t})\,\xi\right)

    D_t is a polynomial for each day, D_0 = 0; coefficients, A and B are linear in days. The part of the spread that
    programming leaves stays with a device, what comes on top is a second draw for its life. A read adds
    12.58 nA (1 - exp(-I/215 nA)). See docs/physics/inference.md, section 3.

    Notes
    -----
    Noise of a read is drawn once for each time; on the chip it is another in every product.
    """

    title = "SONOS (CrossSim)"
    formula = "I(t) = I_T + D_t(I_T) + A_t(1 − exp(−I_T/B_t)) ξ"

    # fmt: off
    g_max = Quantity(1600.0, bounds=(0, 1800), inclusive_bounds=(False, True), softbounds=(100, 1800), unit="nA",
                     group="Conductance", source=_SOURCE,
                     doc="Current of a full weight; drift was measured up to 1800 nA.")
    sigma_a = Table([19.88665, 25.59102, 28.72753, 31.04318, 33.76214, 34.57909], unit="nA", lowest=0,
                    group="Programming", source=_SOURCE, doc="A on day 0 .. 5: spread of large currents.")
    sigma_b = Table([176.3115, 186.85544, 193.56834, 198.90332, 204.77023, 207.34309], unit="nA", lowest=0,
                    group="Programming", source=_SOURCE, doc="B on day 0 .. 5: current over which the spread grows.")
    read_a = Quantity(12.58037, bounds=(0, None), softbounds=(0, 50), unit="nA", group="Read noise", source=_SOURCE,
                      doc="Read noise of large currents.")
    read_b = Quantity(215.36557, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(10, 1000), unit="nA",
                      group="Read noise", source=_SOURCE, doc="Current over which the read noise grows.")
    extrapolate = Flag(False, group="Time", source="assumed (off)",
                       doc="Allow times above five days, further linear in days.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` unless A and B have six days."""
        super().check()
        for name in ("sigma_a", "sigma_b"):
            if len(getattr(self, name)) != len(_DRIFT) + 1:
                rule, allowed = "does not fit the days of the drift", f"{len(_DRIFT) + 1} numbers"
                raise ParameterError(say(f"Sonos.{name}", getattr(self, name), rule, allowed, "Complete it."))

    def check_time(self, t: float) -> None:
        """Raise `ParameterError` for a time after the fifth day, unless it is allowed."""
        super().check_time(t)
        if t > len(_DRIFT) * _DAY_S and not self.extrapolate:
            remedy = "Set extrapolate=True to go beyond the measurement."
            raise ParameterError(say("t", t, "was not measured (Sonos)", "0 .. 432000 s", remedy, unit="s"))

    def _between(self, days: list, t: float):
        """Return numbers, or lists of them, of day 0, 1, ... at time t, linear in days."""
        k = min(int(t / _DAY_S), len(days) - 2)
        share = t / _DAY_S - k
        first, second = days[k], days[k + 1]
        if isinstance(first, list):
            return [a + (b - a) * share for a, b in zip(first, second, strict=True)]
        return first + (second - first) * share

    def mean_drift(self, current: torch.Tensor, t: float) -> torch.Tensor:
        """Return the mean change until t (s) of devices with such a target (nA), nA."""
        coefficients = self._between([[0.0] * len(_DRIFT[0]), *_DRIFT], t)
        i = current.double()  # terms cancel each other to a few of 10,000
        total = torch.zeros_like(i)
        for c in reversed(coefficients):
            total = total * i + c
        return total.to(current.dtype).mul_(self.drift_scale)

    def deviation(self, current: torch.Tensor, t: float) -> torch.Tensor:
        """Return the spread at t (s) of devices with such a target (nA), nA."""
        a, b = self._between(self.sigma_a, t), self._between(self.sigma_b, t)
        return torch.expm1(current / -b).mul_(-a)

    def read_sigma(self, current: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of a read of devices at such a current (nA), nA."""
        return torch.expm1(current / -self.read_b).mul_(-self.read_a * self.read_noise_scale)

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return ``programmed``; ``start``, before it was kept from falling below zero; ``relax``."""
        sigma = self.deviation(target, 0.0) * self.prog_noise_scale
        start = draws.normals(PROGRAM, prog_id).mul_(sigma).add_(target)
        return {"programmed": start.clamp(min=0), "start": start, "relax": draws.normals(RELAX, prog_id)}

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return ``(chip, slices, out, in)`` nA at time t."""
        more = self.deviation(target, t) ** 2 - self.deviation(target, 0.0) ** 2
        moved = state["relax"] * more.clamp_(min=0).sqrt_().mul_(self.drift_scale)
        held = moved.add_(state["start"]).add_(self.mean_drift(target, t)).clamp_(min=0)
        if self.read_noise_scale == 0:
            return held
        read = draws.normals(READ, read_id, time_bits(t)).mul_(self.read_sigma(held))
        return held.add_(read).clamp_(min=0)

    def state_names(self) -> tuple[str, ...]:
        """Return ``programmed``, ``start``, ``relax``."""
        return ("programmed", "start", "relax")
