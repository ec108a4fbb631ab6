# SPDX-License-Identifier: Apache-2.0
"""Statistics that are the same for every conductance."""

import torch

from engine.inference.noise.power_law import PowerLawNoise
from engine.quantity import Flag, Quantity, Table

_SOURCE = "aihwkit 1.2.0, StateIndependentNoiseModel"


class StateIndependent(PowerLawNoise):
    """One programming error, one distribution of exponents and one relative read noise for all devices.

    See docs/physics/inference.md, section 3.
    """

    title = "State-independent"
    formula = "σ_P, ν, Q the same for every conductance"

    # fmt: off
    prog_coeff = Table([0.2], unit="uS", group="Programming", source=_SOURCE,
                       doc="Standard deviation of programming.")
    scale_with_g_max = Flag(False, group="Programming", source=_SOURCE,
                            doc="A device with another g_max has a programming error larger in proportion.")
    nu_mean_value = Quantity(0.1, bounds=(0, 1), softbounds=(0, 0.2), group="Drift", source=_SOURCE,
                             doc="Mean drift exponent.")
    nu_std_value = Quantity(0.05, bounds=(0, 1), softbounds=(0, 0.2), group="Drift", source=_SOURCE,
                            doc="Spread of the drift exponent over devices.")
    q_s = Quantity(0.04, bounds=(0, 1), softbounds=(0, 0.2), group="Read noise",
                   source=_SOURCE + ", whose 1/g_max at 25 uS it equals",
                   doc="1/f noise of a device, as a share of its conductance.")
    # fmt: on

    def nu_mean(self, g: torch.Tensor) -> torch.Tensor:
        """Return the mean drift exponent."""
        return torch.full_like(g, self.nu_mean_value)

    def nu_std(self, g: torch.Tensor) -> torch.Tensor:
        """Return the spread of the drift exponent."""
        return torch.full_like(g, self.nu_std_value)

    def read_share(self, g: torch.Tensor) -> torch.Tensor:
        """Return Q."""
        return torch.full_like(g, self.q_s)
