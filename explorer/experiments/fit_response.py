# SPDX-License-Identifier: Apache-2.0
"""Fit device classes to measured pulse responses, as a job."""

from __future__ import annotations

import json

import numpy as np
import param
import torch
import xarray as xr

from engine.devices.soft_bounds import SoftBounds
from engine.errors import ParameterError, say
from engine.quantity import Choice, Flag, Quantity
from engine.rng import derive_seed
from engine.tiles import Tile
from explorer.experiments import schedules
from explorer.experiments.base import Experiment, Progress
from explorer.fitting import Measured, Normalised, Ranking, ResponseFit, fit_response, rank_models, read_measured
from explorer.fitting.likelihood import candidates
from explorer.fitting.provenance import with_provenance
from explorer.fitting.trace import pulse_trace

AUTO = "auto"
_EXAMPLE = SoftBounds(dw_min=0.03, dw_min_std=0.5, write_noise_std=0.5, w_max=1.0, w_min=-1.0, dw_min_dtod=0.0,
                      up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)  # fmt: skip
_EXAMPLE_RAMP, _EXAMPLE_CYCLES = 60, 2
_FITTED = 0.9  # share of the work that is the fit; the rest is simulation


class FitResponse(Experiment):
    """Fit one device class, or rank all of them, on measured readings; simulate devices to lay over the data.

    Without readings it fits an example, a simulated soft-bounds device.

    Examples
    --------
    >>> ds = FitResponse(model="soft_bounds", n_simulated=20).run()
    >>> fit = FitResponse.fit_of(ds)
    >>> fit.model, fit.parameters["w_max"].unit
    ('soft_bounds', 'w')
    """

    # fmt: off
    readings = param.String("", doc="Measured readings as text in the long CSV format (Measured.to_csv); or give path.")
    source_name = param.String("readings", doc="What the result calls readings that are given as text.")
    provenance = param.String("", doc="What the file of these readings told besides (explorer.fitting.provenance).")
    path = param.String("", doc="A measured file on the machine that runs the fit, in any layout that is recognised.")
    unit = Choice("as the file says", ["as the file says", "S", "mS", "uS", "nS", "A", "1"], source="assumed",
                  doc="Unit of the readings where the file does not say.")
    read_voltage_v = Quantity(0.1, bounds=(-10, 10), softbounds=(0.01, 1), unit="V", source="assumed",
                              doc="Voltage that currents were read at; only for readings in A.")
    w_lo = Quantity(-1.0, softbounds=(-2, 0), unit="w", source="assumed", doc="Weight of the readings' lower end.")
    w_hi = Quantity(1.0, softbounds=(0, 2), unit="w", source="assumed", doc="Weight of the readings' upper end.")
    g_lo = param.Number(None, allow_None=True, doc="Reading of the lower end, in S or 1; none: from the ramps.")
    g_hi = param.Number(None, allow_None=True, doc="Reading of the upper end, in S or 1; none: from the ramps.")
    model = Choice(AUTO, [AUTO, *candidates.names()], source="docs/fitting.md",
                   doc="Device class to fit; auto fits every class and ranks them.")
    corrupt = Choice("exclude", ["exclude", "keep"], source="docs/fitting.md",
                     doc="Leave corrupt devices out of the population, or only list them.")
    held_out = Flag(True, source="docs/fitting.md", doc="Also predict cycles that the fit does not see.")
    n_simulated = Quantity(100, bounds=(2, 10_000), softbounds=(10, 500), integer=True, unit="devices",
                           source="assumed",
                           doc="Devices simulated from the fit, parameters drawn from their posterior.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` where both text and path are given."""
        super().check()
        if self.readings and self.path:
            raise ParameterError(
                say("FitResponse.path", self.path, "readings are given as text as well", "one of the two",
                    "Leave one of them blank.")
            )  # fmt: skip

    def measured(self) -> Measured:
        """Return the readings, or those of the example.

        Raises
        ------
        MeasuredDataError
            If they cannot be read.
        """
        unit = None if self.unit == "as the file says" else self.unit
        voltage = float(self.read_voltage_v) if unit == "A" else None
        if self.path:
            return read_measured(self.path, unit=unit, read_voltage_v=voltage)
        if self.readings:
            found = read_measured(self.readings.encode(), self.source_name, unit=unit, read_voltage_v=voltage)
            return with_provenance(found, self.provenance) if self.provenance else found
        return _example(self.seed)

    def normalised(self) -> Normalised:
        """Return the readings with their map to weights."""
        return self.measured().normalise(float(self.w_lo), float(self.w_hi), self.g_lo, self.g_hi)

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return parameters, residuals, bands and the whole result as JSON; see `fit_of` and `ranking_of`."""
        data = self.normalised()
        reached = 0.0

        def told(share: float, words: str = "") -> None:
            nonlocal reached
            reached = max(reached, min(max(share, 0.0), 1.0) * _FITTED)
            progress(reached, words)

        told(0.0, "reading done")
        options = {"corrupt": self.corrupt, "held_out": bool(self.held_out), "told": told}
        if self.model == AUTO:
            ranking = rank_models(data, **options)
            fit = ranking.best
        else:
            fit = fit_response(data, self.model, **options)
            ranking = None
        progress(_FITTED, "simulating devices")
        bands = fit.simulate(int(self.n_simulated), derive_seed(self.seed, "bands"))
        text = json.dumps(ranking.to_dict() if ranking else fit.to_dict(), allow_nan=False)
        return _dataset(fit, ranking, bands, text)

    @staticmethod
    def fit_of(ds: xr.Dataset) -> ResponseFit:
        """Return the fit of a dataset that a run returned; the best of a ranking."""
        ranking = FitResponse.ranking_of(ds)
        return ranking.best if ranking else ResponseFit.from_dict(_written(ds))

    @staticmethod
    def ranking_of(ds: xr.Dataset) -> Ranking | None:
        """Return the ranking of a dataset that a run returned; None where one class was fitted."""
        data = _written(ds)
        return Ranking.from_dict(data) if "entries" in data else None


def _written(ds: xr.Dataset) -> dict:
    return json.loads(ds["result"].to_numpy().astype(np.uint8).tobytes())


def _example(seed: int) -> Measured:
    """Return the readings of a simulated soft-bounds device."""
    tile = Tile(1, 1, _EXAMPLE, seed=derive_seed(seed, "example"))
    tile.set_weights(torch.full((1, 1), -0.9))
    ways = schedules.ramps(2 * _EXAMPLE_RAMP * _EXAMPLE_CYCLES, _EXAMPLE_RAMP)
    first = float(tile.weights[0, 0])
    read = tile.pulse(ways).apparent[:, 0, 0].numpy()
    trace = pulse_trace("example", 1, np.concatenate([[0], ways]), np.concatenate([[first], read]))
    return Measured((trace,), "1", "simulated example")


def _variable(dims, values, unit: str, text: str) -> xr.Variable:
    return xr.Variable(dims, np.asarray(values), {"units": unit, "long_name": text})


def _dataset(fit: ResponseFit, ranking: Ranking | None, bands: xr.Dataset, text: str) -> xr.Dataset:
    p, r = list(fit.parameters.values()), fit.residuals
    ds = xr.Dataset(
        {
            "value": _variable("parameter", [q.value for q in p], "1", "Estimate, in the unit of the parameter"),
            "stderr": _variable(
                "parameter", [q.stderr for q in p], "1", "Standard error, in the unit of the parameter"
            ),
            "low": _variable("parameter", [q.low for q in p], "1", "Lower end of the 95 % interval"),
            "high": _variable("parameter", [q.high for q in p], "1", "Upper end of the 95 % interval"),
            "correlation": _variable(
                ("parameter", "parameter_2"), fit.correlation, "1", "Correlation of the estimates"
            ),
            "residual": _variable("reading", r.value, "1", "Standardised innovation"),
            "residual_weight": _variable("reading", r.weight, "w", "Weight before the pulse"),
            "qq_measured": _variable("quantile", r.quantiles, "1", "Percentile of the innovations"),
            "qq_normal": _variable("quantile", r.normal, "1", "Percentile of a standard normal"),
            "autocorrelation": _variable("lag", r.autocorrelation, "1", "Autocorrelation of the innovations"),
            "result": _variable("byte", np.frombuffer(text.encode(), np.uint8), "1", "The whole result as JSON text"),
        },
        coords={
            "parameter": [q.name for q in p],
            "parameter_2": [q.name for q in p],
            "lag": np.arange(1, len(r.autocorrelation) + 1),
        },
    )
    if ranking:
        ds = ds.merge(_ranked(ranking))
    return ds.merge(bands).assign_attrs(model=fit.model, verdict=ranking.verdict if ranking else fit.verdict)


def _ranked(ranking: Ranking) -> xr.Dataset:
    e = ranking.entries
    return xr.Dataset(
        {
            "delta_aicc": _variable("model_rank", [x.delta_aicc for x in e], "1", "AICc above the best"),
            "delta_bic": _variable("model_rank", [x.delta_bic for x in e], "1", "BIC above that class"),
            "held_out_score": _variable(
                "model_rank", [x.held_out for x in e], "1", "Log density of a held-out reading"
            ),
        },
        coords={"model_rank": [x.stem for x in e]},
    )
