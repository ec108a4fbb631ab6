# SPDX-License-Identifier: Apache-2.0
"""Tables of a retention fit, each a head and its rows: laws, parameters, devices. For pages and reports."""

from __future__ import annotations

import math

from explorer.fitting.retention.report import Estimate, Report

LAW_HEAD = [
    ("Law", "Best first."), ("AIC", "Akaike's criterion; the smaller, the better."),
    ("ΔAIC", "Above the best law; 10 and more is clear."),
    ("Chi-square", "Per degree of freedom; 1 where the law describes the data within their errors."),
    ("", "What a fit to a part of the data predicts of the rest."),
]  # fmt: skip
PARAMETER_HEAD = [
    ("Parameter", "Name in the law."), ("Estimate", "Least-squares value."), ("± error", "Standard error."),
    ("95 % interval", "Holds the true value with this probability."), ("Unit", "1 is a pure number."),
    ("Meaning", "What it is, and why to take it with care."),
]  # fmt: skip
DEVICE_HEAD = [
    ("Conductance (µS)", "Mean of all reads."), ("Noise", "Standard deviation over mean."),
    ("Slope", "Exponent of 1/f^slope; 1 is 1/f noise."), ("Q", "Of sigma² = Q² ln(f_high / f_low)."),
    ("States", "Values that the readings gather around."),
]  # fmt: skip


def law_rows(report: Report) -> list[list[str]]:
    """Return rows under `LAW_HEAD`, of the laws that have a criterion."""
    best = report.best
    return [
        [law.title, f"{law.aic:.1f}", f"{law.aic - best.aic:.1f}", f"{law.reduced_chi_square:.2f}",
         sentence(law.prediction)]
        for law in report.laws if math.isfinite(law.aic)
    ]  # fmt: skip


def parameter_rows(parameters: tuple[Estimate, ...]) -> list[list[str]]:
    """Return rows under `PARAMETER_HEAD`."""
    return [_parameter(p) for p in parameters]


def _parameter(p: Estimate) -> list[str]:
    known = math.isfinite(p.stderr)
    interval = f"{p.low:.4g} … {p.high:.4g}" if known and math.isfinite(p.low) else ""
    doubt = "" if p.determined or "normal" in p.meaning else "; not determined by these data"
    return [p.name, f"{p.value:.4g}", f"{p.stderr:.2g}" if known else "–", interval, typeset(p.unit),
            typeset(p.meaning) + doubt]  # fmt: skip


def device_rows(report: Report) -> list[list[str]]:
    """Return rows under `DEVICE_HEAD`; only read noise has some."""
    return [
        [f"{g:.4g}", f"{noise:.2%}", f"{slope:.2f} ± {se:.2g}", f"{q:.3g} ± {qe:.1g}", f"{n:.0f}"]
        for g, noise, slope, se, q, qe, n in report.devices
    ]


def notes(report: Report) -> list[str]:
    """Return the notes as they are shown."""
    return [typeset(note) for note in report.notes]


def sentence(text: str) -> str:
    """Return words as a sentence."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}." if text else ""


def typeset(text: str) -> str:
    """Return a text with microsiemens and small powers as they are written."""
    for plain, written in (("uS", "µS"), ("^0", "⁰"), ("^1", "¹"), ("^2", "²"), ("^3", "³")):
        text = text.replace(plain, written)
    return text
