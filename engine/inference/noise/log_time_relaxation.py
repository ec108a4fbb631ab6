# SPDX-License-Identifier: Apache-2.0
"""Relaxation by its measured mean and spread over level and logarithm of time."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch

from engine.errors import ParameterError, say
from engine.inference.draws import Draws, time_bits
from engine.inference.noise.base import (
    READ,
    RELAX,
    NoiseModel,
    State,
    check_increasing,
    check_length,
    interpolated,
    polynomial,
    programmed_with,
)
from engine.quantity import Choice, Flag, Quantity, Table

_SOURCE = (
    "own weighted cubic fits over 32 levels of measured relaxation of an RRAM array, technology C, about 16,000 cells"
)
_LEVELS = [2.0 * k for k in range(21)]
_TIMES = [0.01, 0.1, 1.0, 4.0, 1e5]
_CUBICS = [
    [0.427, 4.487, -8.865, 4.732],
    [0.815, 6.529, -12.416, 6.306],
    [1.028, 9.231, -18.180, 9.610],
    [1.125, 10.707, -20.153, 10.114],
    [1.255, 15.824, -27.250, 13.443],
]
_SHIFTS = [-0.040, -0.156, -0.265, -0.302, -1.436]
_G_REFERENCE = 40.0
_DEPTH = 5  # halvings of an interval between two times of the table
_FARTHEST = 7.0  # the generator's normals stay within


def _cubic(c: list[float]) -> list[float]:
    return [round(sum(c[k] * (g / _G_REFERENCE) ** k for k in range(4)), 6) for g in _LEVELS]


class LogTimeRelaxation(NoiseModel):
    r"""Conductances move away from where they were programmed, on average and at random, over the logarithm of time.

    .. math:: G(t) = G_P + m(G_P, t) + \sigma(G_P, t) \left[\sqrt{\kappa}\, B(t) + \sqrt{1 - \kappa}\, \xi\right]

    B is a random walk of unit variance with correlation :math:`\sigma(t_1)/\sigma(t_2)`, of each device its own; a read
    draws :math:`\xi` anew. m and :math:`\sigma` are tables over level and time, linear in the level and in lg t.
    Times count from programming. See docs/physics/inference.md, section 3.

    Notes
    -----
    Beyond the levels of the table its last values hold. Before its first time m and the spread grow in proportion
    to t, which nobody measured. Heavy tails come from a transformation of the normal draw that keeps its spread, so
    correlations of two times are a little below those of normal draws. Within an interval of the table the walk is
    subdivided 32 times and straight in between.

    Examples
    --------
    >>> model = LogTimeRelaxation.of([0.0, 40.0], [1.0, 100.0], [[1.0, 2.0], [3.0, 4.0]])
    >>> model.spread(torch.tensor([20.0]), 10.0)  # uS: half way in the level, half way in lg t
    tensor([2.5000])
    """

    title = "Relaxation over log time, measured"
    formula = "G(t) = G_P + m(G_P, t) + σ(G_P, t)(√κ B(t) + √(1 − κ) ξ)"

    # fmt: off
    g_max = Quantity(_G_REFERENCE, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(5, 100), unit="uS",
                     group="Conductance", source=_SOURCE, doc="Conductance of a full weight.")
    levels = Table(_LEVELS, unit="uS", lowest=0, group="Relaxation", source=_SOURCE,
                   doc="Programmed conductances of the tables, increasing.")
    times = Table(_TIMES, unit="s", lowest=0, group="Relaxation", source=_SOURCE,
                  doc="Times after programming of the tables, increasing, above 0.")
    sigma = Table([s for c in _CUBICS for s in _cubic(c)], unit="uS", lowest=0, group="Relaxation", source=_SOURCE,
                  doc="Standard deviation of the change: all levels at the first time, then at the second, ...")
    shift = Table([m for m in _SHIFTS for _ in _LEVELS], unit="uS", group="Relaxation", source=_SOURCE,
                  doc="Mean change, in the same order.")
    kappa = Quantity(0.75, bounds=(0, 1), softbounds=(0, 1), group="Relaxation",
                     source="correlations of two times of the same array, technologies B and C",
                     doc="Share of the variance that stays with a device; the rest is another at every read.")
    draw = Choice("normal", ("normal", "student", "residuals"), group="Tails", source="assumed: normal",
                  doc="Distribution of the change: normal, Student's t, or that of measured residuals.")
    nu_df = Quantity(4.0, bounds=(2, None), inclusive_bounds=(False, True), softbounds=(2.1, 30), log=True,
                     group="Tails", source="assumed; excess kurtosis of the array is 5 to 24",
                     doc="Degrees of freedom of Student's t; the smaller, the heavier the tails.")
    residuals = Table([-1.0, 1.0], group="Tails", source="assumed: a placeholder for measured residuals",
                      doc="Measured changes less their mean over their standard deviation, any number of them.")
    prog_coeff = Table([0.0], unit="uS", group="Programming", source="assumed: programmed with verification",
                       doc="Coefficients of the standard deviation of programming over g_T / g_max, ascending.")
    extrapolate = Flag(False, group="Relaxation", source="assumed (off)",
                       doc="Continue the tables beyond their last time, linear in lg t; otherwise later times are "
                           "refused.")
    # fmt: on

    @classmethod
    def of(
        cls,
        levels: Sequence[float],
        times: Sequence[float],
        sigma: Sequence[Sequence[float]],
        shift: Sequence[Sequence[float]] | None = None,
        **others,
    ) -> LogTimeRelaxation:
        """Return the model of tables with one row for each time.

        Parameters
        ----------
        levels, times : sequence of float
            uS and s, increasing.
        sigma, shift : sequence
            ``(times, levels)`` uS; shift is zero if not given.
        **others
            Further parameters by name. ``g_max`` is the last level if not given.
        """
        spread = np.asarray(sigma, float)
        mean = np.zeros_like(spread) if shift is None else np.asarray(shift, float)
        values = {"levels": [float(g) for g in levels], "times": [float(t) for t in times]}
        tables = {"sigma": spread.ravel().tolist(), "shift": mean.ravel().tolist()}
        return cls(**{"g_max": float(levels[-1])} | values | tables | others)

    def check(self) -> None:
        """Raise `ParameterError` for tables that do not fit together."""
        super().check()
        name = type(self).__name__
        check_increasing(f"{name}.levels", self.levels, "uS")
        check_increasing(f"{name}.times", self.times, "s")
        if self.times[0] <= 0:
            raise ParameterError(
                say(f"{name}.times[0]", self.times[0], "has no logarithm", "above 0", "Leave it out.", unit="s")
            )
        for table in ("sigma", "shift"):
            wanted = len(self.levels) * len(self.times)
            check_length(f"{name}.{table}", getattr(self, table), wanted, "one for each level and time")
        if self.draw == "residuals" and not np.std(self.residuals) > 0:
            raise ParameterError(
                say(f"{name}.residuals", "equal numbers", "have no spread", "two that differ", "Give measured ones.")
            )

    def check_time(self, t: float) -> None:
        """Raise `ParameterError` for a time behind the last of the table, unless it is continued."""
        super().check_time(t)
        if t > self.times[-1] and not self.extrapolate:
            allowed = f"0 .. {self.times[-1]:g} s"
            remedy = "Set extrapolate=True to continue the tables."
            raise ParameterError(say("t", t, f"lies behind the tables of {type(self).__name__}", allowed, remedy,
                                     unit="s"))  # fmt: skip

    def spread(self, g: torch.Tensor, t: float) -> torch.Tensor:
        """Return the standard deviation of the change of devices programmed to g (uS) until t (s), uS."""
        return self._at(self._table("sigma", g), t).clamp_(min=0)

    def mean_shift(self, g: torch.Tensor, t: float) -> torch.Tensor:
        """Return the mean change of devices programmed to g (uS) until t (s), uS."""
        return self._at(self._table("shift", g), t)

    def _table(self, name: str, g: torch.Tensor) -> list[torch.Tensor]:
        """Return a table at the levels g, one tensor for each time."""
        rows = g.new_tensor(getattr(self, name)).reshape(len(self.times), -1)
        nodes = g.new_tensor(self.levels)
        return [interpolated(g, nodes, row) for row in rows]

    def _place(self, t: float) -> tuple[int, float]:
        """Return the interval of the table that a time lies in, and where, as a share of it in lg t."""
        k = min(max(int(np.searchsorted(self.times, t)) - 1, 0), len(self.times) - 2)
        first, last = math.log(self.times[k]), math.log(self.times[k + 1])
        return k, (math.log(t) - first) / (last - first)

    def _at(self, rows: list[torch.Tensor], t: float) -> torch.Tensor:
        if t <= self.times[0]:
            return rows[0] * (t / self.times[0])
        k, share = self._place(t)
        return rows[k] + (rows[k + 1] - rows[k]) * share

    def program(self, target: torch.Tensor, draws: Draws, prog_id: int) -> State:
        """Return ``programmed``, and ``prog_id`` for the walk's draws."""
        sigma = polynomial(self.relative(target), self.prog_coeff) * self.prog_noise_scale
        return {"programmed": programmed_with(target, sigma, draws, prog_id), "prog_id": torch.tensor(prog_id)}

    def conductances(self, target: torch.Tensor, state: State, t: float, draws: Draws, read_id: int) -> torch.Tensor:
        """Return ``(chip, slices, out, in)`` uS at time t."""
        g = state["programmed"]
        if t == 0:
            return g.clone()
        fixed = self.drift_scale * math.sqrt(self.kappa)
        fresh = self.read_noise_scale * math.sqrt(1 - self.kappa)
        size = math.hypot(fixed, fresh)
        moved = g + self.mean_shift(g, t).mul_(self.drift_scale)
        if size == 0:
            return moved.clamp_(min=0)
        z = torch.zeros_like(g)
        if fixed:
            z += self._walk(g, t, draws, int(state["prog_id"])).mul_(fixed / size)
        if fresh:
            z += draws.normals(READ, read_id, time_bits(t)).mul_(fresh / size)
        return moved.add_(self._tailed(z).mul_(self.spread(g, t)).mul_(size)).clamp_(min=0)

    # -- the walk ----------------------------------------------------------------------------------------------

    def _walk(self, g: torch.Tensor, t: float, draws: Draws, prog_id: int) -> torch.Tensor:
        """Return B(t) of every device: a walk over the largest variance so far, of unit variance."""
        sigma = self._table("sigma", g)
        ages = [sigma[0] ** 2]
        for s in sigma[1:]:
            ages.append(torch.maximum(s**2, ages[-1]))
        walk = draws.normals(RELAX, prog_id, 0, 0)
        if t <= self.times[0]:
            return walk
        walk = walk.mul_(ages[0].sqrt())
        k, share = self._place(t)
        for knot in range(1, k + 1):
            walk += (ages[knot] - ages[knot - 1]).sqrt_().mul_(draws.normals(RELAX, prog_id, knot, 0))
        end = walk + (ages[k + 1] - ages[k]).sqrt_().mul_(draws.normals(RELAX, prog_id, k + 1, 0))
        if share > 1:  # behind the table: one more step, of the age that is reached
            return self._beyond(end, ages[-1], self.spread(g, t), draws, prog_id)
        variance = lambda u: torch.maximum((sigma[k] + (sigma[k + 1] - sigma[k]) * u) ** 2, ages[k])  # noqa: E731
        return _between(walk, end, variance, share, lambda node: draws.normals(RELAX, prog_id, k + 1, node))

    def _beyond(self, end, age: torch.Tensor, spread: torch.Tensor, draws: Draws, prog_id: int) -> torch.Tensor:
        later = torch.maximum(spread**2, age)
        step = (later - age).sqrt_().mul_(draws.normals(RELAX, prog_id, len(self.times), 0))
        return (end + step) / later.clamp(min=1e-30).sqrt_()

    # -- tails -------------------------------------------------------------------------------------------------

    def _tailed(self, z: torch.Tensor) -> torch.Tensor:
        """Return normal draws as draws of the distribution asked for, of the same spread."""
        if self.draw == "normal":
            return z
        nodes, values = _quantiles(self.draw, float(self.nu_df), tuple(self.residuals))
        return interpolated(z, z.new_tensor(nodes), z.new_tensor(values))


def _between(start: torch.Tensor, end: torch.Tensor, variance, share: float, normal) -> torch.Tensor:
    """Return a walk inside an interval, over its standard deviation: halvings, then a straight line.

    ``variance(u)`` is the walk's at a share u of the interval; ``normal(node)`` the draws of a node of the halvings.
    """
    low, high, node = 0.0, 1.0, 1
    age_low, age_high = variance(low), variance(high)
    for _ in range(_DEPTH):
        middle = (low + high) / 2
        age = torch.minimum(variance(middle), age_high)
        span = (age_high - age_low).clamp_(min=1e-30)
        part = (age - age_low) / span
        bridge = ((age - age_low) * (age_high - age) / span).clamp_(min=0).sqrt_()
        walk = start + part * (end - start) + bridge * normal(node)
        if share < middle:
            end, high, age_high, node = walk, middle, age, 2 * node
        else:
            start, low, age_low, node = walk, middle, age, 2 * node + 1
    part = ((torch.minimum(variance(share), age_high) - age_low) / (age_high - age_low).clamp(min=1e-30)).clamp_(0, 1)
    reached = age_low + part**2 * (age_high - age_low)
    return (start + part * (end - start)) / reached.clamp_(min=1e-30).sqrt_()


@functools.lru_cache(maxsize=16)
def _quantiles(draw: str, nu_df: float, residuals: tuple[float, ...]) -> tuple[list[float], list[float]]:
    """Return normal deviates and the deviates of the same probability of another distribution of unit spread."""
    from scipy import stats

    nodes = np.linspace(-_FARTHEST, _FARTHEST, 1401)
    shares = stats.norm.cdf(nodes)
    if draw == "student":
        half = stats.t.ppf(stats.norm.cdf(-np.abs(nodes)), nu_df)  # the lower tail has the digits
        return nodes.tolist(), (np.where(nodes < 0, half, -half) * math.sqrt((nu_df - 2) / nu_df)).tolist()
    measured = np.sort(np.asarray(residuals))
    standard = (measured - measured.mean()) / measured.std()
    return nodes.tolist(), np.quantile(standard, shares).tolist()
