# SPDX-License-Identifier: Apache-2.0
"""A fitted noise model as a file: TOML with kind, parameters, source, hash of the data, errors."""

from __future__ import annotations

import math
import tomllib
from typing import TYPE_CHECKING

import tomli_w

from engine.errors import ParameterError
from engine.inference import noise
from engine.inference.noise import NoiseModel

from ..errors import refusal

if TYPE_CHECKING:
    from .report import Report


def write(report: Report, stem: str = "") -> str:
    """Return a law's noise model as TOML.

    Parameters
    ----------
    report : Report
    stem : str
        Of the law; the best where blank.

    Raises
    ------
    MeasuredDataError
        If the law makes no noise model; the text says why.
    """
    law = report.law(stem)
    if law.noise is None:
        why = law.noise_note or "the measurement does not say how devices change over time"
        raise refusal(f"noise model of {law.title}", "none", why, "another law or measurement", "Choose another law.")
    known = [p for p in law.parameters if math.isfinite(p.stderr)]
    facts = {
        "data": report.source,
        "data_sha256": report.sha256,
        "measured": report.measured,
        "law": law.stem,
        "verdict": report.verdict,
        "reduced_chi_square": law.reduced_chi_square,
        "parameters": [p.name for p in known],
        "units": [p.unit for p in known],
        "values": [p.value for p in known],
        "stderr": [p.stderr for p in known],
        "interval_95": [[p.low, p.high] for p in known],
        "not_determined": [p.name for p in law.parameters if not p.determined],
        "notes": list(report.notes),
    }
    title = f"{law.title} fitted to {report.source}"
    return tomli_w.dumps({"title": title, "noise": law.noise["kind"], "parameters": law.noise["parameters"],
                          "fit": facts})  # fmt: skip


def read(text: str, name: str = "noise model") -> NoiseModel:
    """Return the noise model of a file that `write` made, or that was written by hand.

    Raises
    ------
    ParameterError
        If the text is no TOML, names no noise model, or a value breaks its rule.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{name}: is no TOML ({error}) (allowed: a file of a fit). Correct it.") from error
    if not isinstance(found.get("noise"), str):
        raise ParameterError(
            f'{name}.noise: is missing (allowed: one of {", ".join(noise.names())}). Add the line noise = "...".'
        )
    return noise.made({"kind": found["noise"], "parameters": found.get("parameters", {})}, name)
