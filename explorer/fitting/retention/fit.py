# SPDX-License-Identifier: Apache-2.0
"""Fit the laws of retention to measured devices, choose one, say what it predicts and where it fails."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import lmfit
import numpy as np

from engine.inference.noise import NoiseModel

from ..errors import refusal
from .data import Relaxation
from .models import RetentionLaw, all_laws
from .moments import Moments, moments
from .walk import persistent_share, tail_df

MAX_TOLD = 4
"""Levels that a note names; more are counted."""

GOOD_SHARE = 0.15
"""Relative error up to which a predicted spread counts as right (issue 7)."""

CLEAR_AIC = 10.0
"""Difference of AIC from which the better law is clearly better."""

POOR = 3.0
"""Chi-square over degrees of freedom from which the best law does not describe the data within their errors."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One law as fitted.

    Attributes
    ----------
    law : RetentionLaw
    values, stderr : dict
        Parameter to value and to standard error; NaN where the data do not determine it.
    aic, reduced_chi_square : float
        Of means and spreads over their standard errors.
    fit : lmfit.minimizer.MinimizerResult
    """

    law: RetentionLaw
    values: Mapping[str, float]
    stderr: Mapping[str, float]
    aic: float
    reduced_chi_square: float
    fit: lmfit.minimizer.MinimizerResult


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a fit to the earlier times says of the last one.

    Attributes
    ----------
    t_s : float
    level : array, (level,)
    predicted, measured, measured_se : array, (level,)
        Standard deviation of the change since the first read, uS.
    middle : array of bool, (level,)
        Levels in the middle half of the range.
    note : str
        How many of the middle levels are within `GOOD_SHARE`, and which are not.
    """

    t_s: float
    level: np.ndarray
    predicted: np.ndarray
    measured: np.ndarray
    measured_se: np.ndarray
    middle: np.ndarray
    note: str

    @property
    def error(self) -> np.ndarray:
        """Predicted over measured, less one, (level,)."""
        return self.predicted / self.measured - 1


@dataclass(frozen=True, eq=False)
class RetentionFit:
    """Result of `fit_retention`.

    Attributes
    ----------
    data : Relaxation
    found : Moments
        Means and spreads by level and time.
    candidates : tuple of Candidate
        All laws, the best first.
    persistent, tail : tuple of float
        Share of the variance that stays with a device, and Student's degrees of freedom; each with standard error.
    notes : tuple of str
        What the numbers alone do not say.
    """

    data: Relaxation
    found: Moments
    candidates: tuple[Candidate, ...]
    persistent: tuple[float, float]
    tail: tuple[float, float]
    notes: tuple[str, ...]

    @property
    def best(self) -> Candidate:
        """The law that describes means and spreads best."""
        return self.candidates[0]

    def curves(self, t_s: np.ndarray, candidate: Candidate | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and spread of the change, uS, (level, time), to draw over the data."""
        chosen = candidate or self.best
        return chosen.law.law(chosen.values, self.found.g_us, np.asarray(t_s, dtype=float), self.found)

    def noise_model(self) -> NoiseModel:
        """Return the model of `engine.inference.noise` that the drift lab takes."""
        source = f"fitted to {self.data.source} (SHA-256 {self.data.sha256[:12]})"
        return self.best.law.noise_model(self.best.values, self.found, self.data, source)

    def report(self) -> str:
        """Return the result as text."""
        n = len(self.data.level)
        lines = [f"{self.data.source}: {n} devices, {self.found.level.size} levels, {self.found.t_s.size + 1} reads"]
        for c in self.candidates:
            lines.append(f"{c.law.title}: AIC {c.aic:.1f}, chi-square {c.reduced_chi_square:.2f} per degree of freedom")
        for name, value in self.best.values.items():
            lines.append(f"  {name} = {value:.4g} ± {self.best.stderr[name]:.2g} {self.best.law.units[name]}")
        lines.append(f"  persistent share of the variance = {self.persistent[0]:.3f} ± {self.persistent[1]:.2g}")
        lines.append(f"  Student's degrees of freedom = {self.tail[0]:.3g} ± {self.tail[1]:.2g}")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def fit_retention(
    data: Relaxation, law: str = "auto", told: Callable[[float, str], None] | None = None
) -> RetentionFit:
    """Fit all laws of retention, or one, to the means and spreads of the change by level and time.

    Parameters
    ----------
    data : Relaxation
    law : str
        ``auto``, or the stem of one law.
    told : callable, optional
        Takes the share of the work that is done, 0..1, and words; may raise to stop.

    Raises
    ------
    MeasuredDataError
        If there is no such law.

    Notes
    -----
    Weighted least squares with lmfit; weights are the standard errors of means and spreads, which count as independent,
    though the reads of one device are not: the errors of parameters are a little too small for it. Where the best law
    misses the data by more than their errors, lmfit scales the errors up.
    """
    say = told or (lambda share, words: None)
    say(0.0, "means and spreads")
    found = moments(data)
    say(0.1, "fitting the laws")
    candidates = _candidates(found, law)
    say(0.4, "what stays with a device")
    persistent = persistent_share(data)
    say(0.5, "tails")
    tail = tail_df(data)
    return RetentionFit(data, found, candidates, persistent, tail, tuple(_notes(candidates, persistent, tail, found)))


def predict_last(data: Relaxation, law: str = "auto") -> Prediction:
    """Fit all times but the last, and compare the spread that the best law predicts there with the measured one.

    Raises
    ------
    MeasuredDataError
        If there are fewer than three times after the first.
    """
    if data.g_us.shape[1] < 4:
        allowed = "4 or more, the first one included"
        raise refusal(f"times of {data.source}", data.g_us.shape[1], "are too few to predict the last one", allowed,
                      "Read at more times.")  # fmt: skip
    found, earlier = moments(data), moments(data.upto(data.g_us.shape[1] - 1))
    best = _candidates(earlier, law)[0]
    rows = np.isin(found.level, earlier.level) & np.isfinite(found.spread[:, -1])
    _, spread = best.law.law(best.values, found.g_us[rows], found.t_s[-1:], earlier)
    measured, se = found.spread[rows, -1], found.spread_se[rows, -1]
    note = _judged(spread[:, 0], measured, found.level[rows], found.middle[rows], float(found.t_s[-1]))
    return Prediction(float(found.t_s[-1]), found.level[rows], spread[:, 0], measured, se, found.middle[rows], note)


def _candidates(found: Moments, law: str) -> tuple[Candidate, ...]:
    laws = [candidate for candidate in all_laws() if law in ("auto", candidate.stem)]
    if not laws:
        allowed = ", ".join(["auto", *(c.stem for c in all_laws())])
        raise refusal("law", law, "there is no such law of retention", allowed, "Choose one of these.")
    return tuple(sorted((_fitted(each, found) for each in laws), key=lambda c: c.aic))


def _fitted(law: RetentionLaw, found: Moments) -> Candidate:
    known = np.isfinite(found.spread)

    def away(p: lmfit.Parameters) -> np.ndarray:
        shift, spread = law.law(p.valuesdict(), found.g_us, found.t_s, found)
        parts = (shift - found.shift) / found.shift_se, (spread - found.spread) / found.spread_se
        return np.concatenate([part[known] for part in parts])

    best = lmfit.minimize(away, law.start(found))
    values = {name: float(p.value) for name, p in best.params.items()}
    stderr = {name: float("nan" if p.stderr is None else p.stderr) for name, p in best.params.items()}
    return Candidate(law, values, stderr, float(best.chisqr + 2 * best.nvarys), float(best.redchi), best)


def _judged(predicted, measured, level, middle, t_s: float) -> str:
    """Say how good a prediction is at the middle levels."""
    error = predicted / measured - 1
    wrong = middle & (np.abs(error) > GOOD_SHARE)
    right = int(middle.sum() - wrong.sum())
    text = f"predicted from the earlier times, the spread at {t_s:.4g} s is within {GOOD_SHARE:.0%} of the measured one"
    text += f" at {right} of {int(middle.sum())} middle levels (median error {np.median(error[middle]):+.1%})"
    if not wrong.any():
        return text
    told = [f"{int(v)} ({e:+.0%})" for v, e in zip(level[wrong], error[wrong], strict=True)]
    more = f" and {len(told) - MAX_TOLD} more" if len(told) > MAX_TOLD else ""
    return f"{text}; it is not at level {', '.join(told[:MAX_TOLD])}{more}"


def _notes(candidates, persistent, tail, found: Moments) -> list[str]:
    best, notes = candidates[0], []
    if len(candidates) > 1:
        gap = candidates[1].aic - best.aic
        word = "clearly" if gap > CLEAR_AIC else "hardly"
        notes.append(f"{best.law.title} describes the data {word} better than {candidates[1].law.title} "
                     f"(AIC {gap:.1f} lower)")  # fmt: skip
    if best.reduced_chi_square > POOR:
        notes.append(
            f"{best.law.title} misses means and spreads by more than their errors "
            f"(chi-square {best.reduced_chi_square:.1f} per degree of freedom)"
        )
    for name, value in best.values.items():
        error = best.stderr[name]
        if not math.isfinite(error):
            notes.append(f"{name} is not determined by these data")
        elif best.law.units[name] == "s" and error > abs(value):
            notes.append(f"{name} = {value:.3g} s is hardly determined: its standard error is {error:.2g} s")
    if tail[0] < 30:
        notes.append(f"tails are heavy: Student's t with {tail[0]:.2g} degrees of freedom")
    if persistent[0] < 0.95:
        notes.append(f"{1 - persistent[0]:.0%} of the variance does not stay with a device from read to read")
    return notes
