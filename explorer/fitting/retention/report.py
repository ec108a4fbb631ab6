# SPDX-License-Identifier: Apache-2.0
"""Result of a retention fit as plain data: what a page shows, a file keeps and a shell prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import lmfit
import numpy as np

from ..plain import number, plain

NORMAL_95 = 1.959964


@dataclass(frozen=True)
class Estimate:
    """One parameter: value, standard error, ends of the 95 % interval (NaN where not determined), unit, meaning."""

    name: str
    value: float
    stderr: float
    low: float
    high: float
    unit: str
    meaning: str

    @property
    def determined(self) -> bool:
        """Whether there is an error, and for a time whether it is smaller than the time itself."""
        return math.isfinite(self.stderr) and not (self.unit == "s" and self.stderr > abs(self.value))


@dataclass(frozen=True)
class Law:
    """One law as fitted.

    Attributes
    ----------
    stem, title : str
    aic, reduced_chi_square : float
    parameters : tuple of Estimate
    prediction : str
        How well a fit to a part of the data predicts the rest.
    noise : dict or None
        The noise model of `engine.inference`, as `engine.parts.Part.to_dict` writes it.
    noise_note : str
        Why there is none, or what it does not say.
    """

    stem: str
    title: str
    aic: float
    reduced_chi_square: float
    parameters: tuple[Estimate, ...]
    prediction: str = ""
    noise: dict[str, Any] | None = None
    noise_note: str = ""


@dataclass(frozen=True)
class Report:
    """Everything that was found.

    Attributes
    ----------
    kind : str
        ``relaxation``, ``bake`` or ``read_noise``.
    source, sha256, measured : str
        The file, the hash of its bytes, and in a line what is in it.
    n_devices : int
    verdict : str
    notes : tuple of str
    laws : tuple of Law
        The best first.
    lowest_c : float
        Of a bake, its lowest temperature.
    devices : tuple of tuple
        Of read noise, for each device: conductance, relative noise, slope, its error, Q, its error, states.
    """

    kind: str
    source: str
    sha256: str
    measured: str
    n_devices: int
    verdict: str
    notes: tuple[str, ...]
    laws: tuple[Law, ...]
    lowest_c: float = math.nan
    devices: tuple[tuple[float, ...], ...] = ()

    @property
    def best(self) -> Law:
        """The law that describes the data best."""
        return self.laws[0]

    def law(self, stem: str) -> Law:
        """Return a law by its name; the best where there is none of that name."""
        return next((law for law in self.laws if law.stem == stem), self.best)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, JSON-ready; numbers that are not finite are None."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Report:
        """Return what `to_dict` was made from."""
        values = dict(written)
        values["laws"] = tuple(_law(one) for one in values["laws"])
        values["notes"] = tuple(values["notes"])
        values["lowest_c"] = number(values.get("lowest_c"))
        values["devices"] = tuple(tuple(map(number, row)) for row in values["devices"])
        return cls(**values)

    def text(self) -> str:
        """Return the result as text."""
        lines = [f"{self.source}: {self.measured}"]
        for law in self.laws:
            fit = f"AIC {law.aic:.1f}, chi-square {law.reduced_chi_square:.2f} per degree of freedom"
            lines.append(f"{law.title}{': ' + fit if math.isfinite(law.aic) else ''}")
            if law is self.best:
                lines += [f"  {p.name} = {p.value:.4g} ± {p.stderr:.2g} {p.unit}" for p in law.parameters]
        lines += [
            f"  {g:.4g} uS: noise {noise:.2%}, spectrum f^-{slope:.2f} ± {se:.2g}, Q = {q:.4g} ± {qe:.2g}, "
            f"{n:.0f} states"
            for g, noise, slope, se, q, qe, n in self.devices
        ]
        return "\n".join([*lines, "", self.verdict, *(f"note: {note}" for note in self.notes)])


def _law(written: Mapping[str, Any]) -> Law:
    values = dict(written)
    texts = ("name", "unit", "meaning")
    values["parameters"] = tuple(
        Estimate(**{n: v if n in texts else number(v) for n, v in p.items()}) for p in values["parameters"]
    )
    return Law(**values | {n: number(values[n]) for n in ("aic", "reduced_chi_square")})


def estimates(result: lmfit.minimizer.MinimizerResult, units: Mapping[str, str],
              meanings: Mapping[str, str]) -> tuple[Estimate, ...]:  # fmt: skip
    """Return the parameters of a least-squares fit; intervals of times are even on a logarithmic scale."""
    return tuple(
        estimate(name, p.value, math.nan if p.stderr is None else p.stderr, units[name], meanings[name],
                 (p.min, p.max))
        for name, p in result.params.items()
    )  # fmt: skip


def estimate(name: str, value: float, stderr: float, unit: str, meaning: str,
             bounds: tuple[float, float] = (-math.inf, math.inf)) -> Estimate:  # fmt: skip
    """Return a parameter with its 95 % interval of the normal distribution, inside the bounds that it has."""
    half = NORMAL_95 * stderr
    ends = (value - half, value + half)
    if unit == "s" and value > 0 and math.isfinite(stderr):
        factor = math.exp(min(half / value, 50.0))
        ends = (value / factor, value * factor)
    low, high = (float(np.clip(end, *bounds)) if math.isfinite(end) else math.nan for end in ends)
    return Estimate(name, float(value), float(stderr), low, high, unit, meaning)


def curve_error(result: lmfit.minimizer.MinimizerResult, curve) -> np.ndarray:
    """Return the standard error of a curve by the covariance of the parameters (delta method).

    Parameters
    ----------
    result : MinimizerResult
    curve : callable
        Takes a dict of all parameters, returns an array of any shape.

    Returns
    -------
    array
        Of the curve's shape; NaN where the fit has no covariance.
    """
    best = {n: float(p.value) for n, p in result.params.items()}
    middle = np.asarray(curve(best), dtype=float)
    if getattr(result, "covar", None) is None:
        return np.full(middle.shape, np.nan)
    slopes = []
    for name in result.var_names:
        error = result.params[name].stderr or abs(best[name]) or 1.0
        step = 1e-3 * (min(error, abs(best[name])) if best[name] else error)
        ends = [np.asarray(curve(best | {name: best[name] + sign * step}), dtype=float) for sign in (1, -1)]
        slopes.append((ends[0] - ends[1]) / (2 * step))
    j = np.stack([s.ravel() for s in slopes])
    variance = np.einsum("ik,ij,jk->k", j, result.covar, j)
    return np.sqrt(np.maximum(variance, 0.0)).reshape(middle.shape)
