# SPDX-License-Identifier: Apache-2.0
"""Phase-change memory, the one-million-device model."""

import torch

from engine import chip_ops
from engine.inference.noise.power_law import PowerLawNoise, log_clipped
from engine.quantity import Quantity, Table

_LEAST_POWER = 1e-3  # below, the largest noise is reached
_SOURCE = "Nature Communications 11, 2473 (2020) and ICECS 2019, as coefficients of aihwkit 1.2.0, PCMLikeNoiseModel"
_EXPONENT = {"bounds": (0, 1), "softbounds": (0, 0.2), "group": "Drift", "source": _SOURCE}
_SLOPE = {"softbounds": (-0.1, 0.1), "group": "Drift", "source": _SOURCE}


class Pcm(PowerLawNoise):
    r"""Mushroom cells of doped Ge2Sb2Te5, statistics of about a million devices.

    .. math:: \mu_\nu = \mathrm{clip}(a \ln r + b), \quad \sigma_\nu = \mathrm{clip}(a' \ln r + b'), \quad
              Q = \min(0.0088\, r^{-0.65}, 0.2)

    See docs/physics/inference.md, section 3.

    References
    ----------
    "Accurate deep neural network inference using computational phase-change memory", Nature Communications 11, 2473
    (2020); "Phase-change memory models for deep learning training and inference", ICECS 2019.

    Examples
    --------
    >>> model = Pcm()
    >>> round(model.programming_sigma(torch.tensor([25.0])).item(), 4)  # uS, of a full conductance
    1.0554
    >>> round(model.drift_factor(0.05, 86400.0), 4)  # a day later
    0.658
    """

    title = "PCM, one million devices"
    formula = "g(t) = g_P ((t + t₀)/t₀)^−ν (1 + Q √ln(…) ξ)"

    # fmt: off
    g_max = Quantity(25.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Conductance", source=_SOURCE, doc="Conductance of a full weight.")
    prog_coeff = Table([0.26348, 1.9650, -1.1731], unit="uS", group="Programming", source=_SOURCE,
                       doc="Coefficients of the standard deviation of programming over g_T / g_max, ascending.")
    nu_mean_slope = Quantity(-0.0155, **_SLOPE, doc="Change of the mean drift exponent for each e-fold of g_T.")
    nu_mean_offset = Quantity(0.0244, **_SLOPE, doc="Mean drift exponent at g_max before its limits.")
    nu_mean_min = Quantity(0.049, **_EXPONENT, doc="Smallest mean drift exponent.")
    nu_mean_max = Quantity(0.1, **_EXPONENT, doc="Largest mean drift exponent, of devices near zero.")
    nu_std_slope = Quantity(-0.0125, **_SLOPE, doc="Change of the exponent's spread for each e-fold of g_T.")
    nu_std_offset = Quantity(-0.0059, **_SLOPE, doc="Spread of the drift exponent at g_max before its limits.")
    nu_std_min = Quantity(0.008, **_EXPONENT, doc="Smallest spread of the drift exponent over devices.")
    nu_std_max = Quantity(0.045, **_EXPONENT, doc="Largest spread of the drift exponent over devices.")
    q_s = Quantity(0.0088, bounds=(0, 1), softbounds=(0, 0.05), group="Read noise", source=_SOURCE,
                   doc="1/f noise of a device at g_max, as a share of its conductance.")
    q_exponent = Quantity(0.65, bounds=(0, 2), softbounds=(0, 1), group="Read noise", source=_SOURCE,
                          doc="How fast the relative noise grows towards small conductances.")
    q_max = Quantity(0.2, bounds=(0, 1), softbounds=(0, 0.5), group="Read noise", source=_SOURCE,
                     doc="Largest relative 1/f noise.")
    # fmt: on

    def nu_mean(self, g: torch.Tensor) -> torch.Tensor:
        """Return the mean drift exponent of targets g (uS)."""
        limits = self.nu_mean_min, self.nu_mean_max
        return log_clipped(self.relative(g), self.nu_mean_slope, self.nu_mean_offset, *limits)

    def nu_std(self, g: torch.Tensor) -> torch.Tensor:
        """Return the spread of the drift exponent of targets g (uS)."""
        limits = self.nu_std_min, self.nu_std_max
        return log_clipped(self.relative(g), self.nu_std_slope, self.nu_std_offset, *limits)

    def read_share(self, g: torch.Tensor) -> torch.Tensor:
        """Return Q of devices programmed to g (uS)."""
        numbers = {"factor": self.q_s, "exponent": self.q_exponent, "least": _LEAST_POWER, "most": self.q_max}
        return chip_ops.read_shares(g, g_max=self.g_max, **numbers)
