# SPDX-License-Identifier: Apache-2.0
"""Fit device classes to a measured pulse response: which device is it, and how sure is that.

FILE is text (CSV), a numpy archive or HDF5 in any layout of docs/measured_data.md. Rows that break a rule are left out
and listed. --report writes a page of HTML that needs nothing else; --preset the device as TOML.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from explorer.cli import output

if TYPE_CHECKING:
    from explorer.fitting import Measured

SUMMARY = "fit device classes to measured data (HTML report, preset, JSON)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, how to read it, what to fit, what to write."""
    from explorer.experiments.fit_response import AUTO
    from explorer.fitting.likelihood import candidates
    from explorer.fitting.roles import ROLES
    from explorer.fitting.units import ALLOWED

    parser.add_argument("file", metavar="FILE", nargs="+", help="measured readings; several files are merged")
    parser.add_argument("--model", default=AUTO, choices=[AUTO, *candidates.names()], help="class; auto ranks them all")
    parser.add_argument("--unit", choices=ALLOWED, help="unit of the readings where the file does not say")
    parser.add_argument("--read-voltage", type=float, metavar="V", help="turns currents into conductances")
    columns = f"which column means what; ROLE is one of {', '.join(ROLES)}; may be repeated"
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=NAME", help=columns)
    parser.add_argument("--w-lo", type=float, default=-1.0, help="weight of the lower end of the readings")
    parser.add_argument("--w-hi", type=float, default=1.0, help="weight of the upper end of the readings")
    parser.add_argument("--strict", action="store_true", help="stop at the first row that breaks a rule")
    parser.add_argument("--simulated", type=int, default=100, metavar="N", help="devices simulated for the bands")
    parser.add_argument("--report", metavar="FILE", help="write the report as HTML")
    parser.add_argument("--preset", metavar="FILE", help="write the fitted device as TOML")


def run(options: argparse.Namespace) -> int:
    """Read, fit, write what was asked for, print the verdict."""
    from explorer.cli import progress
    from explorer.experiments.fit_response import FitResponse

    with progress.Bar() as bar:
        measured = _read(options, bar)
        experiment = FitResponse(
            readings=measured.to_csv(), source_name=measured.source_name, model=options.model, w_lo=options.w_lo,
            w_hi=options.w_hi, n_simulated=options.simulated, seed=options.seed,
        )  # fmt: skip
        ds = experiment.run(bar)
    fit, ranking = FitResponse.fit_of(ds), FitResponse.ranking_of(ds)
    if options.report:
        from explorer import fit_report

        page = fit_report.html(ds, summary=str(measured.summary()), warnings=measured.warnings,
                               rejected=measured.rejected, file_sha256=measured.sha256)  # fmt: skip
        output.write_bytes(Path(options.report), page.encode())
    if options.preset:
        output.write_bytes(Path(options.preset), fit.to_preset().encode())
    result = {"measured": str(measured.summary()), "file_sha256": measured.sha256,
              "rejected": [str(row) for row in measured.rejected],
              "result": (ranking or fit).to_dict()} | _provenance(ds)  # fmt: skip
    output.deliver(result, _text(measured, ranking, fit), options.json)
    return 0


def _read(options: argparse.Namespace, bar: Any) -> Measured:
    from explorer.fitting import read_measured

    columns = dict(pair.partition("=")[::2] for pair in options.column) or None
    columns = columns and {role: int(name) if name.isdigit() else name for role, name in columns.items()}
    first, *others = (read_measured(
        file, unit=options.unit, read_voltage_v=options.read_voltage, columns=columns,
        bad_rows="refuse" if options.strict else "list", told=lambda share: bar(0.1 * share, "reading"),
    ) for file in options.file)  # fmt: skip
    return first.merge(*others) if others else first


def _provenance(ds: Any) -> dict[str, Any]:
    told = output.provenance(ds)
    told["experiment"]["parameters"].pop("readings", None)  # the whole file again
    return told


def _text(measured: Measured, ranking: Any, fit: Any) -> str:
    lines = [str(measured.summary()), *(f"warning: {w}" for w in measured.warnings)]
    if measured.rejected:
        lines += [f"{len(measured.rejected)} rows were left out:", *(f"  {row}" for row in measured.rejected[:20])]
    if ranking:
        lines += ["", ranking.report()]
    return "\n".join([*lines, "", fit.report()])
