# SPDX-License-Identifier: Apache-2.0
"""Pairs of devices whose conductances are tabulated over the weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine.errors import ParameterError, say
from engine.inference.converters.base import Converter, Scale
from engine.inference.converters.n_pair import check_significance
from engine.quantity import Flag, Quantity, Table

_SOURCE = "aihwkit 1.2.0, examples/32_weight_programming_options.py, the first custom table"
_TOLERANCE = 1e-4  # of the largest weight, as the peer's test has it


class CustomPair(Converter):
    r"""Conductances of each device by a table over the weight, linear between nodes.

    .. math:: W = \frac{1}{s} \sum_k f_k (g^+_k(W) - g^-_k(W)), \quad s = w_{max} / \max|W|

    with the largest tabulated difference w_max. Both devices of a pair may conduct at small weights. Found by
    `engine.inference.wpo.optimise`, or written by hand. See docs/physics/inference.md, section 2.

    Examples
    --------
    >>> table = [[0.0, 0.0, 25.0], [25.0, 0.0, 0.0]]
    >>> CustomPair.of([1.0], table).to_conductances(torch.tensor([[1.0, -0.5]]))[0].tolist()
    [[[25.0, 0.0]], [[0.0, 12.5]]]
    """

    title = "Tabulated pairs"
    formula = "W = Σₖ fₖ (gₖ⁺(W) − gₖ⁻(W))/s"

    # fmt: off
    g_max = Quantity(25.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Conductance", source=_SOURCE, doc="Largest conductance that a device is programmed to.")
    f_lst = Table([1.0], group="Pairs", source=_SOURCE, doc="Significance of each pair.")
    g_lst = Table([0.0, 0.0, 25.0, 25.0, 0.0, 0.0], unit="uS", lowest=0, group="Pairs",
                  source="assumed: one device of the pair at g_min, as SinglePair",
                  doc="Tables of all devices one after another (positive, negative device of the first pair, ...), "
                      "each over equally spaced weights from the most negative to the most positive.")
    invertibility_test = Flag(True, group="Pairs", source="aihwkit 1.2.0, default of the custom converter",
                              doc="Refuse tables from which a weight cannot be read back.")
    # fmt: on

    @classmethod
    def of(cls, f_lst: Sequence[float], tables: Sequence[Sequence[float]], **others) -> CustomPair:
        """Return the converter of one table for each device.

        Parameters
        ----------
        f_lst : sequence of float
            Significance of each pair.
        tables : sequence of sequence of float
            ``[g+_1, g-_1, g+_2, ...]``, uS, all of one length.
        **others
            Further parameters by name.

        Raises
        ------
        ParameterError
            Tables of different lengths, or another number of them than two for each pair.
        """
        lengths = sorted({len(t) for t in tables})
        if len(lengths) != 1 or len(tables) != 2 * len(f_lst):
            got = f"{len(tables)} tables of {', '.join(map(str, lengths))} nodes"
            allowed = f"{2 * len(f_lst)} tables of one length, two for each number of f_lst"
            raise ParameterError(say("CustomPair.g_lst", got, "does not fit f_lst", allowed, "Complete the tables."))
        return cls(f_lst=list(map(float, f_lst)), g_lst=[float(g) for table in tables for g in table], **others)

    def check(self) -> None:
        """Raise `ParameterError` for tables that do not fit together, leave the range or cannot be inverted."""
        super().check()
        check_significance(self)
        if len(self.g_lst) % self.slices or len(self.g_lst) < 2 * self.slices:
            allowed = f"{self.slices} tables of one length, at least 2 nodes each"
            remedy = "Complete the tables, or use CustomPair.of."
            raise ParameterError(say("CustomPair.g_lst", f"{len(self.g_lst)} numbers", "is not whole", allowed, remedy))
        self._check_range()
        if self.reach() == 0:
            rule, allowed = "hold no weight", "g+ and g- that differ"
            raise ParameterError(say("CustomPair.g_lst", "equal tables", rule, allowed, "Correct the tables."))
        if self.invertibility_test:
            self._check_invertible()

    def _check_range(self) -> None:
        for k, g in enumerate(self.g_lst):
            if not self.g_min <= g <= self.g_max:
                subject, allowed = f"CustomPair.g_lst[{k}]", f"[{self.g_min:g}, {self.g_max:g}] uS"
                raise ParameterError(say(subject, g, "leaves the devices' range", allowed, "Correct it.", unit="uS"))

    def _check_invertible(self) -> None:
        """Each node and five weights between two of them must be read back."""
        weights = torch.linspace(-1, 1, 6 * (self.nodes - 1) + 1, dtype=torch.float64)[None]
        back = self.to_weights(*self.to_conductances(weights))
        error = (back - weights).abs()[0]
        worst = int(error.argmax())
        if not error[worst] < _TOLERANCE:  # a table of zeros gives NaN
            raise ParameterError(
                f"CustomPair.g_lst: weight {weights[0, worst]:.4g} of the largest is read back as "
                f"{back[0, worst]:.4g} (allowed: within {_TOLERANCE:g}). Make the sum of f (g+ - g-) a straight line "
                "over the nodes."
            )

    @property
    def slices(self) -> int:
        """Two for each pair."""
        return 2 * len(self.f_lst)

    @property
    def nodes(self) -> int:
        """Weights at which the tables are given."""
        return len(self.g_lst) // self.slices

    @property
    def significance(self) -> list[float]:
        """``f_lst``."""
        return list(self.f_lst)

    def tables(self, like: torch.Tensor) -> torch.Tensor:
        """Return the tables, ``(slices, nodes)`` uS, with dtype and device of ``like``."""
        return like.new_tensor(self.g_lst).reshape(self.slices, self.nodes)

    def reach(self) -> float:
        """Return the largest tabulated difference, uS."""
        return self.net(self.tables(torch.empty(0, dtype=torch.float64))[:, None]).abs().max().item()

    def conductances_at(self, weights: torch.Tensor, scale: Scale) -> tuple[torch.Tensor, Scale]:
        """Return ``(slices, out, in)`` and the scale."""
        reach = self.reach()
        place = (weights * (scale["scale"] / reach) + 1).clamp(0, 2) * ((self.nodes - 1) / 2)
        left = place.floor().clamp(max=self.nodes - 2)
        share, left, table = place - left, left.long(), self.tables(weights)
        return torch.stack([t[left] + (t[left + 1] - t[left]) * share for t in table]), scale
