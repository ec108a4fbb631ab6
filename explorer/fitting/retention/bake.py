# SPDX-License-Identifier: Apache-2.0
"""Retention at several temperatures: how much faster devices change when they are hot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import lmfit
import numpy as np

from .data import BAKE_LEVELS, Bake, check_bake_size

BOLTZMANN_EV = 8.617333262e-5
"""Boltzmann constant in eV/K (CODATA 2018)."""

KELVIN = 273.15
UNITS = {"energy": "eV", "cold": "1", "b0": "1", "b1": "1", "b2": "1"}
MEANINGS = {
    "energy": "activation energy of the variance at this time",
    "cold": "share of the variance at the lowest temperature that does not depend on temperature",
    "b0": "logarithm of the variance (uS^2) at the lowest temperature, of small conductances",
    "b1": "how that changes with the share r of the largest level",
    "b2": "and with its square",
}
POOR = 3.0


@dataclass(frozen=True, eq=False)
class BakeFit:
    """An Arrhenius law of the spread.

    Attributes
    ----------
    g_us : array, (level,)
        Mean reading before the bake, uS.
    temperature_c : array, (temperature,)
    spread, spread_se : array, (level, temperature)
        Standard deviation of the change, uS, and its standard error.
    values, stderr : dict
        ``energy`` (eV) of activation of the variance, ``cold`` (share of the variance at the lowest temperature that
        does not depend on temperature), ``b0`` .. ``b2`` (of ln variance over the level).
    reduced_chi_square : float
    time_s : float
        Median time between the reads.
    notes : tuple of str
    fit : lmfit.minimizer.MinimizerResult
    """

    g_us: np.ndarray
    temperature_c: np.ndarray
    spread: np.ndarray
    spread_se: np.ndarray
    values: dict[str, float]
    stderr: dict[str, float]
    reduced_chi_square: float
    time_s: float
    notes: tuple[str, ...]
    fit: lmfit.minimizer.MinimizerResult

    def spread_at(self, g_us: np.ndarray, temperature_c: float) -> np.ndarray:
        """Return the standard deviation of the change, uS, of devices at conductances (uS) after the same time."""
        return self.spread_with(self.values, g_us, temperature_c)

    def spread_with(self, values: Mapping[str, float], g_us: np.ndarray, temperature_c: float) -> np.ndarray:
        """Return the same with other values of the parameters."""
        return _spread(values, np.asarray(g_us) / self.g_us.max(), temperature_c, self.temperature_c[0])

    def factor(self, temperature_c: float, reference_c: float) -> float:
        """Return how many times larger the spread is than at a reference: ``drift_scale`` of a noise model."""
        return factor(self.values, float(self.temperature_c[0]), temperature_c, reference_c)

    def report(self) -> str:
        """Return the result as text."""
        lines = [f"Arrhenius, {self.time_s:.4g} s at {', '.join(f'{t:g}' for t in self.temperature_c)} °C"]
        lines += [f"  {n} = {v:.4g} ± {self.stderr[n]:.2g} {UNITS[n]}" for n, v in self.values.items()]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def factor(values: Mapping[str, float], lowest_c: float, temperature_c: float, reference_c: float) -> float:
    """Return how many times larger the spread is than at a reference, by the parameters of a bake's fit.

    Parameters
    ----------
    values : dict
        ``energy`` (eV) and ``cold``.
    lowest_c : float
        Lowest temperature of the bake, which ``cold`` refers to.
    temperature_c, reference_c : float
        Degrees Celsius.
    """
    hot, cold = (
        values["cold"] + (1 - values["cold"]) * _faster(values["energy"], t, lowest_c)
        for t in (temperature_c, reference_c)
    )
    return math.sqrt(hot / cold)


def fit_bake(data: Bake) -> BakeFit:
    r"""Fit the spread of the change over level and temperature.

    .. math:: \sigma^2(r, T) = e^{b_0 + b_1 r + b_2 r^2} \left[c + (1 - c)
              \exp\left(-\frac{E}{k}\left(\frac{1}{T} - \frac{1}{T_0}\right)\right)\right]

    with T_0 the lowest temperature. E is the activation energy of the variance at this time, not of an attempt
    frequency: one time cannot tell the two apart.
    """
    g, spread, se = _table(data)
    r = g / g.max()
    p = lmfit.Parameters()
    p.add("energy", 0.3, min=0, max=5)
    p.add("cold", 0.1, min=0, max=1)
    p.add("b0", 2 * math.log(float(np.median(spread[:, 0]))))
    p.add("b1", 0.0)
    p.add("b2", 0.0)

    def away(q: lmfit.Parameters) -> np.ndarray:
        values = q.valuesdict()
        model = np.stack([_spread(values, r, t, data.temperature_c[0]) for t in data.temperature_c], axis=1)
        return ((model - spread) / se).ravel()

    best = lmfit.minimize(away, p)
    values = {n: float(q.value) for n, q in best.params.items()}
    stderr = {n: float("nan" if q.stderr is None else q.stderr) for n, q in best.params.items()}
    notes = []
    if best.redchi > POOR:
        notes.append(
            f"the law misses the spreads by more than their errors (chi-square {best.redchi:.1f} per degree "
            "of freedom): devices of one level need not follow one energy"
        )
    notes.append("one time only: how the spread grows with time has to come from another measurement")
    return BakeFit(g, data.temperature_c, spread, se, values, stderr, float(best.redchi),
                   float(np.nanmedian(data.t_s)), tuple(notes), best)  # fmt: skip


def _faster(energy: float, temperature_c: float, reference_c: float) -> float:
    return math.exp(-energy / BOLTZMANN_EV * (1 / (temperature_c + KELVIN) - 1 / (reference_c + KELVIN)))


def _spread(values: Mapping[str, float], r: np.ndarray, temperature_c: float, reference_c: float) -> np.ndarray:
    shape = np.exp(values["b0"] + values["b1"] * r + values["b2"] * r**2)
    grown = values["cold"] + (1 - values["cold"]) * _faster(values["energy"], temperature_c, reference_c)
    return np.sqrt(shape * grown)


def _table(data: Bake) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean reading (level,), spread of the change and its standard error, (level, temperature), uS."""
    n = data.before_us.shape[0]
    check_bake_size(n, data.source)
    level = np.argsort(np.argsort(np.nanmean(data.before_us, axis=1))) * BAKE_LEVELS // n
    shape = (BAKE_LEVELS, data.temperature_c.size)
    g, spread, se = np.empty(BAKE_LEVELS), np.empty(shape), np.empty(shape)
    change = data.after_us - data.before_us
    for k in range(BAKE_LEVELS):
        at = level == k
        g[k] = np.nanmean(data.before_us[at])
        for j in range(shape[1]):
            x = change[at, j][np.isfinite(change[at, j])]
            spread[k, j] = x.std(ddof=1)
            kurtosis = ((x - x.mean()) ** 4).mean() / x.var() ** 2
            se[k, j] = spread[k, j] * math.sqrt(max(kurtosis - 1, 0.5) / (4 * x.size))
    return g, spread, se
