# SPDX-License-Identifier: Apache-2.0
"""What every weight modifier has: the scale of its noise, dropped weights, draws, its written form."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from engine import ops
from engine.errors import ParameterError
from engine.quantity import Choice, Flag, Model, Quantity
from engine.rng import derive_seed

SOURCE = "aihwkit 1.2.0, default of WeightModifierParameter"
OURS = "assumed (off: our addition)"
_DROP = 1 << 16  # number of the field of draws that drops weights; a modifier's own are 0, 1, 2, ...


@dataclass(frozen=True)
class Draws:
    """The random numbers of one modification: functions of seed, step and element.

    Parameters
    ----------
    seed : int
        Of the tile.
    step : int
        Number of the mini-batch.
    shape : tuple of int
        ``(out, in)``, or ``(vectors, out, in)``.
    device : torch.device
    """

    seed: int
    step: int
    shape: tuple[int, ...]
    device: torch.device = torch.device("cpu")

    def normal(self, field: int = 0) -> torch.Tensor:
        """Return standard normal draws of the shape; ``field`` numbers independent ones."""
        return self._field(ops.element_normals, field)

    def uniform(self, field: int = 0) -> torch.Tensor:
        """Return draws in (0, 1] of the shape."""
        return self._field(ops.element_uniforms, field)

    def _field(self, make, field: int) -> torch.Tensor:
        count = math.prod(self.shape)
        key = derive_seed(self.seed, "modifier", field)
        return make(key, "forward_weight", self.step, -(-count // 4), 0, self.device).flatten()[:count].view(self.shape)


class Modifier(Model):
    r"""Weights as training is to see them: :math:`\tilde W = f(W, \xi)`, drawn anew for every mini-batch.

    The product and the transposed product of the mini-batch use :math:`\tilde W`; the gradient goes straight through
    to the clean weights, :math:`\partial \tilde W / \partial W = 1`.
    """

    abstract: ClassVar[bool] = True
    title: ClassVar[str] = ""
    formula: ClassVar[str] = ""

    # fmt: off
    rel_to_actual_wmax = Flag(True, group="Scale", source=SOURCE,
                              doc="The noise is relative to the largest weight at hand; off: to assumed_wmax.")
    assumed_wmax = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 1), unit="w",
                            group="Scale", source=SOURCE, doc="Weight that the noise is relative to otherwise.")
    wmax_of = Choice("tile", ("tile", "output"), group="Scale",
                     source="assumed (aihwkit 1.2.0: tile; aihwkit-lightning: output)",
                     doc="The largest weight of a tile, or that of each output.")
    pdrop = Quantity(0.0, bounds=(0, 1), softbounds=(0, 0.1), group="Drop-connect", source=SOURCE,
                     doc="Each weight is zero with this probability, after everything else; the others are not "
                         "enlarged.")
    copy_last_column = Flag(False, group="Scope", source=SOURCE, doc="A bias on the tile stays as it is.")
    per_sample = Flag(False, group="Scope", source=SOURCE,
                      doc="Draw anew for each vector on the tile, not for each mini-batch; slow.")
    enable_during_test = Flag(False, group="Scope", source=SOURCE, doc="Modify in evaluation too.")
    # fmt: on

    @classmethod
    def stem(cls) -> str:
        """Return the name of the modifier: that of its class in small letters, ``AddNormal`` is ``add_normal``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()

    def check(self) -> None:
        """Raise `ParameterError` for numbers beyond single precision."""
        super().check()
        self.check_single_precision()

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return the modified weights; subclasses write this.

        Parameters
        ----------
        w : torch.Tensor
            ``(out, in)`` analog weights; the result has the shape of the draws.
        w_max : torch.Tensor
            What noise is relative to, a scalar or ``(out, 1)``.
        draws : Draws
        strength : float
            Factor on all noise, for a ramp.
        """
        raise NotImplementedError(f"{type(self).__name__}.changed: a modifier must define it.")

    @torch.no_grad()
    def apply(self, w: torch.Tensor, draws: Draws, *, strength: float = 1.0, bias_line: bool = False) -> torch.Tensor:
        """Return modified weights.

        Parameters
        ----------
        w : torch.Tensor
            ``(out, in)`` analog weights, not changed.
        draws : Draws
            Its shape is that of the result: ``(out, in)`` or ``(vectors, out, in)``.
        strength : float
            Factor on all noise and on ``pdrop``, 0 .. 1.
        bias_line : bool
            The last column is a bias.

        Examples
        --------
        >>> from engine.nn.modifiers.drop_connect import DropConnect
        >>> w = torch.ones(50, 40)
        >>> kept = DropConnect(pdrop=0.2).apply(w, Draws(0, 0, (50, 40)))
        >>> 0.75 < kept.mean().item() < 0.85
        True
        """
        w = w.detach()
        found = self.changed(w, self._w_max(w), draws, strength)
        if self.pdrop * strength > 0:
            found = found.masked_fill(draws.uniform(_DROP) <= self.pdrop * strength, 0.0)
        if self.copy_last_column and bias_line:
            found = torch.cat([found[..., :-1], w[:, -1:].expand(*found.shape[:-1], 1)], -1)
        return found.expand(draws.shape).contiguous()

    def _w_max(self, w: torch.Tensor) -> torch.Tensor:
        if not self.rel_to_actual_wmax:
            return w.new_tensor(self.assumed_wmax)
        found = w.abs().amax(1, keepdim=True) if self.wmax_of == "output" else w.abs().max()
        return torch.where(found > 0, found, 1.0)  # nothing but zeros: any scale does

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"modifier": stem, "parameters": {...}}``, JSON-ready."""
        return {"modifier": self.stem(), "parameters": self.values()}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Modifier:
        """Return the modifier of `to_dict`.

        Raises
        ------
        ParameterError
            Unknown modifier or parameter, a value that breaks its rule, or data that `to_dict` did not write.
        """
        from engine.nn import modifiers

        if not isinstance(data, dict) or set(data) != {"modifier", "parameters"}:
            raise ParameterError(
                "Modifier.from_dict: this is no modifier (allowed: a dict with modifier, a name, and parameters, a "
                "dict). Write one with to_dict()."
            )
        return modifiers.get(data["modifier"])(**data["parameters"])


def round_half_away(v: torch.Tensor) -> torch.Tensor:
    """Return whole numbers, halves away from zero."""
    return torch.sign(v) * torch.floor(v.abs() + 0.5)


def step_of(res: float) -> float:
    """Return the step of a resolution: above 1 it is a number of steps."""
    return 1 / res if res > 1 else res
