# SPDX-License-Identifier: Apache-2.0
"""What every model of programming, drift and reading has."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar

import torch

from engine.errors import ParameterError, say
from engine.inference.converters import Converter
from engine.inference.converters.single_pair import SinglePair
from engine.inference.draws import Draws
from engine.parts import Part
from engine.quantity import Quantity

State = dict[str, torch.Tensor]
SCALED = {"bounds": (0, 10), "softbounds": (0, 3), "group": "Scales"}
PROGRAM, DRIFT, RELAX, READ = "program", "drift", "relax", "read"


class NoiseModel(Part):
    """Statistics of one kind of device: programming error, what time does, what a read adds.

    Conductances are in uS, times in seconds after the reference read, which comes ``t_0`` after the last write pulse.
    docs/physics/inference.md, section 3. Subclasses define `program` and `conductances`, and `converter` where one
    pair of devices is not what the model was measured on.

    Notes
    -----
    `program` and `conductances` work on all chips at once. What was drawn at programming stays; a draw of a read
    depends on the time and nothing else. So a chip's state at a time does not depend on the times asked for before.
    """

    abstract: ClassVar[bool] = True
    shortest: ClassVar[float] = 0.0
    """Time (s) from which on the model was measured; before, its law is a continuation."""

    # fmt: off
    g_max = Quantity(25.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Conductance", source="assumed", doc="Conductance of a full weight, to which statistics are "
                                                                "referred; the converter's has to be the same.")
    prog_noise_scale = Quantity(1.0, **SCALED, source="assumed: as measured",
                                doc="Factor on the standard deviation of programming; 0 programs exactly.")
    read_noise_scale = Quantity(1.0, **SCALED, source="assumed: as measured",
                                doc="Factor on the standard deviation of the noise that a read finds; 0 is none.")
    states = Quantity(0, bounds=(0, 2**16), softbounds=(0, 64), integer=True, unit="levels", group="Conductance",
                      source="assumed: continuous", doc="Equally spaced conductances from g_min to g_max that can be "
                                                        "programmed; 0 is any.")
    drift_scale = Quantity(1.0, **SCALED, source="assumed: as measured",
                           doc="Factor on drift; 0 keeps conductances as programmed.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` for a single state, which can hold no weight."""
        super().check()
        if self.states == 1:
            raise ParameterError(
                say(f"{type(self).__name__}.states", 1, "holds no weight", "0, 2 .. 65536", "Use 2 or more.")
            )

    def converter(self) -> Converter:
        """Return the converter that is used if none is given: one pair of devices."""
        return SinglePair(g_max=self.g_max)

    def check_converter(self, converter: Converter) -> None:
        """Raise `ParameterError` unless the converter has the model's g_max."""
        if not math.isclose(converter.g_max, self.g_max, rel_tol=1e-6):
            subject, allowed = f"{type(converter).__name__}.g_max", f"{self.g_max:g} uS, as {type(self).__name__}.g_max"
            rule = "differs from the noise model's"
            raise ParameterError(say(subject, converter.g_max, rule, allowed, "Make both the same.", unit="uS"))

    def check_time(self, t: float) -> None:
        """Raise `ParameterError` for a time that the model has no statistics for."""
        if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t < math.inf:
            raise ParameterError(say("t", t, "is no time after programming", "0 s or more", "Give seconds.", unit="s"))

    def writable(self, target: torch.Tensor, converter: Converter) -> torch.Tensor:
        """Return targets (uS) as the nearest ones that can be programmed."""
        if self.states == 0:
            return target
        step = converter.span / (self.states - 1)
        return ((target - converter.g_min) / step).round_().mul_(step).add_(converter.g_min)

    def relative(self, g: torch.Tensor) -> torch.Tensor:
        """Return conductances as shares of g_max."""
        return g / self.g_max

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return what programming leaves on each chip.

        Parameters
        ----------
        target : torch.Tensor
            ``(slices, out, in)`` for all chips, or ``(chip, slices, out, in)``; uS.
        draws : Draws
        prog_id : int
            Which programming: another one draws anew.

        Returns
        -------
        dict
            ``"programmed"`` ``(chip, slices, out, in)`` uS, and what else stays with a device.
        """
        raise NotImplementedError(f"{type(self).__name__}.program: a noise model must define it.")

    def reprogrammed(self, state: State, programmed: torch.Tensor) -> State:
        """Return a state whose programmed conductances are others, all else of it as it was."""
        return state | {"programmed": programmed}

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return what a read at time t finds, ``(chip, slices, out, in)`` uS; other reads at t have other numbers."""
        raise NotImplementedError(f"{type(self).__name__}.conductances: a noise model must define it.")

    def weights(
        self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int, factors: list[float]
    ) -> torch.Tensor:
        """Return the sum of the slices of `conductances` times their factors, ``(chip, out, in)``."""
        g = self.conductances(target, state, t, draws, read_id)
        return torch.einsum("ck...,k->c...", g, g.new_tensor(factors))

    def state_names(self) -> tuple[str, ...]:
        """Return the names of the arrays of a state, for a forecast of memory."""
        return ("programmed",)


def polynomial(r: torch.Tensor, ascending: list[float]) -> torch.Tensor:
    """Return a polynomial of r by its coefficients, that of degree zero first."""
    total = torch.full_like(r, ascending[-1])
    for c in reversed(ascending[:-1]):
        total = total * r + c
    return total


def programmed_with(target: torch.Tensor, sigma: torch.Tensor, draws: Draws, prog_id: int) -> torch.Tensor:
    """Return targets with a normal error of standard deviation sigma, none below zero: ``(chip, slices, out, in)``."""
    if not sigma.any():
        return target.expand(len(draws.seeds), *draws.shape)
    return draws.errors(target, sigma, "floored", PROGRAM, prog_id)


def interpolated(x: torch.Tensor, nodes: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return values at x, linear between increasing nodes, beyond them as at the last one; all of one dtype."""
    place = torch.searchsorted(nodes, x.contiguous()).clamp_(1, len(nodes) - 1)
    low, high = nodes[place - 1], nodes[place]
    share = ((x - low) / (high - low)).clamp_(0, 1)
    return torch.lerp(values[place - 1], values[place], share)


def check_increasing(subject: str, numbers: list[float], unit: str) -> None:
    """Raise `ParameterError` unless there are at least two numbers, each larger than the one before."""
    if len(numbers) < 2 or any(b <= a for a, b in pairwise(numbers)):
        raise ParameterError(
            say(subject, numbers, "must increase", "two numbers or more, each larger than the one before",
                "Sort them, and leave out repeated ones.", unit=unit)
        )  # fmt: skip


def check_length(subject: str, numbers: list[float], wanted: int, why: str) -> None:
    """Raise `ParameterError` unless a table has the wanted length."""
    if len(numbers) != wanted:
        rule = f"has {len(numbers)} numbers"
        raise ParameterError(say(subject, "a table", rule, f"{wanted}, {why}", "Complete the table."))
