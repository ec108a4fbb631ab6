# SPDX-License-Identifier: Apache-2.0
"""All classes on the same data: which describe it, which do not, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from ..errors import refusal
from ..measured import Measured
from ..normalise import Normalised
from . import candidates, verdict
from .fit import Prepared, fit_response, prepare, quiet
from .result import SCHEMA, ResponseFit
from .selection import Told

TOLD_APART = 6.0
"""Difference of AICc and of BIC from which two classes are told apart: odds of 20 to 1 (Raftery, Sociological
Methodology 25, 1995, 111: "strong")."""


@dataclass(frozen=True)
class Entry:
    """One class in a ranking.

    Attributes
    ----------
    stem, title : str
    n_parameters : int
    log_likelihood : float
    delta_aicc, delta_bic : float
        Differences to the best by AICc: 0 for that one; a negative ``delta_bic`` means that BIC prefers this one.
    weight : float
        Akaike weight; twins do not count twice.
    held_out : float
        Log density per held-out reading; NaN without.
    alike : bool
        Not told apart from the best.
    reason : str
        Why it lost.
    twin_of : str
        Class of this ranking with the same likelihood.
    """

    stem: str
    title: str
    n_parameters: int
    log_likelihood: float
    delta_aicc: float
    delta_bic: float
    weight: float
    held_out: float
    alike: bool
    reason: str = ""
    twin_of: str = ""


@dataclass(frozen=True, eq=False)
class Ranking:
    """Classes by AICc, best first.

    Attributes
    ----------
    entries : list of Entry
    fits : dict of str to ResponseFit
    told_apart : bool
        The best is told apart from all others but its twins.
    verdict : str
    """

    entries: list[Entry]
    fits: dict[str, ResponseFit]
    told_apart: bool
    verdict: str

    @property
    def best(self) -> ResponseFit:
        """The fit of the class with the least AICc."""
        return self.fits[self.entries[0].stem]

    def table(self) -> list[list[str]]:
        """Return rows of text: class, parameters, differences of AICc and BIC, weight, held-out density, reason."""
        held = [("" if np.isnan(e.held_out) else f"{e.held_out:.4f}") for e in self.entries]
        return [
            [e.title, str(e.n_parameters), f"{e.delta_aicc:.1f}", f"{e.delta_bic:.1f}", f"{e.weight:.3f}", h, e.reason]
            for e, h in zip(self.entries, held, strict=True)
        ]

    def report(self) -> str:
        """Return the ranking as text."""
        head = ["class", "k", "dAICc", "dBIC", "weight", "held out", "reason"]
        rows = [head, *self.table()]
        width = [max(len(r[j]) for r in rows) for j in range(len(head) - 1)]
        lines = ["  ".join([*(c.ljust(w) for c, w in zip(r, width, strict=False)), r[-1]]) for r in rows]
        return "\n".join([*lines, self.verdict])

    def to_dict(self) -> dict:
        """Return everything, fit for JSON."""
        rows = [{k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(e).items()}
                for e in self.entries]  # fmt: skip
        fits = {n: f.to_dict() for n, f in self.fits.items()}
        return {"schema": SCHEMA, "entries": rows, "fits": fits, "told_apart": self.told_apart, "verdict": self.verdict}

    @classmethod
    def from_dict(cls, data: Mapping) -> Ranking:
        """Return the ranking of `to_dict`; raises `MeasuredDataError` for another schema."""
        if data.get("schema") != SCHEMA:
            raise refusal("ranking schema", data.get("schema"), "is not known", str(SCHEMA), "Rank again.")
        rows = [Entry(**{**e, "held_out": np.nan if e["held_out"] is None else e["held_out"]}) for e in data["entries"]]
        fits = {n: ResponseFit.from_dict(f) for n, f in data["fits"].items()}
        return cls(rows, fits, data["told_apart"], data["verdict"])


def rank_models(
    measured: Measured | Normalised | Prepared,
    models: Sequence[str] | None = None,
    *,
    corrupt: str = "exclude",
    held_out: bool = True,
    told: Told = quiet,
) -> Ranking:
    """Fit all classes and rank them.

    Parameters
    ----------
    measured : Measured, Normalised or Prepared
    models : sequence of str, optional
        Stems; by default every class there is.
    corrupt, held_out, told
        As for `fit_response`.

    Raises
    ------
    MeasuredDataError
        As `fit_response`, or if ``models`` is empty.

    Notes
    -----
    Classes with the same curves for one device (``twin_of``) are fitted once. A class excludes the devices that are
    outliers to it; to compare classes on the same readings, ranking leaves out only devices that are corrupt to all.
    """
    asked = list(dict.fromkeys(models if models is not None else candidates.names()))
    if not asked:
        raise refusal("rank models", "none", "there is nothing to rank", ", ".join(candidates.names()), "Name some.")
    classes = [candidates.get(stem) for stem in asked]
    data = measured if isinstance(measured, Prepared) else prepare(measured, corrupt)
    alone = len(data.bench.devices) == 1
    fits: dict[str, ResponseFit] = {}
    for i, cls in enumerate(sorted(classes, key=lambda c: bool(c.twin_of or c.twin_of_several))):
        part = _part(told, i, len(classes))
        if alone and cls.twin_of in fits:
            fits[cls.stem] = _twin(fits[cls.twin_of], cls)
        else:
            fits[cls.stem] = fit_response(data, cls.stem, corrupt="keep", held_out=held_out, told=part)
    told(1.0, "ranked")
    return ranked(fits)


def _part(told: Told, i: int, n: int) -> Told:
    return lambda share, words: told((i + share) / n, words)


def _twin(fit: ResponseFit, cls) -> ResponseFit:
    return replace(fit, model=cls.stem, title=cls.title, twin_of=fit.model)


def ranked(fits: dict[str, ResponseFit]) -> Ranking:
    """Return the ranking of fits to the same data."""
    fits = {n: f if f.twin_of in fits else replace(f, twin_of="") for n, f in fits.items()}
    order = sorted(fits.values(), key=_place)
    best = next(f for f in order if not f.twin_of)
    own = [f for f in order if not f.twin_of]
    total = sum(np.exp(-0.5 * (f.aicc - best.aicc)) for f in own) or 1.0
    entries = [_entry(f, best, float(np.exp(-0.5 * (f.aicc - best.aicc)) / total)) for f in order]
    first = entries[0]
    entries = [replace(e, reason=verdict.reason(e, first, fits[e.stem], best)) for e in entries]
    told_apart = not any(e.alike for e in entries if e.stem != best.model and not e.twin_of)
    by_bic = min(own, key=lambda f: f.bic).model
    return Ranking(entries, fits, told_apart, verdict.of_ranking(entries, fits, told_apart, by_bic))


def _place(fit: ResponseFit) -> tuple:
    """Return what fits are sorted by: AICc to a tenth, then how much is left open: of equals the tighter leads."""
    loose = sum(not p.determined for p in fit.parameters.values())
    return round(fit.aicc, 1), bool(fit.twin_of), loose, fit.n_parameters


def _entry(fit: ResponseFit, best: ResponseFit, weight: float) -> Entry:
    aicc, bic = fit.aicc - best.aicc, fit.bic - best.bic
    alike = min(aicc, bic) < TOLD_APART
    score = fit.held_out.score if fit.held_out else float("nan")
    n, ll = fit.n_parameters, fit.log_likelihood
    return Entry(fit.model, fit.title, n, ll, aicc, bic, weight, score, alike, "", fit.twin_of)
