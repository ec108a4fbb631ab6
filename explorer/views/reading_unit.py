# SPDX-License-Identifier: Apache-2.0
"""What a file may leave open: the unit of its readings, and the voltage that currents were read at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from explorer.fitting.units import ALLOWED, CURRENTS
from explorer.views import theme
from explorer.views.number_box import NumberBox

AS_TOLD = "as the file says"


class ReadingUnit:
    """A list of units, and a box for the read voltage that is there where the unit is one of current.

    Parameters
    ----------
    changed : callable
        Called when the user has changed one of them.
    label : str
    units : sequence of str
        Units that are offered.
    voltage : dict, optional
        Layout of the box.
    **layout
        Layout of the list.
    """

    def __init__(self, changed: Callable[[], None], *, label: str = "Unit of the readings",
                 units: Sequence[str] = ALLOWED, voltage: dict[str, Any] | None = None, **layout: Any):  # fmt: skip
        self._changed = changed
        self.unit = theme.select(label, options=[AS_TOLD, *units], value=AS_TOLD, **layout)
        doc = "Turns a current into a conductance: G = I / V."
        self.voltage = NumberBox("Read voltage", 0.1, unit="V", doc=doc, **(voltage or {}))
        self.voltage.box.visible = False
        for chosen in (self.unit, self.voltage):
            chosen.param.watch(self._heard, "value")

    @property
    def told(self) -> tuple[str | None, float | None]:
        """The unit, None where the file says it, and the voltage in V, None where it does not matter."""
        unit = None if self.unit.value == AS_TOLD else self.unit.value
        return unit, float(self.voltage.value) if unit in CURRENTS else None

    def _heard(self, *events: Any) -> None:
        self.voltage.box.visible = self.unit.value in CURRENTS
        self._changed()
