# SPDX-License-Identifier: Apache-2.0
"""A fit as one page of HTML that needs nothing else: to keep, to print, to mail."""

from __future__ import annotations

import json
from collections.abc import Sequence

import xarray as xr

from explorer import report_page
from explorer.experiments.fit_response import FitResponse
from explorer.fitting import Rejected, ResponseFit
from explorer.views import theme
from explorer.views.fit_plots import (
    PARAMETER_HEAD,
    RANKING_HEAD,
    AutocorrelationPlot,
    OverlayPlot,
    QqPlot,
    ResidualPlot,
    parameter_rows,
    residual_words,
)

MAX_REJECTED = 500
"""Rejected rows that the page lists; the others are counted."""


def html(ds: xr.Dataset, *, summary: str, warnings: Sequence[str] = (), rejected: Sequence[Rejected] = (),
         file_sha256: str = "") -> str:  # fmt: skip
    """Return the page.

    Parameters
    ----------
    ds : Dataset
        What `FitResponse.run` returned.
    summary : str
        What was measured, in a line.
    warnings : sequence of str
        What was assumed on reading the file.
    rejected : sequence of Rejected
        Rows of the file that were left out.
    file_sha256 : str
        Hash of the file; that of the readings is in the fit.
    """
    fit, ranking = FitResponse.fit_of(ds), FitResponse.ranking_of(ds)
    data = {
        "file": fit.source_name, "SHA-256 of the file": file_sha256 or "not from a file",
        "SHA-256 of the readings": fit.data_hash, "map to weights": json.dumps(fit.mapping),
    }  # fmt: skip
    return report_page.render(
        "fit_report.html", _plots(fit, ds), fit=fit, summary=summary,
        verdict=ranking.verdict if ranking else fit.verdict,
        ranking_head=RANKING_HEAD, ranking=ranking.table() if ranking else [],
        parameter_head=PARAMETER_HEAD, parameters=parameter_rows(fit), residual_words=residual_words(fit),
        legends={name: theme.legend_markup(cls.LEGEND) for name, cls in _PLOTS.items()}, warnings=list(warnings),
        rejected=list(rejected[:MAX_REJECTED]), n_rejected=len(rejected), preset=fit.to_preset(),
        origin=report_page.origin(ds, data),
    )  # fmt: skip


_PLOTS = {"overlay": OverlayPlot, "residuals": ResidualPlot, "qq": QqPlot, "autocorrelation": AutocorrelationPlot}


def _plots(fit: ResponseFit, ds: xr.Dataset) -> dict:
    made = {name: cls() for name, cls in _PLOTS.items()}
    made["overlay"].draw(fit, ds)
    for name in ("residuals", "qq", "autocorrelation"):
        made[name].draw(fit)
    return {name: plot.figure for name, plot in made.items()}
