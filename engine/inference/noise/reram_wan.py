# SPDX-License-Identifier: Apache-2.0
"""Resistive memory of a compute-in-memory chip, one second to two days."""

from __future__ import annotations

import math

import torch

from engine.errors import ParameterError, say
from engine.inference.draws import Draws, time_bits
from engine.inference.noise.base import PROGRAM, READ, RELAX, NoiseModel, State, polynomial
from engine.quantity import Flag, Quantity, Table

_SOURCE = "Nature 608, 504 (2022), read off its figures by aihwkit 1.2.0, ReRamWan2022NoiseModel"
_TIMES = (1.0, 86400.0, 172800.0)


class ReramWan(NoiseModel):
    r"""Deviation from the target at 1 s, 1 day and 2 days after write and verify, by polynomials of g_T/g_max.

    .. math:: g(t) = \max\left(0, g_T + \sigma_{1s}\xi_0 + \sqrt{\sigma_t^2 - \sigma_{1s}^2}\,\xi_1\right)

    with two draws of each device for its life. In between, coefficients are linear in lg t. The programmed state,
    t = 0, is that of 1 s. See docs/physics/inference.md, section 3.

    Notes
    -----
    There is no drift of the mean. Read noise between products is not part of it: give the tiles w_noise of about 0.01.
    RRAM of the same paper as `RramWanSecond`, read off by others.
    """

    title = "ReRAM array, 1 s to 2 days"
    formula = "g(t) = g_T + σ(g_T, t) ξ"
    shortest = 1.0

    # fmt: off
    g_max = Quantity(40.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Conductance", source=_SOURCE, doc="Conductance of a full weight.")
    g_max_reference = Quantity(40.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                               group="Programming", source=_SOURCE, doc="g_max that the polynomials were fitted at.")
    sigma_second = Table([0.348, 16.030, -43.853, 45.393, -16.815], unit="uS", group="Programming", source=_SOURCE,
                         doc="Deviation after 1 s, ascending polynomial of g_T / g_max.")
    sigma_day = Table([0.701, 22.086, -50.773, 47.095, -16.458], unit="uS", group="Relaxation", source=_SOURCE,
                      doc="Deviation after a day.")
    sigma_two_days = Table([0.782, 20.274, -43.507, 37.062, -11.934], unit="uS", group="Relaxation", source=_SOURCE,
                           doc="Deviation after two days.")
    extrapolate = Flag(False, group="Relaxation", source="assumed (off)",
                       doc="Allow times below 1 s (as at 1 s) and above 2 days (further linear in lg t).")
    peer_compat = Flag(False, group="Compatibility", source="aihwkit 1.2.0",
                       doc="Deviations are not scaled to g_max, and drawn anew around the target at every read.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` unless the three polynomials have one degree."""
        super().check()
        for name in ("sigma_day", "sigma_two_days"):
            if len(getattr(self, name)) != len(self.sigma_second):
                rule, allowed = "has another degree than sigma_second", f"{len(self.sigma_second)} coefficients"
                raise ParameterError(say(f"ReramWan.{name}", getattr(self, name), rule, allowed, "Complete it."))

    def check_time(self, t: float) -> None:
        """Raise `ParameterError` for a time without measurement, unless it is allowed."""
        super().check_time(t)
        if t != 0 and not _TIMES[0] <= t <= _TIMES[-1] and not self.extrapolate:
            remedy = "Set extrapolate=True to go beyond the measurement."
            raise ParameterError(say("t", t, "was not measured (ReramWan)", "0, 1 .. 172800 s", remedy, unit="s"))

    def deviation(self, g: torch.Tensor, t: float) -> torch.Tensor:
        """Return the standard deviation at time t of devices with target g (uS), uS."""
        factor = 1.0 if self.peer_compat else self.g_max / self.g_max_reference
        return polynomial(self.relative(g), self._coefficients(max(t, _TIMES[0]))).mul_(factor).clamp_(min=0)

    def _coefficients(self, t: float) -> list[float]:
        known = [self.sigma_second, self.sigma_day, self.sigma_two_days]
        k = 0 if t <= _TIMES[1] else 1
        share = math.log(t / _TIMES[k]) / math.log(_TIMES[k + 1] / _TIMES[k])
        return [a + (b - a) * share for a, b in zip(known[k], known[k + 1], strict=True)]

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return ``programmed``, the state after 1 s; ``start``, the same with negative ones; ``relax``."""
        sigma = self.deviation(target, 1.0) * self.prog_noise_scale
        start = draws.normals(PROGRAM, prog_id).mul_(sigma).add_(target)
        return {"programmed": start.clamp(min=0), "start": start, "relax": draws.normals(RELAX, prog_id)}

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return ``(chip, slices, out, in)`` uS at time t."""
        if self.peer_compat:
            xi = draws.normals(READ, read_id, time_bits(t))
            return xi.mul_(self.deviation(target, t) * self.prog_noise_scale).add_(target).clamp_(min=0)
        more = self.deviation(target, t) ** 2 - self.deviation(target, 1.0) ** 2
        moved = state["relax"] * more.clamp_(min=0).sqrt_().mul_(self.drift_scale)
        return moved.add_(state["start"]).clamp_(min=0)

    def state_names(self) -> tuple[str, ...]:
        """Return ``programmed``, ``start``, ``relax``."""
        return ("programmed", "start", "relax")
