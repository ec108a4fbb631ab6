# SPDX-License-Identifier: Apache-2.0
"""What a file format offers to the reader."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..table import Table
from ..trace import Trace


@dataclass(frozen=True)
class Options:
    """What the caller knows and the file may not say.

    Attributes
    ----------
    unit : str or None
        Unit of the readings.
    read_voltage_v : float or None
        Read voltage in V, for readings in A.
    directions : int, sequence of int, or None
        +1 or -1 for the columns of a file, one for all or one each.
    """

    unit: str | None = None
    read_voltage_v: float | None = None
    directions: int | Sequence[int] | None = None


@dataclass(frozen=True)
class Reading:
    """Traces of one file.

    Attributes
    ----------
    traces : list of Trace
        Readings in the unit of the file, or in SI where ``unit`` says so.
    unit : str or None
        ``S`` or ``1`` if the file itself names the unit (the readings are then converted).
    warnings : list of str
    """

    traces: list[Trace]
    unit: str | None = None
    warnings: list[str] = field(default_factory=list)


class Format(ABC):
    """A layout of a table of readings. A new one is one more file in this folder.

    Attributes
    ----------
    title : str
        What it is called in messages and menus.
    priority : int
        Formats are asked in ascending order; the most specific ones come first.
    """

    title: str
    priority: int = 100

    @abstractmethod
    def recognises(self, table: Table) -> bool:
        """Tell whether the table has this layout, from its header and shape."""

    @abstractmethod
    def read(self, table: Table, options: Options) -> Reading:
        """Turn the table into traces; raises `MeasuredDataError` with row and column."""
