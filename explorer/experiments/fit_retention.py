# SPDX-License-Identifier: Apache-2.0
"""Fit the laws of retention to conductances that were read again after programming, as a job."""

from __future__ import annotations

import json

import numpy as np
import param
import xarray as xr

from engine.errors import ParameterError, say
from engine.quantity import Choice, Quantity
from engine.rng import derive_seed
from explorer.experiments.base import Experiment, Progress
from explorer.fitting.retention import Data, read_retention
from explorer.fitting.retention.analysis import LAWS, analyse
from explorer.fitting.retention.example import example
from explorer.fitting.retention.packed import unpack
from explorer.fitting.retention.report import Report

_READ = 0.05
"""Share of the work that is reading."""


class FitRetention(Experiment):
    """Fit relaxation, drift, bakes or read noise of a measured array; which of them, the data tell.

    Without readings it fits an example, devices that diffuse in log time.

    Examples
    --------
    >>> ds = FitRetention(law="log_time_diffusion").run()
    >>> report = FitRetention.report_of(ds)
    >>> report.best.noise["kind"], ds.spread.attrs["units"]
    ('log_time_relaxation', 'uS')
    """

    # fmt: off
    readings = param.String("", doc="A measurement as text (explorer.fitting.retention.packed.pack); or give path.")
    path = param.String("", doc="A measured file on the machine that runs the fit (read_retention).")
    unit = Choice("as the file says", ["as the file says", "S", "mS", "uS", "nS", "A", "mA", "uA", "nA", "ohm", "kohm",
                                       "Mohm"], source="assumed",
                  doc="Unit of the readings of a path whose file does not say; archives are in S.")
    read_voltage_v = Quantity(0.1, bounds=(-10, 10), softbounds=(0.01, 1), unit="V", source="assumed",
                              doc="Voltage that currents were read at; only for readings in A.")
    law = Choice("auto", list(LAWS), source="docs/measured_data.md",
                 doc="Law to fit; auto fits all laws of this kind of measurement and compares them.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` where both text and path are given."""
        super().check()
        if self.readings and self.path:
            rule, allowed = "readings are given as text as well", "one of the two"
            raise ParameterError(say("FitRetention.path", self.path, rule, allowed, "Leave one of them blank."))

    def data(self) -> Data:
        """Return the measurement, or that of the example.

        Raises
        ------
        MeasuredDataError
            If it cannot be read.
        """
        if self.path:
            unit = None if self.unit == "as the file says" else self.unit
            volts = float(self.read_voltage_v) if self.unit.endswith("A") else None
            return read_retention(self.path, unit=unit, read_voltage_v=volts)
        return unpack(self.readings) if self.readings else example(derive_seed(self.seed, "example"))

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return means and spreads with the fitted curves, and the whole result as JSON; see `report_of`."""
        progress(0.0, "reading")
        data = self.data()
        report, ds = analyse(data, self.law, lambda share, words: progress(_READ + (1 - _READ) * share, words))
        text = np.frombuffer(json.dumps(report.to_dict(), allow_nan=False).encode(), np.uint8)
        told = {"units": "1", "long_name": "The whole result as JSON text"}
        ds["result"] = xr.Variable("byte", text, told)
        return ds.assign_attrs(kind=report.kind, verdict=report.verdict)

    @staticmethod
    def report_of(ds: xr.Dataset) -> Report:
        """Return the result of a dataset that a run returned."""
        return Report.from_dict(json.loads(ds["result"].to_numpy().astype(np.uint8).tobytes()))
