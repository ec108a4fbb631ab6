# SPDX-License-Identifier: Apache-2.0
"""From weights to the conductances of the devices that hold them, and back."""

from __future__ import annotations

from typing import ClassVar

import torch

from engine.errors import ParameterError, say
from engine.parts import Part
from engine.quantity import Quantity

SMALLEST = 1e-7  # largest weight that an all zero matrix is given, so that its scale is finite
_SOURCE = "aihwkit 1.2.0, default of its conductance converters"
Scale = dict[str, float]


class Converter(Part):
    """A weight in several conductances (slices); both ways are exact, and the scale is fixed by the weights given.

    Subclasses define `to_conductances` and `to_weights`; docs/physics/inference.md, section 2.
    """

    abstract: ClassVar[bool] = True

    # fmt: off
    g_max = Quantity(25.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Conductance", source=_SOURCE, doc="Largest conductance that a device is programmed to.")
    g_min = Quantity(0.0, bounds=(0, None), softbounds=(0, 10), unit="uS", group="Conductance", source=_SOURCE,
                     doc="Smallest conductance that a device is programmed to.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` unless g_min lies below g_max."""
        super().check()
        if self.g_min >= self.g_max:
            rule, allowed = "must lie below g_max", f"[0, {self.g_max:g}) uS"
            raise ParameterError(
                say(f"{type(self).__name__}.g_min", self.g_min, rule, allowed, "Lower it, or raise g_max.", unit="uS")
            )

    @property
    def span(self) -> float:
        """What one device can change, g_max - g_min, uS."""
        return self.g_max - self.g_min

    @property
    def slices(self) -> int:
        """Devices of one weight."""
        raise NotImplementedError(f"{type(self).__name__}.slices: a converter must define it.")

    @property
    def paired(self) -> bool:
        """Whether slices 2k and 2k + 1 are the positive and the negative device of pair k."""
        return True

    @property
    def significance(self) -> list[float]:
        """Factor of each pair in the weight, the pair that is filled first in front."""
        return [1.0]

    def to_conductances(self, weights: torch.Tensor) -> tuple[torch.Tensor, Scale]:
        """Return conductances and the scale behind them.

        Parameters
        ----------
        weights : torch.Tensor
            ``(out, in)``, weight units.

        Returns
        -------
        conductances : torch.Tensor
            ``(slices, out, in)``, uS, each in [g_min, g_max].
        scale : dict
            What `to_weights` needs to know, by name.
        """
        return self.conductances_at(weights, self.scale_of(weights))

    def conductances_at(self, weights: torch.Tensor, scale: Scale) -> tuple[torch.Tensor, Scale]:
        """Return the same with a scale that is given: what lies beyond it is at the devices' limits."""
        raise NotImplementedError(f"{type(self).__name__}.conductances_at: a converter must define it.")

    def scale_of(self, weights: torch.Tensor) -> Scale:
        """Return the scale that takes the largest weight to the largest conductances: ``scale``, uS per weight unit."""
        return {"scale": self.reach() / largest(weights)}

    def reach(self) -> float:
        """Return the largest difference of a weight's conductances, uS."""
        return self.span

    def to_weights(self, conductances: torch.Tensor, scale: Scale) -> torch.Tensor:
        """Return weights ``(..., out, in)`` of conductances ``(..., slices, out, in)`` in uS."""
        return self.net(conductances) / scale["scale"]

    def factors(self, scale: Scale) -> list[float] | None:
        """Return what each slice counts in a weight, weight units per uS; None where it is more than such a sum."""
        if not isinstance(scale["scale"], float):  # each chip its own
            return None
        return [sign * f / scale["scale"] for f in self.significance for sign in (1.0, -1.0)]

    def net(self, conductances: torch.Tensor) -> torch.Tensor:
        """Return the weighted differences of the pairs, ``(..., out, in)`` uS."""
        pairs = conductances[..., 0::2, :, :] - conductances[..., 1::2, :, :]
        factors = pairs.new_tensor(self.significance)
        return pairs[..., 0, :, :] * factors[0] if len(factors) == 1 else torch.einsum(
            "...koi,k->...oi", pairs, factors
        )  # fmt: skip


def largest(weights: torch.Tensor) -> float:
    """Return the largest magnitude of the weights, weight units; for zeros a small number."""
    return max(weights.abs().max().item(), SMALLEST)


def signed_parts(values: torch.Tensor) -> torch.Tensor:
    """Return positive and negative parts of ``(out, in)``, both not below zero: ``(2, out, in)``."""
    return torch.stack([values.clamp(min=0), (-values).clamp(min=0)])
