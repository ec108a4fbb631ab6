# SPDX-License-Identifier: Apache-2.0
"""Phase-change memory as it is at a time after programming."""

from __future__ import annotations

import math

import torch

from engine.nn.modifiers.base import OURS, SOURCE, Draws, Modifier
from engine.quantity import Flag, Quantity

_PROGRAM = (0.26348, 1.9650, -1.1731)  # uS, ascending powers of g/g_max: Nat. Commun. 2020, as in ProgNoise
_T_READ = 250e-9  # s
_SMALLEST = 1e-6  # share of g_max below which ln is not taken
_PROBABILITY = {"bounds": (0, 1), "softbounds": (0, 0.05)}


class PcmNoise(Modifier):
    r"""Programming noise, spread of drift and 1/f noise of phase-change memory at ``pcm_t_inference``.

    The mean of drift is taken as compensated; ``mean_drift`` leaves it in. "Accurate deep neural network inference
    using computational phase-change memory", Nat. Commun. 2020; the order of steps is aihwkit 1.2.0's (GPU only there).
    """

    title = "PCM at a time"
    formula = "W̃ = sgn(W)·g(t)·w_max/g_max"

    # fmt: off
    std_dev = Quantity(1.0, bounds=(0, None), softbounds=(0, 5), group="Noise",
                       source="assumed: the device's own noise; recipes use 3 to 5",
                       doc="Factor on programming and read noise.")
    g_max = Quantity(25.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Device", source=SOURCE, doc="Conductance of the largest weight.")
    pcm_t_inference = Quantity(0.0, bounds=(0, None), softbounds=(1, 3.2e8), unit="s", log=True, group="Device",
                               source=SOURCE, doc="Time after the first read at which the weights are used.")
    pcm_t0 = Quantity(20.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 100), unit="s",
                      group="Device", source=SOURCE, doc="Time of the first read after programming.")
    mean_drift = Flag(False, group="Device", source=OURS, doc="Conductances also fall by the mean drift.")
    pcm_zero_thres = Quantity(0.0, bounds=(0, None), softbounds=(0, 5), group="Device", source=SOURCE,
                              doc="Below so many standard deviations of an empty device a device is left at reset.")
    pcm_prob_at_reset = Quantity(0.0, **_PROBABILITY, group="Stuck devices", source=SOURCE,
                                 doc="Share of devices stuck at reset.")
    pcm_prob_at_gmax = Quantity(0.0, **_PROBABILITY, group="Stuck devices", source=SOURCE,
                                doc="Share of the others moved by g_max, up or down.")
    pcm_prob_at_random = Quantity(0.0, **_PROBABILITY, group="Stuck devices", source=SOURCE,
                                  doc="Share of the others stuck anywhere between 0 and g_max.")
    # fmt: on

    def changed(self, w: torch.Tensor, w_max: torch.Tensor, draws: Draws, strength: float) -> torch.Tensor:
        """Return the weights that devices hold at the time."""
        n = self.std_dev * strength
        g = torch.minimum(torch.maximum(w, -w_max), w_max) * self.g_max / w_max
        sign = torch.where(w < 0, -1.0, 1.0)
        g = torch.where(g.abs() <= self.pcm_zero_thres * n * _PROGRAM[0], 0.0, g)
        g = self._stuck(g.expand(draws.shape), sign, draws).clamp(-self.g_max, self.g_max)
        kept = self._read(self._drifted(self._programmed(g, n, draws), draws), n, draws)
        return torch.where(g == 0, 0.0, sign * kept.abs() * w_max / self.g_max)

    def _stuck(self, g: torch.Tensor, sign: torch.Tensor, draws: Draws) -> torch.Tensor:
        if self.pcm_prob_at_reset:
            g = g.masked_fill(draws.uniform(3) <= self.pcm_prob_at_reset, 0.0)
        if self.pcm_prob_at_gmax:
            hit, up = draws.uniform(4) <= self.pcm_prob_at_gmax, draws.uniform(5) <= 0.5
            g = torch.where(hit, g + self.g_max * torch.where(up, 1.0, -1.0), g)
        if self.pcm_prob_at_random:
            hit = draws.uniform(6) <= self.pcm_prob_at_random
            g = torch.where(hit, sign * self.g_max * draws.uniform(7), g)
        return g

    def _programmed(self, g: torch.Tensor, n: float, draws: Draws) -> torch.Tensor:
        q = g.abs() / self.g_max
        return g + n * sum(c * q**k for k, c in enumerate(_PROGRAM)) * draws.normal(0)

    def _drifted(self, g: torch.Tensor, draws: Draws) -> torch.Tensor:
        if self.pcm_t_inference == 0:
            return g
        log_q = torch.log((g.abs() / self.g_max).clamp(min=_SMALLEST))
        nu = draws.normal(1) * (-0.0125 * log_q - 0.0059).clamp(0.008, 0.045)
        if self.mean_drift:
            nu = nu + (-0.0155 * log_q + 0.0244).clamp(0.049, 0.1)
        return g * torch.exp(-nu.abs() * math.log1p(self.pcm_t_inference / self.pcm_t0))

    def _read(self, g: torch.Tensor, n: float, draws: Draws) -> torch.Tensor:
        q = (g.abs() / self.g_max).clamp(min=0)
        size = (0.0088 / (q**0.65).clamp(min=1e-3)).clamp(max=0.2)
        duration = math.log((self.pcm_t_inference + self.pcm_t0 + _T_READ) / (2 * _T_READ))
        return g + n * g.abs() * size * math.sqrt(duration) * draws.normal(2)
