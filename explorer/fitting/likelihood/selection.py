# SPDX-License-Identifier: Apache-2.0
"""The best form of one class for all devices: noise form, number of nodes, hard bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .candidates.base import Candidate
from .device_fit import DeviceFit, fit_device, stops_at
from .moments import Scene
from .observations import Observed

Told = Callable[[float, str], None]
"""Progress: share of the work done (0 to 1) and a few words; may raise to stop."""


def aicc(log_likelihood: float, k: int, n: int) -> float:
    """Return Akaike's criterion with the correction for small samples (Hurvich and Tsai, Biometrika 1989)."""
    return 2 * k - 2 * log_likelihood + 2 * k * (k + 1) / max(n - k - 1, 1)


def score(fits: Sequence[DeviceFit]) -> float:
    """Return the criterion of the fits of all devices together."""
    return sum(aicc(f.log_likelihood, f.n_parameters, f.transitions) for f in fits)


LEARN = 3
"""Devices that are searched from several starts; the others begin at the shape that these have in common."""


@dataclass(frozen=True, eq=False)
class Bench:
    """All devices with their scenes."""

    devices: Sequence[Observed]
    scenes: Sequence[Scene]

    def common(self) -> dict[str, object]:
        """Return options that all devices share where a class has tables: ends and unit."""
        if len(self.devices) == 1:
            return {}
        from .candidates.piecewise_step import PiecewiseStep

        each = [PiecewiseStep(scene) for scene in self.scenes]
        low, high = min(c.ends[0] for c in each), max(c.ends[1] for c in each)
        return {"ends": (low, high), "unit": float(np.mean([c.unit for c in each]))}


def best_form(
    cls: type[Candidate],
    bench: Bench,
    told: Told,
    start: Mapping[str, float] | None = None,
    form: Mapping[str, object] | None = None,
) -> list[DeviceFit]:
    """Return the fits of the best form of a class, one for each device.

    With ``form`` only that one is fitted. Forms that are nested (more nodes) are tried until one no longer gains.
    """
    forms = [f.options for f in cls(bench.scenes[0], **bench.common()).variants()]
    if form is not None:
        forms = [{**bench.common(), **form}]
    best: list[DeviceFit] = []
    for i, options in enumerate(forms):
        fits = _every(cls, bench, options, lambda s, w, i=i: told((i + s) / len(forms), w), best, start)
        better = not best or score(fits) < score(best)
        if not better and "nodes" in options:
            break
        best = fits if better else best
    return [_with_hard_bounds(f) for f in best] if cls.hard_bounds else best


def _every(cls, bench: Bench, options, told: Told, before: Sequence[DeviceFit], start) -> list[DeviceFit]:
    """Fit all devices in one form, from where the form before ended if its coordinates are the same."""
    fits: list[DeviceFit] = []
    for i, (device, scene) in enumerate(zip(bench.devices, bench.scenes, strict=True)):
        told(i / len(bench.devices), f"{cls.title}: device {i + 1} of {len(bench.devices)}")
        known = {n: float(v[0]) for n, v in before[i].values().items()} if before and "nodes" not in options else {}
        learnt = _learnt(fits) if i >= LEARN else {}
        begin = {**known, **learnt, **(start or {})}
        fits.append(fit_device(cls(scene, **options), device, begin, elsewhere=not learnt))
    return fits


def _learnt(fits: Sequence[DeviceFit]) -> dict[str, float]:
    """Return the median of the coordinates that all devices have in common, over the devices fitted so far."""
    each = [f.values() for f in fits]
    return {n: float(np.median([x[n][0] for x in each])) for n in fits[0].candidate.common}


def _with_hard_bounds(fit: DeviceFit) -> DeviceFit:
    """Return the fit with the hard bounds that readings stop at: both tried, those that do nothing taken out again."""
    asked = [o for o in NAMES if not fit.candidate.options.get(o)]
    if not asked:
        return _without_idle_bounds(fit)
    bounded = _bounded(fit, asked)
    kept = [o for o in asked if stops_at(bounded, NAMES[o])]
    if not kept:
        return fit
    if len(kept) < len(asked):
        bounded = _bounded(fit, kept)
    return bounded if score([bounded]) < score([fit]) else fit


def _without_idle_bounds(fit: DeviceFit) -> DeviceFit:
    """Return the fit of a device in a form with hard bounds without those that its own readings do not stop at.

    Beyond the farthest state any bound is as likely as another: there is no number to give, and no error. Where the
    shape that all devices share refers to the bounds, they stay.
    """
    idle = [o for o, name in NAMES.items() if not stops_at(fit, name)]
    return fit if fit.candidate.common or not idle else _bounded(fit, idle, False)


NAMES = {"top": "w_max", "bottom": "w_min"}


def _bounded(fit: DeviceFit, asked: Sequence[str], there: bool = True) -> DeviceFit:
    """Return the fit with or without some hard bounds, from its own start: with others the steps are far off."""
    options = {**fit.candidate.options, **dict.fromkeys(asked, there)}
    return fit_device(type(fit.candidate)(fit.candidate.scene, **options), fit.device)
