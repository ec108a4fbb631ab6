# SPDX-License-Identifier: Apache-2.0
"""How device parameters and their spreads follow from the fits of several devices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from .parameters import Parameter, held, parameter
from .population import Pooled, covariance_of_means, pool, pool_together, shared

if TYPE_CHECKING:
    from .device_fit import DeviceFit

LOOSE = 0.5
"""Relative standard error of a bound beyond which a device says nothing about it."""

LOG_NORMAL_GAIN = 2.0
"""Gain in log likelihood from which a spread is taken as log-normal; below, as normal, the class's default."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """The fits of one candidate to several devices, and one quantity of them at a time."""

    fits: Sequence[DeviceFit]

    def quantities(self, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return values ``(devices, q)`` and covariances ``(devices, q, q)`` of natural quantities."""
        found = [f.spread_of(lambda x, f=f: [f.candidate.natural(x)[n] for n in names]) for f in self.fits]
        return np.array([value for value, _ in found]), np.array([cov for _, cov in found])

    @property
    def readings(self) -> np.ndarray:
        """Readings that count, ``(devices,)``."""
        return np.array([float(f.transitions) for f in self.fits])


class Effect(ABC):
    """One or more population parameters from one or more quantities."""

    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Return the names of the means (as in ``shown`` of a candidate) that this effect provides."""

    @abstractmethod
    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        """Return the population parameters."""

    def drawn(self) -> tuple[str, ...]:
        """Return the natural quantities that the class draws for each device together, as normal numbers."""
        raise NotImplementedError(f"{type(self).__name__}.drawn: an effect of a curved class must define it.")


def _spread(name: str, meaning: str, pooled: Pooled, unit_value: float, unit: str = "1") -> Parameter:
    """Return a device-to-device spread in units of ``unit_value``, with the interval of the Q statistic."""
    if not np.isfinite(pooled.spread):
        return held(name, 0.0, unit, meaning, "one device says nothing about the spread over devices")
    low, value, high = (s / unit_value for s in (pooled.spread_low, pooled.spread, pooled.spread_high))
    error = pooled.spread_stderr / unit_value if np.isfinite(pooled.spread_stderr) else (high - low) / 4
    note = "" if low > 0 else f"{name} is not resolved: the devices differ no more than their errors ({value:.2g})"
    return Parameter(name, value, error, low, high, unit, meaning, note, True, not note)


@dataclass(frozen=True)
class ScalePair(Effect):
    """Scales of both directions: their mean, their asymmetry, and two independent spreads.

    ``s_up = dw (gain + min(ud, 0) + r)``, ``s_down = dw (gain - max(ud, 0) - r)``: half the sum varies with ``gain``,
    half the difference with ``r``.
    """

    up: str
    down: str
    scale: str
    asymmetry: str
    log_normal: str = ""

    def names(self) -> tuple[str, ...]:
        return self.scale, self.asymmetry

    def drawn(self) -> tuple[str, ...]:
        return self.up, self.down

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        value, cov = cohort.quantities([self.up, self.down])
        turn = np.array([[0.5, 0.5], [0.5, -0.5]])
        middle, half = turn @ value.T
        variances = np.einsum("qi,nij,qj->nq", turn, cov, turn)
        gain, shift = pool(middle, variances[:, 0]), pool(half, variances[:, 1])
        first = 0 if shift.mean >= 0 else 1
        strong, weak = (pool(value[:, k], cov[:, k, k]) for k in (first, 1 - first))
        together = covariance_of_means(value[:, first], value[:, 1 - first], cov[:, first, first],
                                       cov[:, 1 - first, 1 - first], strong, weak)  # fmt: skip
        ratio = weak.mean / strong.mean
        error = np.sqrt(max(weak.stderr**2 + ratio**2 * strong.stderr**2 - 2 * ratio * together, 0.0)) / strong.mean
        unit, meaning = shown[self.scale]
        asymmetry = (1 - ratio) if first == 0 else (ratio - 1)
        made = [
            parameter(self.scale, strong.mean, strong.stderr, unit, meaning, signed=False, freedom=strong.freedom),
            parameter(self.asymmetry, asymmetry, float(error), *shown[self.asymmetry], signed=True,
                      freedom=strong.freedom),
        ]  # fmt: skip
        gain, made[0], form = self._scale(middle, variances[:, 0], gain, made[0], abs(shift.mean))
        made.append(_spread(f"{self.scale}_dtod", f"relative spread of {self.scale} over devices", gain,
                            1.0 if form else strong.mean))  # fmt: skip
        made.append(_spread(f"{self.asymmetry}_dtod", f"spread of the asymmetry over devices, in units of {self.scale}",
                            shift, strong.mean))  # fmt: skip
        if form:
            made.append(held(self.log_normal, 1.0, "1", "the scale is spread log-normally, by likelihood", ""))
        return made

    def _scale(self, middle, variance, gain: Pooled, scale: Parameter, half: float):
        """Return the spread to report, the scale to go with it, and whether it is log-normal."""
        strong = middle + half  # dw * gain, which is what the class draws log-normally
        if not self.log_normal or middle.size < 5 or (strong <= 0).any():
            return gain, scale, False
        logs = pool(np.log(strong), variance / strong**2)
        if logs.log_likelihood - np.log(strong).sum() < gain.log_likelihood + LOG_NORMAL_GAIN:
            return gain, scale, False
        value = float(np.exp(logs.mean))
        found = parameter(scale.name, value, logs.stderr * value, scale.unit, scale.meaning, signed=False,
                          freedom=logs.freedom)  # fmt: skip
        return logs, found, True


@dataclass(frozen=True)
class Single(Effect):
    """A positive quantity with a relative spread of its own."""

    name: str

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def drawn(self) -> tuple[str, ...]:
        return (self.name,)

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        value, cov = cohort.quantities([self.name])
        found = pool(value[:, 0], cov[:, 0, 0])
        mean = parameter(self.name, found.mean, found.stderr, *shown[self.name], signed=False, freedom=found.freedom)
        meaning = f"relative spread of {self.name} over devices"
        return [mean, _spread(f"{self.name}_dtod", meaning, found, abs(found.mean))]


@dataclass(frozen=True)
class Bound(Single):
    """A bound, which only some devices, or none, may come near."""

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        near = [f for f in cohort.fits if self._near(f)]
        if near:
            found = super().of(Cohort(near), shown)
            missing = len(cohort.fits) - len(near)
            if missing:
                note = f"{missing} of {len(cohort.fits)} devices do not come near {self.name}: mean of the others"
                found[0] = replace(found[0], note=note)
            return found
        return self._far(cohort, shown)

    def _near(self, fit: DeviceFit) -> bool:
        """Tell whether a device's readings fix the bound: its standard error is less than `LOOSE` of it."""
        if self.name not in fit.objective.names:
            return False
        i = fit.objective.names.index(self.name)
        return 0 < fit.covariance[i, i] < LOOSE**2

    def _far(self, cohort: Cohort, shown) -> list[Parameter]:
        unit, meaning = shown[self.name]
        value = float(np.median(cohort.quantities([self.name])[0]))
        note = f"{self.name} is not determined: no reading comes near it"
        spread = f"relative spread of {self.name} over devices"
        return [held(self.name, value, unit, meaning, note), held(f"{self.name}_dtod", 0.0, "1", spread, note)]


@dataclass(frozen=True)
class Slope(Effect):
    """The slope of a linear step, which refers to the mean bound: ``gamma = -r w_bound``."""

    name: str
    slope: str
    bound: str

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        value, cov = cohort.quantities([self.slope])
        found = pool(value[:, 0], cov[:, 0, 0])
        bound = Bound(self.bound).of(cohort, shown)[0]
        mean = -found.mean * bound.value
        error = np.hypot(bound.value * found.stderr, found.mean * np.nan_to_num(bound.stderr))
        note = (
            ""
            if not bound.held
            else f"holds for {self.bound} = {bound.value:.3g}; only their ratio follows from the data"
        )
        made = parameter(self.name, mean, float(error), *shown[self.name], signed=True, freedom=found.freedom)
        meaning = f"absolute spread of {self.name} over devices"
        return [
            replace(made, note=made.note or note),
            _spread(f"{self.name}_dtod", meaning, found, 1 / abs(bound.value)),
        ]


@dataclass(frozen=True)
class Tilt(Effect):
    """Spread of half the difference of up and down steps, where both directions have tables of their own."""

    name: str
    difference: str
    scale: str

    def names(self) -> tuple[str, ...]:
        return ()

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        value, cov = cohort.quantities([self.difference, self.scale])
        found = pool(value[:, 0], cov[:, 0, 0])
        meaning = f"spread of the asymmetry over devices, in units of {self.scale}"
        return [_spread(self.name, meaning, found, abs(float(value[:, 1].mean())))]


@dataclass(frozen=True)
class SpreadsOf(Effect):
    """Only the spreads of another effect, for a class that writes its means in other terms."""

    effect: Effect
    meanings: tuple[str, ...]

    def names(self) -> tuple[str, ...]:
        return ()

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        known = dict.fromkeys(self.meanings, ("w", ""))
        return [p for p in self.effect.of(cohort, known) if p.name.endswith("_dtod")]


@dataclass(frozen=True)
class Curve(Effect):
    """The curve of the mean device with soft bounds, ``w(p) = r_min + B (1 - exp(-alpha p))`` over ``pulses``.

    Not the mean of the devices' curves: the class gives the curve of its nominal device, and a ratio of means is no
    mean of ratios.
    """

    pulses: int

    def names(self) -> tuple[str, ...]:
        return "alpha", "range_min", "range_max"

    def values(self, up, down, top, bottom) -> dict[str, np.ndarray]:
        """Return curvature and ends: ``top = r_min + B`` and ``bottom = r_max - B`` solved for the ends."""
        width = np.asarray(top) - bottom
        alpha = -np.log1p(-np.minimum((np.asarray(up) + down) / width, 1 - 1e-12))
        reach = width / (1 + np.exp(-alpha * self.pulses))
        return {"alpha": alpha, "range_min": top - reach, "range_max": bottom + reach}

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        value, cov = cohort.quantities(["s_up", "s_down", "w_max", "w_min"])
        pooled, covariance = pool_together(value, np.einsum("nqq->nq", cov))
        means = np.array([p.mean for p in pooled])
        step = 1e-4 * np.sqrt(np.diag(covariance))
        moved = [self.values(*(means[:, None] + sign * np.diag(step))) for sign in (1, -1)]
        made = []
        for name, found in self.values(*means).items():
            slope = (moved[0][name] - moved[1][name]) / (2 * step)
            error = float(np.sqrt(slope @ covariance @ slope))
            made.append(parameter(name, float(found), error, *shown[name], signed=name != "alpha",
                                  freedom=pooled[0].freedom))  # fmt: skip
        return made


@dataclass(frozen=True)
class Reference(Effect):
    """Bounds and reference device: a reference shifts both bounds of a device together, their own spreads do not."""

    def names(self) -> tuple[str, ...]:
        return "w_max", "w_min"

    def drawn(self) -> tuple[str, ...]:
        return self.names()

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        made = [p for name in self.names() for p in Bound(name).of(cohort, shown)]
        near = [f for f in cohort.fits if {"w_max", "w_min"} <= set(f.objective.names)]
        meaning = "spread of the reference over devices"
        if len(near) < 3:
            return [*made, held("reference_std", 0.0, "w", meaning, "needs three devices with both bounds in reach")]
        value, cov = Cohort(near).quantities(["w_max", "w_min"])
        n, away = len(near), value - value.mean(0)
        together = float(away[:, 0] @ away[:, 1] / (n - 1) - cov[:, 0, 1].mean())
        error = float(np.sqrt((value.var(0, ddof=1).prod() + together**2) / (n - 1)))
        std = np.sqrt(max(together, 0.0))
        low, high = (np.sqrt(max(together + z * error, 0.0)) for z in (-1.96, 1.96))
        note = "" if low > 0 else "reference_std is not resolved: the bounds of a device do not move together"
        stderr = error / (2 * std) if std > 0 else float(high) / 2
        numbers = (float(std), float(stderr), float(low), float(high))
        found = Parameter("reference_std", *numbers, "w", meaning, note, determined=not note)
        return [*made, found]


@dataclass(frozen=True)
class Shared(Effect):
    """A number that all devices have in common; on a logarithmic scale where it has one sign."""

    name: str
    logarithmic: bool = False

    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def of(self, cohort: Cohort, shown) -> list[Parameter]:
        value, cov = cohort.quantities([self.name])
        y, v = value[:, 0], cov[:, 0, 0]
        sign = np.sign(y[0]) or 1.0
        if self.logarithmic:
            y, v = np.log(np.abs(y)), v / np.maximum(y**2, 1e-300)
        found = shared(y, v, cohort.readings)
        mean = sign * np.exp(found.mean) if self.logarithmic else found.mean
        error = abs(mean) * found.stderr if self.logarithmic else found.stderr
        return [parameter(self.name, float(mean), float(error), *shown[self.name], signed=not self.logarithmic,
                          freedom=found.freedom)]  # fmt: skip
