# SPDX-License-Identifier: Apache-2.0
"""Noise of a conductance that is read again and again: its spectrum, and the states it jumps between."""

from __future__ import annotations

from dataclasses import dataclass

import lmfit
import numpy as np
from scipy.signal import welch
from sklearn.mixture import GaussianMixture

from .data import TimeSeries

SEGMENTS = 32
"""Segments that a spectrum is averaged over: each value is then known to about 1/sqrt(32) = 18 %."""

MAX_STATES, SAMPLES = 6, 4000
CLEAR_BIC = 10.0


@dataclass(frozen=True, eq=False)
class ReadNoiseFit:
    """Spectra of devices and what they say, all (device,) unless said.

    Attributes
    ----------
    g_us : array
        Mean conductance, uS.
    relative : array
        Standard deviation over mean.
    frequency_hz : array, (frequency,)
    spectrum : array, (device, frequency)
        One-sided power spectral density of G over its mean, 1/Hz.
    slope, slope_se : array
        Exponent gamma of ``f^-gamma``, 1 for 1/f noise.
    q, q_se : array
        ``Q`` of ``sigma^2 = Q^2 ln(f_high / f_low)``, the spectrum at 1 Hz as if gamma were 1: the parameter that PCM's
        models have.
    states : array of int
        Levels that the readings gather around; more than one is random telegraph noise.
    notes : tuple of str
    """

    g_us: np.ndarray
    relative: np.ndarray
    frequency_hz: np.ndarray
    spectrum: np.ndarray
    slope: np.ndarray
    slope_se: np.ndarray
    q: np.ndarray
    q_se: np.ndarray
    states: np.ndarray
    notes: tuple[str, ...]

    def q_law(self) -> dict[str, tuple[float, float]]:
        """Return ``q_s`` and ``q_exponent`` of ``Q = q_s r^-q_exponent``, each with its standard error."""
        x, y = np.log(self.g_us / self.g_us.max()), np.log(self.q)
        model = lmfit.models.LinearModel()
        result = model.fit(y, model.guess(y, x=x), x=x)
        offset, slope = result.params["intercept"], result.params["slope"]
        nan, q_s = float("nan"), float(np.exp(offset.value))
        return {"q_s": (q_s, q_s * (offset.stderr or nan)), "q_exponent": (-float(slope.value), slope.stderr or nan)}

    def report(self) -> str:
        """Return the result as text, one device a line."""
        lines = [
            f"  {g:.4g} uS: noise {r:.2%}, spectrum f^-{s:.2f} ± {e:.2g}, Q = {q:.4g} ± {qe:.2g}, {n} states"
            for g, r, s, e, q, qe, n in zip(self.g_us, self.relative, self.slope, self.slope_se, self.q, self.q_se,
                                            self.states, strict=True)
        ]  # fmt: skip
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def fit_read_noise(data: TimeSeries, seed: int = 0) -> ReadNoiseFit:
    """Fit a power of the frequency to each device's spectrum, and count the states it jumps between.

    States are counted by the Bayesian information criterion of Gaussian mixtures on evenly picked readings; readings
    follow each other closely, so the criterion is asked for a clear gain.
    """
    mean = data.g_us.mean(1)
    length = data.g_us.shape[1] // SEGMENTS * 2  # half overlapping
    frequency, density = welch(data.g_us / mean[:, None], fs=data.rate_hz, nperseg=length, axis=1)
    frequency, density = frequency[1:-1], density[:, 1:-1]
    lines = [_power(frequency, row) for row in density]
    states = np.array([_states(row, seed) for row in data.g_us])
    slope, slope_se, log_k, log_k_se = np.array(lines).T
    q = np.exp(log_k / 2)
    notes = []
    if (states > 1).any():
        told = ", ".join(f"{g:.3g} uS" for g in mean[states > 1])
        notes.append(f"random telegraph noise: the readings of {told} gather around several values")
    far = np.abs(slope - 1) > np.maximum(3 * slope_se, 0.1)
    if far.any():
        notes.append(f"{int(far.sum())} of {far.size} spectra are not 1/f; Q then depends on the time it is used for")
    return ReadNoiseFit(mean, data.g_us.std(1) / mean, frequency, density, slope, slope_se, q, q * log_k_se / 2,
                        states, tuple(notes))  # fmt: skip


def _power(frequency: np.ndarray, density: np.ndarray) -> tuple[float, float, float, float]:
    """Fit ``ln S = ln K - gamma ln f`` on evenly spaced logarithms; return gamma, ln K and their standard errors."""
    edges = np.geomspace(frequency[0], frequency[-1], 25)
    place = np.digitize(frequency, edges)
    bins = [place == k for k in np.unique(place)]
    x = np.array([np.log(frequency[b]).mean() for b in bins])
    y = np.array([np.log(density[b].mean()) for b in bins])
    model = lmfit.models.LinearModel()
    result = model.fit(y, model.guess(y, x=x), x=x)
    slope, offset = result.params["slope"], result.params["intercept"]
    return -slope.value, slope.stderr, offset.value, offset.stderr


def _states(readings: np.ndarray, seed: int) -> int:
    picked = readings[:: max(1, readings.size // SAMPLES)][:, None]
    picked = (picked - picked.mean()) / max(picked.std(), 1e-12)
    best, lowest = 1, np.inf
    for n in range(1, MAX_STATES + 1):
        mixture = GaussianMixture(n, random_state=seed, n_init=1, reg_covar=1e-4).fit(picked)
        bic = mixture.bic(picked)
        apart = np.diff(np.sort(mixture.means_.ravel())) if n > 1 else np.array([np.inf])
        widths = np.sqrt(mixture.covariances_.ravel()).max()
        if bic < lowest - CLEAR_BIC and apart.min() > widths:
            best, lowest = n, bic
    return best
