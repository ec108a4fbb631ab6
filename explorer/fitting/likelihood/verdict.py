# SPDX-License-Identifier: Apache-2.0
"""What a fit and a ranking mean, in plain sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .parameters import Parameter
from .residuals import Residuals

if TYPE_CHECKING:
    from .rank import Entry
    from .result import ResponseFit

TELLING = 4.5
"""Standard errors from which a structure in the residuals is named: by chance once in 6,000 among 24 bins."""

NOT_WHITE = 1e-3
"""Probability of the Ljung-Box statistic below which neighbouring residuals count as related."""

RELATED = 0.05
"""Autocorrelation below which nothing is said, however many readings make it significant."""

WAYS = {1: "up", -1: "down"}


def of_fit(fit: ResponseFit) -> str:
    """Return what the numbers of one class say, and what to measure where they say too little."""
    parts = [_undetermined(fit), structure(fit.residuals), _whiteness(fit.residuals)]
    said = [p for p in parts if p]
    return " ".join(said) or f"{fit.title} describes the data, and the data determine all its parameters."


def measured(fit: ResponseFit) -> str:
    """Name the amount of data: ``2,000 pulses of one device``."""
    n = fit.n_devices
    devices = "one device" if n == 1 else f"{n} devices"
    return f"{fit.n_transitions + n:,} readings of {devices}"


def _undetermined(fit: ResponseFit) -> str:
    bounds = [p for n, p in fit.parameters.items() if n in ("w_max", "w_min") and not p.determined]
    others = [
        p
        for n, p in fit.parameters.items()
        if n not in ("w_max", "w_min") and not p.determined and not n.endswith("_dtod")
    ]
    said = []
    if bounds:
        what = "the bounds" if len(bounds) == 2 else bounds[0].name
        said.append(f"{measured(fit)} do not determine {what}: {', '.join(map(_shown, bounds))}; measure from further "
                    "out, with ramps that run on until the steps vanish or stop.")  # fmt: skip
    if others:
        said.append(
            f"Not determined: {', '.join(map(_shown, others))}; more pulses, or ramps over a wider range, would."
        )
    return " ".join(said)


def _shown(p: Parameter) -> str:
    unit = "" if p.unit == "1" else f" {p.unit}"
    if math.isfinite(p.stderr):
        return f"{p.name} = {p.value:.2g} ± {p.stderr:.2g}{unit}"
    if math.isfinite(p.high):
        return f"{p.name} below {p.high:.2g}{unit}"
    return f"{p.name} (put at {p.value:.2g}{unit})"


def structure(found: Residuals) -> str:
    """Return where the steps are wrong, if anywhere."""
    worst, said = TELLING, ""
    for s in found.structure:
        scores = s.mean_scores
        k = int(np.abs(scores).argmax())
        if abs(scores[k]) > worst:
            worst = float(abs(scores[k]))
            larger = scores[k] * s.direction > 0
            said = (
                f"The {WAYS[s.direction]} steps measured around w = {s.weight[k]:.2f} are "
                f"{'larger' if larger else 'smaller'} than those of the model ({worst:.0f} standard errors)."
            )
    noise = [(float(np.abs(s.noise_scores).max()), s) for s in found.structure]
    top = max(noise, key=lambda item: item[0], default=(0.0, None))
    if not said and top[0] > TELLING:
        s = top[1]
        k = int(np.abs(s.noise_scores).argmax())
        said = (
            f"The noise of {WAYS[s.direction]} steps around w = {s.weight[k]:.2f} is "
            f"{math.sqrt(s.variance[k]):.2f} times that of the model ({top[0]:.0f} standard errors)."
        )
    return said


def _whiteness(found: Residuals) -> str:
    if found.p_white > NOT_WHITE or not found.autocorrelation:
        return ""
    lag = int(np.abs(found.autocorrelation).argmax())
    rho = found.autocorrelation[lag]
    if abs(rho) < RELATED:
        return ""
    return (
        f"Residuals {lag + 1} readings apart are related (autocorrelation {rho:+.2f}, p = {found.p_white:.1g}): "
        "slow noise, such as 1/f or telegraph noise, or a history that no class here has."
    )


def reason(entry: Entry, best: Entry, fit: ResponseFit, winner: ResponseFit) -> str:
    """Return why a class lost against the best, or that it cannot be told from it."""
    if entry.stem == best.stem:
        return "best by AICc"
    if entry.twin_of:
        if fit.n_devices > 1:
            return f"each device has the same curves as {entry.twin_of}; only the means over devices are tied"
        return f"the same curves as {entry.twin_of} for one device: a reference only moves the origin"
    if entry.alike:
        differences = f"AICc {entry.delta_aicc:+.1f}, BIC {entry.delta_bic:+.1f}"
        return f"not distinguishable from {best.stem} on these data ({differences})"
    worse = winner.log_likelihood - fit.log_likelihood
    more = fit.n_parameters - winner.n_parameters
    if worse < entry.delta_aicc / 4:
        return f"fits no better with {more} parameters more"
    said = structure(fit.residuals) or "It fits a little worse everywhere; no single place stands out."
    shape = _shape_reason(entry.stem, winner)
    return f"{shape}{said} Log likelihood {worse:.0f} lower."


def _shape_reason(stem: str, winner: ResponseFit) -> str:
    """Say where a class must shrink its steps and the data let them grow."""
    if not stem.startswith(("soft_bounds", "pow_step", "constant_step")):
        return ""
    growing = [WAYS[s] for s in _growing(winner)]
    if not growing:
        return ""
    what = "is the same everywhere" if stem == "constant_step" else "can only shrink along a ramp"
    return f"Its step {what}, the measured {' and '.join(growing)} step grows. "


def _growing(winner: ResponseFit) -> list[int]:
    """Return directions whose step is larger at the end of a ramp than at its start, by the winner's curve."""
    try:
        device = winner.device()
    except ValueError:
        return []
    w = np.percentile(winner.trace["weight"], (10, 90))
    ends = {d: device.step(w if d > 0 else w[::-1], d) for d in (1, -1)}
    return [d for d, (first, last) in ends.items() if last > 1.1 * first]


def of_ranking(entries: Sequence[Entry], fits: Mapping[str, ResponseFit], told_apart: bool, by_bic: str) -> str:
    """Return what the ranking means."""
    best = fits[entries[0].stem]
    alike = [e.stem for e in entries if e.alike and not e.twin_of and e.stem != best.model]
    twins = [e.stem for e in entries if e.twin_of == best.model]
    also = f" ({', '.join(twins)} has the same curves.)" if twins else ""
    if told_apart:
        second = next((e for e in entries if e.stem != best.model and not e.twin_of), None)
        lead = f" by {second.delta_aicc:.0f} in AICc over {second.stem}" if second else ""
        return f"{best.title} wins clearly{lead}.{also} {best.verdict}"
    bic = "" if by_bic == best.model else f", BIC {by_bic}"
    return (
        f"Not distinguishable: {measured(best)} do not tell {', '.join([best.model, *alike])} apart. "
        f"AICc prefers {best.model}{bic}. More devices, more cycles or a wider range would.{also} "
        f"{_loose_bounds([fits[e.stem] for e in entries if e.alike])}{best.verdict}"
    )


def _loose_bounds(alike: Sequence[ResponseFit]) -> str:
    """Name the bounds that the classes in question leave open, by the first of them that has any."""
    for fit in alike:
        loose = [p for n, p in fit.parameters.items() if n in ("w_max", "w_min") and not p.determined]
        if loose and fit.model.startswith("soft_bounds"):
            shown = ", ".join(map(_shown, loose))
            return f"The bounds are not determined: {shown} with {fit.model}; measure from further out. "
    return ""
