# SPDX-License-Identifier: Apache-2.0
"""Fit a device class to measured pulse responses by maximum likelihood."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import refusal
from ..measured import Measured
from ..normalise import Normalised
from . import candidates, verdict
from .assemble import noise_notes, of_one, of_population, settle
from .candidates.base import Candidate
from .corrupt import Corrupt, outliers, silent
from .device_fit import DeviceFit, found
from .moments import look
from .objective import Objective
from .observations import Observed, observe
from .residuals import residuals
from .result import HeldOut, OneDevice, ResponseFit
from .selection import Bench, Told, aicc, best_form

CORRUPT = ("exclude", "keep")
FEWEST = 10
"""Readings of a device below which there is nothing to fit."""

TRACE_ROWS = 20_000
"""Rows of the first trace that a result carries for drawing."""


def quiet(share: float, words: str = "") -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Measured data ready to be fitted by any class.

    Attributes
    ----------
    normalised : Normalised
    bench : Bench
        Devices that are fitted.
    corrupt : tuple of Corrupt
        Found before any fit.
    data_hash : str
    """

    normalised: Normalised
    bench: Bench
    corrupt: tuple[Corrupt, ...]
    data_hash: str


def prepare(measured: Measured | Normalised, corrupt: str = "exclude") -> Prepared:
    """Group, look at and sort out the devices of a measurement.

    Raises
    ------
    MeasuredDataError
        If an option is unknown, weight 0 is not among the states, or no device is left.
    """
    if corrupt not in CORRUPT:
        raise refusal("fit corrupt", corrupt, "is not known", ", ".join(CORRUPT), "Choose one of these.")
    normalised = measured if isinstance(measured, Normalised) else measured.normalise()
    good = [t for t in normalised.traces if not t.stuck]
    sorted_out = _stuck(normalised)
    kept, scenes = [], []
    for device in observe(good):
        if device.readings.transitions < FEWEST:
            reason = f"only {device.readings.transitions} readings after pulses"
            sorted_out.append(Corrupt(device.device_id, reason, device.readings.transitions, FEWEST, True))
            continue
        lost = silent(device)
        if lost:
            sorted_out.append(replace(lost, excluded=corrupt == "exclude"))
        if not lost or corrupt == "keep":
            kept.append(device)
            scenes.append(look(device))
    _check(normalised, scenes, sorted_out)
    return Prepared(normalised, Bench(kept, scenes), tuple(sorted_out), _hash(normalised))


def _stuck(normalised: Normalised) -> list[Corrupt]:
    alive = {t.device_id for t in normalised.traces if not t.stuck}
    names = dict.fromkeys(t.device_id for t in normalised.traces if t.device_id not in alive)
    return [Corrupt(name, "readings never change", 0.0, 0.0, True) for name in names]


def _check(normalised: Normalised, scenes: Sequence, found: Sequence[Corrupt]) -> None:
    name = normalised.measured.source_name
    if not scenes:
        why = "; ".join(f"{c.device_id}: {c.reason}" for c in found[:3])
        raise refusal(f"devices of {name}", 0, f"no device can be fitted ({why})", "one that answers to pulses",
                      "Check the direction column, and how many readings there are.")  # fmt: skip
    low, high = min(s.low for s in scenes), max(s.high for s in scenes)
    if not low < 0 < high:
        raise refusal(f"weights of {name}", f"{low:.3g} to {high:.3g} w", "weight 0 is not among the states",
                      "a range around 0", "Normalise to a range around 0, for example normalise(-1, 1).")  # fmt: skip


def _hash(normalised: Normalised) -> str:
    digest = hashlib.sha256(normalised.measured.unit.encode())
    for t in normalised.measured.traces:
        digest.update(f"{t.device_id}\0{t.cycle}\0".encode())
        for array in (t.direction, t.n_pulses, t.value):
            digest.update(np.ascontiguousarray(array, float).tobytes())
    return digest.hexdigest()


def fit_response(
    measured: Measured | Normalised | Prepared,
    model: str = "soft_bounds",
    *,
    corrupt: str = "exclude",
    held_out: bool = False,
    start: Mapping[str, float] | None = None,
    form: Mapping[str, object] | None = None,
    told: Told = quiet,
) -> ResponseFit:
    """Fit a device class to measured pulse responses.

    Parameters
    ----------
    measured : Measured, Normalised or Prepared
        A `Measured` is normalised with its defaults first.
    model : str
        A stem of `candidates.names`: every pulsed class of `engine.devices`.
    corrupt : str
        ``exclude`` leaves corrupt devices out and lists them, ``keep`` only lists them.
    held_out : bool
        Also fit without some of the cycles and predict those.
    start : dict, optional
        Start values by coordinate of the search (``s_up``, ``w_max``, ...).
    form : dict, optional
        The form to take instead of the best: ``mult_noise`` (bool) for linear and soft-bounds steps, ``nodes`` (int)
        for tables, ``top`` and ``bottom`` (bool) for hard bounds.
    told : callable
        ``told(share, words)`` is called as the work goes on; what it raises stops the fit.

    Returns
    -------
    ResponseFit

    Raises
    ------
    MeasuredDataError
        If the model or an option is unknown, or the data cannot be fitted.

    Notes
    -----
    Deterministic. About 0.05 s per device of 2,000 readings for a class of four parameters on one core.
    """
    cls = candidates.get(model)
    data = measured if isinstance(measured, Prepared) else prepare(measured, corrupt)
    fits = best_form(cls, data.bench, told, start, form)
    odd = outliers(fits, excluded=corrupt == "exclude")
    if odd and corrupt == "exclude":
        gone = {c.device_id for c in odd}
        fits = [f for f in fits if f.device.device_id not in gone]
    made = assembled(cls, data, settle(fits), [*data.corrupt, *odd])
    if held_out:
        made = replace(made, held_out=predicted(fits))
    return replace(made, verdict=verdict.of_fit(made))


def assembled(
    cls: type[Candidate], data: Prepared, fits: Sequence[DeviceFit], corrupt: Sequence[Corrupt]
) -> ResponseFit:
    """Return the result of fits that are settled."""
    if len(fits) == 1:
        parameters, covariance = of_one(fits[0])
        covariance = np.where(np.isfinite(covariance), covariance, 0.0)
    else:
        parameters = of_population(fits)
        errors = [p.stderr / abs(p.value) if p.logarithmic and p.value else p.stderr for p in parameters.values()]
        covariance = np.diag(np.nan_to_num(np.square(errors), posinf=0.0))
    ll = sum(f.log_likelihood for f in fits)
    k, n = sum(f.n_parameters for f in fits), sum(f.transitions for f in fits)
    first = fits[0].candidate
    return ResponseFit(
        model=cls.stem,
        title=cls.title,
        parameters=parameters,
        covariance=covariance.tolist(),
        fixed=first.fixed(),
        devices=[_one(f) for f in fits],
        corrupt=list(corrupt),
        log_likelihood=ll,
        aic=2 * k - 2 * ll,
        aicc=sum(aicc(f.log_likelihood, f.n_parameters, f.transitions) for f in fits),
        bic=k * float(np.log(n)) - 2 * ll,
        n_parameters=k,
        n_transitions=n,
        residuals=residuals(fits),
        trace=_trace(fits[0].device, data.normalised),
        mapping=data.normalised.mapping(),
        source_name=data.normalised.measured.source_name,
        data_hash=data.data_hash,
        notes=_notes(fits),
        twin_of=cls.twin_of if len(fits) == 1 else cls.twin_of_several,
    )


def _notes(fits: Sequence[DeviceFit]) -> list[str]:
    notes = noise_notes(fits)
    form = fits[0].candidate.options
    if "mult_noise" in form:
        kind = "in proportion to the step" if form["mult_noise"] else "the same at every weight"
        notes.append(f"cycle-to-cycle noise is {kind}, by likelihood")
    if "nodes" in form:
        notes.append(f"{form['nodes']} nodes, by AICc")
    late = [f.device.device_id for f in fits if not f.converged]
    if late:
        notes.append(f"the search did not settle for {len(late)} of {len(fits)} devices ({', '.join(late[:5])})")
    weak = sorted({n for f in fits for n in f.weak})
    if weak:
        notes.append(
            f"a combination of {', '.join(weak)} has no effect on the data: their errors are not to be used alone"
        )
    return notes


def _one(fit: DeviceFit) -> OneDevice:
    parameters, _ = of_one(fit)
    values = {n: p.value for n, p in parameters.items()}
    errors = {n: p.stderr for n, p in parameters.items()}
    return OneDevice(fit.device.device_id, values, errors, fit.log_likelihood, fit.transitions, fit.converged)


def _trace(device: Observed, normalised: Normalised) -> dict[str, list[float]]:
    r = device.readings
    end = np.flatnonzero(r.start)[1] if r.start.sum() > 1 else r.rows
    rows = slice(0, min(int(end), TRACE_ROWS))
    return {
        "pulses": r.pulses[rows].tolist(),
        "weight": r.mean[rows].tolist(),
        "value": np.asarray(normalised.to_value(r.mean[rows])).tolist(),
    }


def predicted(fits: Sequence[DeviceFit]) -> HeldOut | None:
    """Return how well cycles are predicted by fits without them; None where no device has two cycles."""
    scores, total, count = [], 0.0, 0
    for fit in fits:
        parts = fit.device.split()
        if parts is None:
            continue
        kept, held = parts
        values = {n: float(v[0]) for n, v in fit.values().items()}
        objective, best = found(fit.objective.candidate, kept, values)
        density = _density(objective, best.u, held)
        scores += _by_cycle(density, held)
        total, count = total + float(np.nansum(density)), count + held.readings.transitions
    return HeldOut(total / count, scores, count) if count else None


def _density(objective: Objective, u: np.ndarray, held: Observed) -> np.ndarray:
    """Return the log density of each counted reading, taken as normal; NaN elsewhere."""
    seen = objective.filtered(u, held, innovations=True)
    v, s = seen.innovation[0], seen.variance[0]
    density = -0.5 * (np.log(2 * np.pi * s) + v**2 / s)
    return np.where(held.readings.counted == 1, density, np.nan)


def _by_cycle(density: np.ndarray, held: Observed) -> list[float]:
    seen = np.isfinite(density)
    return [float(density[seen & (held.cycle == c)].mean()) for c in np.unique(held.cycle[seen])]
