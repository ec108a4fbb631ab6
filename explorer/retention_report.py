# SPDX-License-Identifier: Apache-2.0
"""A retention fit as one page of HTML that needs nothing else."""

from __future__ import annotations

import xarray as xr

from explorer import report_page
from explorer.experiments.fit_retention import FitRetention
from explorer.fitting.retention import noise_file
from explorer.views import retention_tables as tables
from explorer.views.retention_figures import RetentionFigures


def html(ds: xr.Dataset, law: str = "") -> str:
    """Return the page.

    Parameters
    ----------
    ds : Dataset
        What `FitRetention.run` returned.
    law : str
        Stem of the law whose curves and parameters are shown; the best where blank.
    """
    report = FitRetention.report_of(ds)
    shown, made = report.law(law), RetentionFigures()
    made.draw_curves(ds, shown)
    made.draw_checks(ds, shown)
    title, curves = made.curves(ds)
    checks = made.checks(ds)
    drawn = {**{f"curve{k}": plot for k, plot in enumerate(curves)},
             **{f"check{k}": plot for k, (_, plot) in enumerate(checks)}}  # fmt: skip
    data = {"file": report.source, "SHA-256 of the file": report.sha256 or "not from a file"}
    return report_page.render(
        "retention_report.html", {name: plot.figure for name, plot in drawn.items()},
        legends={name: plot.legend.object for name, plot in drawn.items()}, curves_title=title,
        curves=list(drawn)[: len(curves)], checks=[(f"check{k}", words) for k, (words, _) in enumerate(checks)],
        with_bands="level_start" in ds, report=report, law=shown, summary=tables.typeset(report.measured),
        notes=tables.notes(report), law_head=tables.LAW_HEAD, laws=tables.law_rows(report),
        parameter_head=tables.PARAMETER_HEAD, parameters=tables.parameter_rows(shown.parameters),
        device_head=tables.DEVICE_HEAD, devices=tables.device_rows(report),
        noise=noise_file.write(report, shown.stem) if shown.noise else "", why=tables.sentence(shown.noise_note),
        origin=report_page.origin(ds, data, told=("unit", "read_voltage_v")),
    )  # fmt: skip
