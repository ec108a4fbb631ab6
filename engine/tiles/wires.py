# SPDX-License-Identifier: Apache-2.0
"""One name for all models of wires, with their resistances as parameters. docs/physics/circuit.md, 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from engine.quantity import Choice, Model, Quantity
from engine.tiles import irdrop, nodal

_ON = (0, None)
KINDS = ("none", "fast", "sweeps", "ladder", "nodal")


class WireModel(Model):
    """Which wires of an array lose voltage, and how that is computed.

    Examples
    --------
    >>> WireModel(kind="ladder", column_resistance=0.25).solve([[1.0]], [[1.0]]).currents
    array([[0.8]])
    """

    # fmt: off
    kind = Choice("none", KINDS, group="Wires", source="assumed (off)",
                  doc="No loss; a polynomial; repeated sweeps; exact columns; or exact rows and columns.")
    column_resistance = Quantity(0.35, bounds=_ON, softbounds=(0, 5), unit="ohm", group="Wires",
                                 source="aihwkit 1.2.0, simple IR drop",
                                 doc="Of a column's wire between neighbouring devices.")
    row_resistance = Quantity(0.35, bounds=_ON, softbounds=(0, 5), unit="ohm", group="Wires",
                              source="assumed: as a column", doc="Of a row's wire, likewise; only 'nodal' has it.")
    source_resistance = Quantity(0.0, bounds=_ON, softbounds=(0, 50), unit="ohm", group="Wires",
                                 source="assumed (off)", doc="Between a driver and its row; only 'nodal' has it.")
    sense_resistance = Quantity(0.0, bounds=_ON, softbounds=(0, 50), unit="ohm", group="Wires", source="assumed (off)",
                                doc="Between a column and its sense node; only 'ladder' and 'nodal' have it.")
    sweeps = Quantity(2, bounds=(1, None), softbounds=(1, 8), integer=True, group="Wires", source="assumed",
                      doc="How often 'sweeps' goes from currents to voltages.")
    # fmt: on

    def solve(self, conductances: ArrayLike, inputs: ArrayLike, *, voltages: bool = True) -> irdrop.Solution:
        """Return currents ``(batch, out)`` and node voltages of an array ``(out, in)`` for ``(batch, in)``.

        Siemens and fractions of the read voltage, as in `engine.tiles.irdrop`. Without ``voltages`` the fast model and
        the ladder need less memory.
        """
        r = self.column_resistance
        if self.kind == "ladder":
            sense = self.sense_resistance
            return irdrop.ladder(conductances, inputs, r, sense_resistance=sense, voltages=voltages)
        if self.kind == "nodal":
            return nodal.nodal(conductances, inputs, r, **self._of_nodal())
        if self.kind == "sweeps":
            return irdrop.sweeps(conductances, inputs, r, int(self.sweeps))
        if self.kind == "fast":
            return irdrop.fast(conductances, inputs, r, voltages=voltages)
        return irdrop.ideal(conductances, inputs)

    def effective(self, conductances: ArrayLike) -> np.ndarray | None:
        """Return conductances ``(out, in)`` that give the same currents without wires, for any input.

        None for the fast model, which is not linear in its inputs, and for the sweeps, which would have to be made for
        each input alone.
        """
        r = self.column_resistance
        if self.kind == "ladder":
            return irdrop.effective(conductances, r, sense_resistance=self.sense_resistance)
        if self.kind == "nodal":
            return nodal.effective(conductances, r, **self._of_nodal())
        return np.asarray(conductances, float) if self.kind == "none" else None

    def _of_nodal(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in ("row_resistance", "source_resistance", "sense_resistance")}
