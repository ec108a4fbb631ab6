# SPDX-License-Identifier: Apache-2.0
"""Power-law drift and 1/f noise that accumulates: what models of phase-change memory share."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from engine import chip_ops
from engine.inference.draws import Draws, time_bits
from engine.inference.noise.base import DRIFT, READ, SCALED, NoiseModel, State, polynomial, programmed_with
from engine.quantity import Flag, Quantity, Table

LEAST = 1e-7  # share of g_max below which logarithms of it are not taken
_POSITIVE = {"bounds": (0, None), "inclusive_bounds": (False, True), "unit": "s", "group": "Time"}


class PowerLawNoise(NoiseModel):
    r"""Programming with a normal error, drift by a power law, 1/f noise integrated since programming.

    .. math:: g_P = \max(0, g_T + \sigma_P(r_T)\xi), \quad \nu = |\mu_\nu(r_T) + \sigma_\nu(r_T)\xi|

    .. math:: g_D = g_P \left(\frac{t + t_0}{t_0}\right)^{-\nu}, \quad
              g(t) = \max\left(0, g_D \left[1 + Q(r_P)\sqrt{\ln\frac{t + t_0 + t_{read}}{2 t_{read}}}\,\xi\right]\right)

    with r the share of g_max. Subclasses say what the four functions of r are.
    """

    abstract: ClassVar[bool] = True

    # fmt: off
    t_0 = Quantity(20.0, **_POSITIVE, softbounds=(1, 1000), log=True, source="assumed",
                   doc="Time from the last write pulse to the reference read, where t is 0 and drift begins.")
    t_read = Quantity(250e-9, **_POSITIVE, softbounds=(1e-9, 1e-5), log=True, source="assumed",
                      doc="Duration of one read, which cuts off the 1/f noise at high frequencies.")
    drift_spread_scale = Quantity(1.0, **SCALED, source="assumed: as measured",
                                  doc="Factor on the spread of the drift exponent over devices of one target; 0 lets "
                                      "all of them drift alike.")
    prog_coeff = Table([0.0], unit="uS", group="Programming", source="assumed",
                       doc="Coefficients of the standard deviation of programming over g_T / g_max, ascending.")
    prog_coeff_g_max_reference = Quantity(25.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100),
                                          unit="uS", group="Programming", source="assumed",
                                          doc="g_max that the coefficients were measured with.")
    scale_with_g_max = Flag(True, group="Programming", source="aihwkit 1.2.0, PCMLikeNoiseModel",
                            doc="A device with another g_max has a programming error larger in proportion.")
    # fmt: on

    def programming_sigma(self, g: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of programming for targets g, uS, without prog_noise_scale."""
        sigma = polynomial(self.relative(g), self.prog_coeff)
        return sigma * (self.g_max / self.prog_coeff_g_max_reference) if self.scale_with_g_max else sigma

    def nu_mean(self, g: torch.Tensor) -> torch.Tensor:
        """Return the mean drift exponent of devices with target g (uS)."""
        raise NotImplementedError(f"{type(self).__name__}.nu_mean: a noise model must define it.")

    def nu_std(self, g: torch.Tensor) -> torch.Tensor:
        """Return the spread of the drift exponent over devices with target g (uS)."""
        raise NotImplementedError(f"{type(self).__name__}.nu_std: a noise model must define it.")

    def read_share(self, g: torch.Tensor) -> torch.Tensor:
        """Return Q, the 1/f noise of devices programmed to g (uS) as a share of g for each root of ln."""
        raise NotImplementedError(f"{type(self).__name__}.read_share: a noise model must define it.")

    def drift_log(self, t: float) -> float:
        """Return ln((t + t_0)/t_0), in double precision."""
        return math.log1p(t / self.t_0)

    def read_growth(self, t: float) -> float:
        """Return the root of ln((t + t_0 + t_read)/(2 t_read)), in double precision."""
        return math.sqrt(max(math.log((t + self.t_0 + self.t_read) / (2 * self.t_read)), 0.0))

    def drift_factor(self, nu: float, t: float) -> float:
        """Return what is left of a conductance with exponent nu after t seconds, as a share."""
        return math.exp(-nu * self.drift_log(t))

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return ``programmed``, ``nu`` and ``read``: Q of what was programmed."""
        sigma = self.programming_sigma(target) * self.prog_noise_scale
        state = {"nu": self.exponents(target, draws, prog_id)}
        return self.reprogrammed(state, programmed_with(target, sigma, draws, prog_id))

    def exponents(self, target: torch.Tensor, draws: Draws, prog_id: int) -> torch.Tensor:
        """Return the drift exponent of every device, ``(chip, slices, out, in)``."""
        spread = self.nu_std(target) * self.drift_spread_scale
        nu = draws.errors(self.nu_mean(target), spread, "folded", DRIFT, prog_id)
        return nu if self.drift_scale == 1 else nu.mul_(self.drift_scale)

    def reprogrammed(self, state: State, programmed: torch.Tensor) -> State:
        """Return the state with other programmed conductances and their read noise."""
        share = self.read_share(programmed)
        return state | {
            "programmed": programmed,
            "read": share if self.read_noise_scale == 1 else share.mul_(self.read_noise_scale),
        }

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return ``(chip, slices, out, in)`` uS at time t."""
        return self._read(state, t, draws, read_id)

    def weights(
        self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int, factors: list[float]
    ) -> torch.Tensor:
        """Return the sum of the slices of `conductances` times their factors, ``(chip, out, in)``, in one pass."""
        return self._read(state, t, draws, read_id, factors)

    def _read(
        self, state: State, t: float, draws: Draws, read_id: int, factors: list[float] | None = None
    ) -> torch.Tensor:
        keys = draws.keys(READ, read_id, time_bits(t)) if self.read_noise_scale > 0 else None
        arrays = state["programmed"], state["nu"], state["read"]
        return chip_ops.drifted_read(*arrays, self.drift_log(t), self.read_growth(t), keys, factors)

    def state_names(self) -> tuple[str, ...]:
        """Return ``programmed``, ``nu``, ``read``."""
        return ("programmed", "nu", "read")


def log_clipped(r: torch.Tensor, slope: float, offset: float, low: float, high: float) -> torch.Tensor:
    """Return ``slope ln r + offset`` between low and high."""
    return r.clamp(min=LEAST).log_().mul_(slope).add_(offset).clamp_(low, high)
