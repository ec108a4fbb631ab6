# SPDX-License-Identifier: Apache-2.0
"""Fit what time does to programmed devices: relaxation and drift, bakes at several temperatures, read noise.

FILE is an archive (npz, HDF5) or a table of docs/measured_data.md, section Retention. --noise writes the law as the
noise model that ``ohmscape drift --noise FILE`` and the drift lab take, --report a page of HTML that needs nothing
else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from explorer.cli import output

SUMMARY = "fit relaxation, drift, bakes or read noise of measured devices (HTML report, noise model, JSON)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The file, how to read it, which law, what to write."""
    from explorer.fitting.retention.analysis import AUTO, LAWS
    from explorer.fitting.retention.reading import ROLES
    from explorer.fitting.units import ALLOWED, NUMBER

    parser.add_argument("file", metavar="FILE", help="readings of programmed devices over time")
    parser.add_argument("--law", default=AUTO, choices=LAWS, help="law to fit; auto compares all (default)")
    units = [unit for unit in ALLOWED if unit != NUMBER]
    parser.add_argument("--unit", choices=units, help="unit of the readings where the file does not say")
    parser.add_argument("--read-voltage", type=float, metavar="V", help="turns currents into conductances")
    columns = f"which column or array means what; ROLE is one of {', '.join(ROLES)}; may be repeated"
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=NAME", help=columns)
    parser.add_argument("--report", metavar="FILE", help="write the report as HTML")
    parser.add_argument("--noise", metavar="FILE", help="write the noise model as TOML")


def run(options: argparse.Namespace) -> int:
    """Read, fit, write what was asked for, print the verdict."""
    from explorer.cli import progress
    from explorer.experiments.fit_retention import FitRetention
    from explorer.fitting.retention import noise_file, read_retention
    from explorer.fitting.retention.packed import pack

    told = dict(pair.partition("=")[::2] for pair in options.column)
    columns = {role: int(name) if name.isdigit() else name for role, name in told.items()} or None
    with progress.Bar() as bar:
        data = read_retention(
            options.file, unit=options.unit, read_voltage_v=options.read_voltage, columns=columns
        )  # fmt: skip
        ds = FitRetention(readings=pack(data), law=options.law, seed=options.seed).run(bar)
    report = FitRetention.report_of(ds)
    if options.report:
        from explorer import retention_report

        output.write_bytes(Path(options.report), retention_report.html(ds).encode())
    if options.noise:
        output.write_bytes(Path(options.noise), noise_file.write(report).encode())
    provenance = output.provenance(ds)
    provenance["experiment"]["parameters"].pop("readings", None)  # the whole file again
    output.deliver({"result": report.to_dict()} | provenance, report.text(), options.json)
    return 0
