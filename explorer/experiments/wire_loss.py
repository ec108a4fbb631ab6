# SPDX-License-Identifier: Apache-2.0
"""Voltage that the wires of a small array lose: exact in two dimensions, beside the model that the tiles use."""

from __future__ import annotations

import warnings

import numpy as np
import xarray as xr

from engine.quantity import Choice, Quantity
from engine.rng import derive_seed
from engine.tiles import irdrop, nodal
from explorer.experiments.base import Experiment, Progress

_MOST = 256  # lines of the largest array that the nodal analysis takes


class WireLoss(Experiment):
    """Drive one vector into an array with resistive wires; see what each device gets, exactly and by the fast model.

    The fast model has column wires only, as the tiles' products. Inputs come in on rows, outputs leave on columns;
    row 0 is nearest to the sense nodes, column 0 nearest to the drivers. Formulas: docs/physics/circuit.md, 1.

    Examples
    --------
    >>> ds = WireLoss(n_rows=8, n_columns=4).run()
    >>> ds.lost_exact.dims, bool(ds.valid.all())
    (('row', 'column'), True)
    """

    # fmt: off
    n_rows = Quantity(64, bounds=(1, _MOST), softbounds=(2, 64), integer=True, unit="rows", group="Array",
                      source="assumed", doc="Row wires, one for each input.")
    n_columns = Quantity(64, bounds=(1, _MOST), softbounds=(2, 64), integer=True, unit="columns", group="Array",
                         source="assumed", doc="Column wires, one for each output.")
    wire_resistance = Quantity(1.0, bounds=(0, None), softbounds=(0.01, 20), unit="ohm", log=True, group="Wires",
                               source="assumed", doc="Of a column's wire between neighbouring devices.")
    row_resistance = Quantity(1.0, bounds=(0, None), softbounds=(0.01, 20), unit="ohm", log=True, group="Wires",
                              source="assumed: as a column", doc="Of a row's wire; the fast model has none.")
    g_max = Quantity(1e-4, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1e-6, 1e-3), unit="S",
                     log=True, group="Array", source="assumed", doc="Conductance of the largest device.")
    conductances = Choice("random", ["largest", "random"], group="Array", source="assumed",
                          doc="All devices at their largest, or uniform between zero and that.")
    inputs = Choice("all_on", ["all_on", "random", "near_half", "far_half"], group="Array", source="assumed",
                    doc="Rows that are driven: all, each by a random share of the read voltage, or only the half that "
                        "is nearest to the sense nodes, or farthest.")
    # fmt: on

    def operands(self) -> tuple[np.ndarray, np.ndarray]:
        """Return conductances ``(column, row)`` in siemens, and inputs ``(1, row)`` as shares of the read voltage."""
        rows, columns = int(self.n_rows), int(self.n_columns)
        source = np.random.default_rng(derive_seed(self.seed, "wires"))
        drawn = source.random((columns, rows)) if self.conductances == "random" else np.ones((columns, rows))
        at = np.arange(rows)
        x = {
            "all_on": np.ones(rows),
            "random": np.random.default_rng(derive_seed(self.seed, "inputs")).random(rows),
            "near_half": (at < rows / 2).astype(float),
            "far_half": (at >= rows // 2).astype(float),
        }[self.inputs]
        return self.g_max * drawn, x[None]

    def compute(self, progress: Progress) -> xr.Dataset:
        """Return what each device loses, currents of the columns, and where the fast model may be used."""
        g, x = self.operands()
        exact = nodal.nodal(g, x, self.wire_resistance, row_resistance=self.row_resistance)
        progress(0.8, "two dimensions solved")
        ladder = irdrop.ladder(g, x, self.wire_resistance, voltages=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `valid` says it
            fast = irdrop.fast(g, x, self.wire_resistance)
        lost = x[0] - (exact.row_voltages[0] - exact.column_voltages[0])
        both, column = ("row", "column"), "column"
        ideal = irdrop.ideal(g, x).currents[0]
        data = {
            "conductance": (both, g.T, "S", "Conductance of each device"),
            "lost_exact": (both, lost.T, "1", "Share of the read voltage that a device does not get, exact"),
            "lost_fast": (both, fast.column_voltages[0].T, "1", "The same, by the fast model"),
            "ideal": (column, ideal, "S", "Current without loss, per volt of read voltage"),
            "exact": (column, exact.currents[0], "S", "Current of both wires, exact"),
            "exact_columns": (column, ladder.currents[0], "S", "Current with ideal rows, exact"),
            "fast": (column, fast.currents[0], "S", "Current by the fast model"),
            "column_load": (column, irdrop.loads(g, x, self.wire_resistance)[0], "1", "Load of the column"),
            "valid": (column, irdrop.is_valid(g, x, self.wire_resistance)[0], "1", "Whether the fast model holds"),
        }
        return xr.Dataset(
            {name: xr.Variable(dims, v, {"units": u, "long_name": t}) for name, (dims, v, u, t) in data.items()},
            {"row": np.arange(g.shape[1]), "column": np.arange(g.shape[0]), "input": ("row", x[0], {"units": "1"})},
        )


def worst_error(currents: np.ndarray, exact: np.ndarray) -> tuple[float, int]:
    """Return the largest error of currents relative to exact ones, and its column; columns without current are skipped.

    Examples
    --------
    >>> worst_error(np.array([1.0, 3.0, 0.0]), np.array([1.0, 2.0, 0.0]))
    (0.5, 1)
    """
    some = exact != 0
    relative = np.zeros_like(exact)
    relative[some] = np.abs(currents[some] - exact[some]) / np.abs(exact[some])
    column = int(relative.argmax())
    return float(relative[column]), column
