# SPDX-License-Identifier: Apache-2.0
"""Power-law drift with statistics by tables."""

import torch

from engine.errors import ParameterError, say
from engine.inference.converters import Converter
from engine.inference.noise.base import check_increasing, check_length, interpolated
from engine.inference.noise.pcm import Pcm
from engine.quantity import Choice, Table

_SOURCE = "assumed: an example of three levels"


class Tabulated(Pcm):
    """As the PCM model, with statistics linear between tabulated conductances: of drift alone, or of all.

    The tables have to reach over all conductances of the converter; programmed conductances beyond have the last
    value. See docs/physics/inference.md, section 3.
    """

    title = "PCM-like, tabulated"

    # fmt: off
    tabulated = Choice("drift", ("drift", "all"), group="Tables", source="assumed: drift",
                       doc="What comes from tables: the drift exponent, or programming and read noise too.")
    g_lst = Table([0.0, 10.0, 25.0], unit="uS", lowest=0, group="Tables", source=_SOURCE,
                  doc="Conductances of the tables, increasing.")
    nu_mean_lst = Table([0.08, 0.05, 0.03], group="Tables", source=_SOURCE, doc="Mean drift exponent at each.")
    nu_std_lst = Table([0.03, 0.02, 0.01], lowest=0, group="Tables", source=_SOURCE,
                       doc="Spread of the drift exponent at each.")
    sigma_lst = Table([0.26, 0.86, 1.06], unit="uS", lowest=0, group="Tables", source=_SOURCE,
                      doc="Standard deviation of programming at each.")
    q_lst = Table([0.2, 0.016, 0.0088], lowest=0, group="Tables", source=_SOURCE, doc="Relative 1/f noise at each.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for tables of different lengths, or levels that do not increase."""
        super().check()
        check_increasing("Tabulated.g_lst", self.g_lst, "uS")
        for name in ("nu_mean_lst", "nu_std_lst", "sigma_lst", "q_lst"):
            if name.startswith("nu") or self.tabulated == "all":
                check_length(f"Tabulated.{name}", getattr(self, name), len(self.g_lst), "as g_lst")

    def check_converter(self, converter: Converter) -> None:
        """Raise `ParameterError` also where the tables do not reach over the converter's conductances."""
        super().check_converter(converter)
        if self.g_lst[0] > converter.g_min or self.g_lst[-1] < converter.g_max:
            allowed = f"from {converter.g_min:g} or less to {converter.g_max:g} or more"
            rule, remedy = "does not reach over the conductances of the converter", "Add levels at the ends."
            raise ParameterError(say("Tabulated.g_lst", self.g_lst, rule, allowed, remedy, unit="uS"))

    def _read_off(self, g: torch.Tensor, values: list[float]) -> torch.Tensor:
        return interpolated(g, g.new_tensor(self.g_lst), g.new_tensor(values))

    def nu_mean(self, g: torch.Tensor) -> torch.Tensor:
        """Return the mean drift exponent of targets g (uS)."""
        return self._read_off(g, self.nu_mean_lst)

    def nu_std(self, g: torch.Tensor) -> torch.Tensor:
        """Return the spread of the drift exponent of targets g (uS)."""
        return self._read_off(g, self.nu_std_lst)

    def programming_sigma(self, g: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of programming for targets g, uS."""
        return self._read_off(g, self.sigma_lst) if self.tabulated == "all" else super().programming_sigma(g)

    def read_share(self, g: torch.Tensor) -> torch.Tensor:
        """Return Q of devices programmed to g (uS)."""
        return self._read_off(g, self.q_lst) if self.tabulated == "all" else super().read_share(g)
