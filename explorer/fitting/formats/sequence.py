# SPDX-License-Identifier: Apache-2.0
"""A single column of readings, up and down ramps one below the other."""

from __future__ import annotations

import numpy as np

from ..table import Table
from ..trace import pulse_trace
from ..units import split_name, to_si
from .base import Format, Options, Reading
from .short_columns import ending_in_blanks
from .turning import told_or_turning


class Sequence(Format):
    """One reading per pulse of one device; the readings themselves tell where up ends and down begins."""

    title = "a single column of readings, one per pulse"
    priority = 12

    def recognises(self, table: Table) -> bool:
        return table.n_columns == 1

    def read(self, table: Table, options: Options) -> Reading:
        value, unit = ending_in_blanks(table, 0), None
        name, named = split_name(str(table.label(0)))
        if named is not None and options.unit is None:
            convert, unit = to_si(named, options.read_voltage_v, f"unit of {name} in {table.source}")
            value = convert(value)
        direction = told_or_turning(value, options, f"readings in {table.source}")
        note = "the direction of the pulses was told from where the readings turn"
        return Reading([pulse_trace("1", 1, np.asarray(direction), value)], unit, [note])
