# SPDX-License-Identifier: Apache-2.0
"""From a retention measurement of any kind to a report and labelled curves, for jobs, pages and the shell."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import xarray as xr

from engine.errors import OhmscapeError

from ..errors import refusal
from .bake import MEANINGS, UNITS, BakeFit, fit_bake
from .data import Bake, Data, Relaxation, TimeSeries
from .fit import GOOD_SHARE, POOR, Candidate, RetentionFit, fit_retention, predict_last
from .models import all_laws
from .read_noise import fit_read_noise
from .report import NORMAL_95, Law, Report, curve_error, estimate, estimates
from .walk import NORMAL_DF

AUTO, ARRHENIUS, SPECTRUM = "auto", "arrhenius", "spectrum"
LAWS = (AUTO, *(law.stem for law in all_laws()), ARRHENIUS, SPECTRUM)
N_CURVE = 60
Told = Callable[[float, str], None]


def laws_of(kind: str) -> dict[str, str]:
    """Return title to stem of the laws that a kind of measurement is fitted with; the first is the default."""
    if kind == Bake.kind:
        return {"Arrhenius": ARRHENIUS}
    if kind == TimeSeries.kind:
        return {"spectrum and states": SPECTRUM}
    return {"all laws, compared": AUTO} | {law.title: law.stem for law in all_laws()}


def analyse(data: Data, law: str = AUTO, told: Told | None = None) -> tuple[Report, xr.Dataset]:
    """Fit a measurement with the laws that there are for its kind.

    Parameters
    ----------
    data : Relaxation, Bake or TimeSeries
    law : str
        One of `LAWS`; ``auto`` takes all that fit the kind.
    told : callable, optional
        Takes the share of the work that is done, 0..1, and words; may raise to stop.

    Returns
    -------
    Report, xarray.Dataset
        Curves by level over time, by level over temperature, or spectra.

    Raises
    ------
    MeasuredDataError
        If the law is one of another kind of measurement, or the data are too few for it.
    """
    known = laws_of(data.kind)
    if law != AUTO and law not in known.values():
        allowed = ", ".join(dict.fromkeys([AUTO, *known.values()]))
        raise refusal("law", law, f"is not one for {data.source}, {data.words()}", allowed, "Choose another law.")
    say = told or (lambda share, words: None)
    if isinstance(data, Bake):
        return _baked(data, say)
    return _series(data, say) if isinstance(data, TimeSeries) else _relaxed(data, law, say)


# -- relaxation ----------------------------------------------------------------------------------------------------


def _relaxed(data: Relaxation, law: str, say: Told) -> tuple[Report, xr.Dataset]:
    fit = fit_retention(data, law, lambda share, words: say(0.8 * share, words))
    say(0.8, "predicting the last time")
    laws, predicted = [], []
    for candidate in fit.candidates:
        spread, note = _predicted(data, fit, candidate)
        predicted.append(spread)
        laws.append(_law_of(fit, candidate, note))
    say(0.9, "bands")
    report = Report(
        data.kind, data.source, data.sha256, data.words(), len(data.level), _verdict(fit, laws),
        tuple(f"{n[0].upper()}{n[1:]}" for n in fit.notes if not n.startswith(laws[0].title)), tuple(laws),
    )  # fmt: skip
    return report, _relaxation_curves(fit, np.array(predicted))


def _law_of(fit: RetentionFit, candidate: Candidate, prediction: str) -> Law:
    law = candidate.law
    source = f"fitted to {fit.data.source} (SHA-256 {fit.data.sha256[:12]})"
    try:
        noise, note = law.noise_model(candidate.values, fit.found, fit.data, source).to_dict(), ""
    except OhmscapeError as error:
        noise, note = None, str(error)
    share = "share of the variance that stays with a device"
    normal = fit.tail[0] > NORMAL_DF - 1
    tail = "Student's degrees of freedom of the changes" + (", as good as normal" if normal else "")
    more = (
        estimate("persistent_share", *fit.persistent, "1", share, (0, 1)),
        estimate("tail_df", fit.tail[0], math.nan if normal else fit.tail[1], "1", tail, (2.0, math.inf)),
    )
    own = estimates(candidate.fit, law.units, law.meanings)
    return Law(law.stem, law.title, candidate.aic, candidate.reduced_chi_square, (*own, *more), prediction, noise, note)


def _predicted(data: Relaxation, fit: RetentionFit, candidate: Candidate) -> tuple[np.ndarray, str]:
    """Return the spread at the last time that a fit to the earlier ones says, (level,), and in words how good it is."""
    found = np.full(fit.found.level.size, np.nan)
    try:
        prediction = predict_last(data, candidate.law.stem)
    except OhmscapeError as error:
        return found, str(error)
    found[np.isin(fit.found.level, prediction.level)] = prediction.predicted
    return found, prediction.note


def _verdict(fit: RetentionFit, laws: list[Law]) -> str:
    best, first = fit.best, laws[0]
    within = best.reduced_chi_square <= POOR
    told = f"{first.title[0].upper()}{first.title[1:]} "
    told += "describes means and spreads within their errors" if within else "misses means and spreads by more than "
    told += "" if within else "their errors"
    told += f" (chi-square {best.reduced_chi_square:.1f} per degree of freedom)"
    if len(laws) > 1:
        told += f"; its AIC is {laws[1].aic - first.aic:.0f} below that of {laws[1].title}"
    told += ". "
    if first.prediction:
        told += f"{first.prediction[0].upper()}{first.prediction[1:].rstrip('.')}. "
    return f"{told}Nothing is said of times after {fit.found.t_s[-1]:.4g} s."


def _relaxation_curves(fit: RetentionFit, predicted: np.ndarray) -> xr.Dataset:
    found = fit.found
    first = found.t_s[0] / 2
    times = np.geomspace(first, found.t_s[-1], N_CURVE)
    shape = (len(fit.candidates), found.level.size)
    curves = {n: np.empty((*shape, N_CURVE)) for n in ("shift_fit", "shift_error", "spread_fit", "spread_error")}
    residuals = {n: np.empty((*shape, found.t_s.size)) for n in ("shift_residual", "spread_residual")}
    for k, candidate in enumerate(fit.candidates):

        def curve(values, t=times, law=candidate.law):
            return np.stack(law.law(values, found.g_us, t, found))

        both, error = curve(candidate.values), curve_error(candidate.fit, curve)
        for i, name in enumerate(("shift", "spread")):
            curves[f"{name}_fit"][k], curves[f"{name}_error"][k] = both[i], NORMAL_95 * error[i]
            model = curve(candidate.values, found.t_s)[i]
            residuals[f"{name}_residual"][k] = (getattr(found, name) - model) / getattr(found, f"{name}_se")
    at = ("level", "time")
    ds = xr.Dataset(
        {
            "level_start": _variable("level", found.g_us, "uS", "Mean of the first read"),
            "middle": _variable("level", found.middle, "1", "Whether the level is in the middle half of the range"),
            "devices": _variable(at, found.n, "devices", "Devices read"),
            "shift": _variable(at, found.shift, "uS", "Mean change since the first read"),
            "shift_se": _variable(at, found.shift_se, "uS", "Its standard error"),
            "spread": _variable(at, found.spread, "uS", "Standard deviation of the change"),
            "spread_se": _variable(at, found.spread_se, "uS", "Its standard error"),
            "predicted": _variable(("law", "level"), predicted, "uS", "Spread at the last time, from the earlier ones"),
        }
        | {n: _variable(("law", "level", "curve_time"), v, "uS", _long(n)) for n, v in curves.items()}
        | {n: _variable(("law", "level", "time"), v, "1", _long(n)) for n, v in residuals.items()},
        coords={
            "law": [c.law.stem for c in fit.candidates],
            "level": found.level,
            "time": ("time", found.t_s, {"units": "s", "long_name": "Time after programming"}),
            "curve_time": ("curve_time", times, {"units": "s", "long_name": "Time after programming"}),
        },
    )
    return ds


def _long(name: str) -> str:
    what, _, kind = name.partition("_")
    quantity = {"shift": "Mean change", "spread": "Standard deviation of the change"}[what]
    return {
        "fit": f"{quantity}, fitted",
        "error": f"{quantity}, half of the 95 % band of the fit",
        "residual": f"{quantity}, measured less fitted, over its standard error",
    }[kind]


def _variable(dims, values, unit: str, text: str) -> xr.Variable:
    return xr.Variable(dims, np.asarray(values), {"units": unit, "long_name": text})


# -- bake ----------------------------------------------------------------------------------------------------------


def _baked(data: Bake, say: Told) -> tuple[Report, xr.Dataset]:
    say(0.1, "fitting the Arrhenius law")
    fit = fit_bake(data)
    say(0.6, "predicting the lowest temperature")
    predicted, words = _coldest(data, fit)
    note = "one time only: a factor on the spread of a noise model (drift_scale), but no growth with time"
    law = Law(ARRHENIUS, "Arrhenius", float(fit.fit.aic), fit.reduced_chi_square,
              estimates(fit.fit, UNITS, MEANINGS), words, None, note)  # fmt: skip
    low, high = float(data.temperature_c[0]), float(data.temperature_c[-1])
    energy, error = fit.values["energy"], fit.stderr["energy"]
    poor = fit.reduced_chi_square > POOR
    how = "misses the spreads by more than their errors" if poor else "describes the spreads within their errors"
    verdict = (
        f"From {low:g} to {high:g} °C the spread grows {fit.factor(high, low):.3g}-fold; the variance has an "
        f"activation energy of {energy:.3g} ± {error:.2g} eV. The law {how} (chi-square {fit.reduced_chi_square:.1f} "
        f"per degree of freedom). {words}"
    )
    notes = tuple(f"{n[0].upper()}{n[1:]}" for n in fit.notes if not n.startswith("one time only"))  # told with the law
    report = Report(data.kind, data.source, data.sha256, data.words(), len(data.before_us), verdict, notes, (law,), low)
    return report, _bake_curves(fit, predicted)


def _coldest(data: Bake, fit: BakeFit) -> tuple[np.ndarray, str]:
    """Return the spread at the lowest temperature as the hotter ones say, (level,), and in words how good it is."""
    if data.temperature_c.size < 3:
        return np.full(fit.g_us.size, np.nan), ""
    cold = float(data.temperature_c[0])
    hotter = Bake(data.before_us[:, 1:], data.after_us[:, 1:], data.t_s[:, 1:], data.temperature_c[1:], data.source)
    predicted = fit_bake(hotter).spread_at(fit.g_us, cold)
    error = predicted / fit.spread[:, 0] - 1
    good = int((np.abs(error) <= GOOD_SHARE).sum())
    return predicted, (
        f"Predicted from the hotter temperatures, the spread at {cold:g} °C is within {GOOD_SHARE:.0%} of the measured "
        f"one at {good} of {error.size} levels (median error {np.median(error):+.1%})."
    )


def _bake_curves(fit: BakeFit, predicted: np.ndarray) -> xr.Dataset:
    curve_c = np.linspace(fit.temperature_c[0], fit.temperature_c[-1], N_CURVE)

    def curve(values, at=curve_c):
        return np.stack([fit.spread_with(values, fit.g_us, t) for t in at], axis=1)

    model, error = curve(fit.values), curve_error(fit.fit, curve)
    residual = (fit.spread - curve(fit.values, fit.temperature_c)) / fit.spread_se
    at, along = ("level", "temperature"), ("level", "curve_temperature")
    celsius = {"units": "°C", "long_name": "Temperature of the bake"}
    return xr.Dataset(
        {
            "level_start": _variable("level", fit.g_us, "uS", "Mean reading before the bake"),
            "spread": _variable(at, fit.spread, "uS", "Standard deviation of the change"),
            "spread_se": _variable(at, fit.spread_se, "uS", "Its standard error"),
            "spread_fit": _variable(along, model, "uS", _long("spread_fit")),
            "spread_error": _variable(along, NORMAL_95 * error, "uS", _long("spread_error")),
            "spread_residual": _variable(at, residual, "1", _long("spread_residual")),
            "predicted": _variable("level", predicted, "uS", "Spread at the lowest temperature, from the hotter ones"),
        },
        coords={
            "level": np.arange(fit.g_us.size),
            "temperature": ("temperature", fit.temperature_c, celsius),
            "curve_temperature": ("curve_temperature", curve_c, celsius),
        },
    )


# -- read noise ----------------------------------------------------------------------------------------------------


def _series(data: TimeSeries, say: Told) -> tuple[Report, xr.Dataset]:
    say(0.1, "spectra and states")
    fit = fit_read_noise(data)
    parameters, note = (), "read noise says nothing of drift; Q and its exponent are q_s and q_exponent of a PCM model"
    if fit.g_us.size > 2:
        law = fit.q_law()
        parameters = (
            estimate("q_s", *law["q_s"], "1", "Q of a device at the largest conductance", (0, math.inf)),
            estimate("q_exponent", *law["q_exponent"], "1", "how fast Q grows towards small conductances"),
        )
    rows = zip(fit.g_us, fit.relative, fit.slope, fit.slope_se, fit.q, fit.q_se, fit.states, strict=True)
    several = int((fit.states > 1).sum())
    verdict = (
        f"Spectra fall as f^-{np.median(fit.slope):.2f} (median of {fit.g_us.size} devices; 1 is 1/f noise); the noise "
        f"is {fit.relative.min():.2%} to {fit.relative.max():.2%} of the conductance over "
        f"{data.g_us.shape[1] / data.rate_hz:.4g} s. "
    )
    verdict += f"{several} of {fit.g_us.size} devices jump between states." if several else "No device jumps."
    report = Report(
        data.kind, data.source, data.sha256, data.words(), fit.g_us.size, verdict,
        tuple(f"{n[0].upper()}{n[1:]}" for n in fit.notes),
        (Law(SPECTRUM, "spectrum and states", math.nan, math.nan, parameters, "", None, note),),
        devices=tuple(tuple(float(v) for v in row) for row in rows),
    )  # fmt: skip
    k = np.arange(0, fit.frequency_hz.size, max(1, fit.frequency_hz.size // 400))  # more are not seen
    logs = fit.q[:, None] ** 2 * fit.frequency_hz[k] ** -fit.slope[:, None]
    return report, xr.Dataset(
        {
            "conductance": _variable("device", fit.g_us, "uS", "Mean conductance"),
            "spectrum": _variable(("device", "frequency"), fit.spectrum[:, k], "1/Hz", "Spectral density of G over its "
                                  "mean"),
            "spectrum_fit": _variable(("device", "frequency"), logs, "1/Hz", "Power of the frequency, fitted"),
        },
        coords={"frequency": ("frequency", fit.frequency_hz[k], {"units": "Hz", "long_name": "Frequency"}),
                "device": np.arange(fit.g_us.size)},
    )  # fmt: skip
