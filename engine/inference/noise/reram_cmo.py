# SPDX-License-Identifier: Apache-2.0
"""Resistive memory of conductive metal oxide on HfOx, one second to ten years."""

from __future__ import annotations

import math

import torch

from engine.inference.converters import Converter
from engine.inference.converters.single_device import SingleDevice
from engine.inference.draws import Draws, time_bits
from engine.inference.noise.base import PROGRAM, READ, RELAX, NoiseModel, State
from engine.quantity import Choice, Quantity

_SOURCE = "CMO/HfOx ReRAM array, as coefficients of aihwkit 1.2.0, ReRamCMONoiseModel"
_WINDOWS = {"0.2 %": (0.00081107, 0.00106879), "2 %": (0.0112185391, 0.01129027418)}  # uS, and share of g


class ReramCmo(NoiseModel):
    r"""Programming into an acceptance window, relaxation over log time, random telegraph and 1/f noise of a read.

    .. math:: g_D = g_P - 0.089 \ln t + (0.042 \ln t + 0.412)\,\xi_{relax}, \quad
              g = g_D + K \lg(g_D) \sqrt{\ln\frac{t + t_r}{2 t_r}}\,\xi

    in uS, kept inside g_min .. g_max, for t of 1 s or more; before, linear in t from what was programmed, which nobody
    measured. One device holds a weight. See docs/physics/inference.md, section 3.

    Notes
    -----
    The mean shift is the same for all devices: an offset of all weights, not a factor. Compensation by a factor hardly
    helps; `affine` takes it off. Relaxation is drawn once for each device, so that its way is continuous.
    """

    title = "CMO/HfOx ReRAM"
    formula = "g(t) = g_P − a ln t + (b ln t + c) ξ"
    shortest = 1.0

    # fmt: off
    g_max = Quantity(88.19999694824219, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(20, 200),
                     unit="uS", group="Conductance", source=_SOURCE, doc="Largest conductance that is programmed.")
    g_min = Quantity(9.0, bounds=(0, None), softbounds=(0, 50), unit="uS", group="Conductance", source=_SOURCE,
                     doc="Smallest conductance; none falls below.")
    acceptance = Choice("0.2 %", tuple(_WINDOWS), group="Programming", source=_SOURCE,
                        doc="Window around the target within which programming stops.")
    shift = Quantity(-0.08900206, softbounds=(-0.5, 0.5), unit="uS", group="Relaxation", source=_SOURCE,
                     doc="Mean change for each e-fold of time.")
    spread_growth = Quantity(0.04201137, bounds=(0, None), softbounds=(0, 0.5), unit="uS", group="Relaxation",
                             source=_SOURCE, doc="Growth of the spread for each e-fold of time.")
    spread_start = Quantity(0.41183342, bounds=(0, None), softbounds=(0, 2), unit="uS", group="Relaxation",
                            source=_SOURCE, doc="Spread after 1 s.")
    read_k = Quantity(0.0277316483, bounds=(0, None), softbounds=(0, 0.2), unit="uS", group="Read noise",
                      source=_SOURCE, doc="Read noise for each decade of conductance in uS.")
    t_read = Quantity(1e-6, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-9, 1e-3), log=True,
                      unit="s", group="Read noise", source=_SOURCE, doc="Duration of one read.")
    # fmt: on

    def converter(self) -> Converter:
        """Return one device for a weight, over the model's range."""
        return SingleDevice(g_max=self.g_max, g_min=self.g_min)

    def programming_sigma(self, g: torch.Tensor) -> torch.Tensor:
        """Return the standard deviation of programming for targets g, uS."""
        a, b = _WINDOWS[self.acceptance]
        return g * b + a

    def mean_shift(self, t: float) -> float:
        """Return the mean change until t (1 s or more), uS."""
        return self.drift_scale * self.shift * math.log(t)

    def relaxation(self, t: float) -> float:
        """Return the spread of the change until t (1 s or more), uS."""
        return self.drift_scale * (self.spread_growth * math.log(t) + self.spread_start)

    def read_sigma(self, g: torch.Tensor, t: float) -> torch.Tensor:
        """Return the standard deviation of a read of devices at g (uS) at time t, uS; below 1 uS none."""
        growth = math.sqrt(max(math.log((t + self.t_read) / (2 * self.t_read)), 0.0))
        return g.clamp(min=1.0).log10_().mul_(self.read_noise_scale * self.read_k * growth)

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return ``programmed`` and ``relax``, the device's draw of its way."""
        sigma = self.programming_sigma(target) * self.prog_noise_scale
        programmed = draws.normals(PROGRAM, prog_id).mul_(sigma).add_(target).clamp_(self.g_min, self.g_max)
        return {"programmed": programmed, "relax": draws.normals(RELAX, prog_id)}

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return ``(chip, slices, out, in)`` uS at time t."""
        g = state["programmed"]
        if t == 0:
            return g.clone()
        after = max(t, self.shortest)
        moved = state["relax"].mul(self.relaxation(after)).add_(g).add_(self.mean_shift(after))
        read = draws.normals(READ, read_id, time_bits(t)).mul_(self.read_sigma(moved, after))
        reached = moved.add_(read).clamp_(self.g_min, self.g_max)
        return reached if t >= self.shortest else torch.lerp(g, reached, t / self.shortest)

    def state_names(self) -> tuple[str, ...]:
        """Return ``programmed``, ``relax``."""
        return ("programmed", "relax")
