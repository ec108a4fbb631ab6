# SPDX-License-Identifier: Apache-2.0
"""A fit as a preset: TOML with source, hash of the data, errors and covariance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import tomli_w

from engine import presets

if TYPE_CHECKING:
    from .result import ResponseFit


def written(fit: ResponseFit, title: str, note: str) -> str:
    """Return the preset; the tables ``[fit]`` come after what `engine.presets` reads, and are kept by it as they are.

    Raises
    ------
    ParameterError
        If the fitted values break a rule of the class.
    """
    source = f"fitted to {fit.source_name}"
    text = presets.dumps(
        fit.device(),
        title=title or f"{fit.title} fitted to {fit.source_name}",
        note=note or fit.verdict or f"Maximum likelihood, {fit.n_transitions} readings of {fit.n_devices} devices.",
        source=source,
    )
    kept = {n: p for n, p in fit.parameters.items() if math.isfinite(p.stderr)}
    order = [i for i, n in enumerate(fit.parameters) if n in kept]
    facts = {
        "data": fit.source_name,
        "data_sha256": fit.data_hash,
        "n_devices": fit.n_devices,
        "n_transitions": fit.n_transitions,
        "log_likelihood": fit.log_likelihood,
        "aicc": fit.aicc,
        "bic": fit.bic,
        "mapping": {k: v for k, v in fit.mapping.items() if v is not None},
        "parameters": list(kept),
        "logarithmic": [p.logarithmic for p in kept.values()],
        "stderr": [p.stderr for p in kept.values()],
        "interval_95": [[p.low, p.high] for p in kept.values()],
        "not_determined": [n for n, p in fit.parameters.items() if p.note],
        "covariance": [[fit.covariance[i][j] for j in order] for i in order],
    }
    return f"{text}\n{tomli_w.dumps({'fit': facts})}"
