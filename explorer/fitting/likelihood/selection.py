# SPDX-License-Identifier: Apache-2.0
"""The best form of one class for all devices: noise form, number of nodes, hard bounds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .candidates.base import Candidate
from .device_fit import DeviceFit, fit_device, hard_bounds_called_for
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
    cls: type[Candidate], bench: Bench, told: Told, start: Mapping[str, float] | None = None
) -> list[DeviceFit]:
    """Return the fits of the best form of a class, one for each device.

    Forms that are nested (more nodes) are tried until one no longer gains.
    """
    forms = [form.options for form in cls(bench.scenes[0], **bench.common()).variants()]
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
    fits = []
    for i, (device, scene) in enumerate(zip(bench.devices, bench.scenes, strict=True)):
        told(i / len(bench.devices), f"{cls.title}: device {i + 1} of {len(bench.devices)}")
        known = {n: float(v[0]) for n, v in before[i].values().items()} if before and "nodes" not in options else {}
        fits.append(fit_device(cls(scene, **options), device, {**known, **(start or {})}))
    return fits


def _with_hard_bounds(fit: DeviceFit) -> DeviceFit:
    """Return the fit with the hard bounds that readings stop at."""
    asked = hard_bounds_called_for(fit)
    if not asked:
        return fit
    options = {**fit.candidate.options, **dict.fromkeys(asked, True)}
    names = {"top": "w_max", "bottom": "w_min"}
    start = {n: float(v[0]) for n, v in fit.values().items()} | {names[o]: w for o, w in asked.items()}
    bounded = fit_device(type(fit.candidate)(fit.candidate.scene, **options), fit.device, start)
    return bounded if score([bounded]) < score([fit]) else fit
