# SPDX-License-Identifier: Apache-2.0
"""Measured conductance data: read a file, check it, hold its traces."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from . import arrays, units
from .bridge import bridged
from .checks import check_traces
from .errors import refusal
from .formats import Options, long, recognise
from .formats.long import Long
from .normalise import Normalised, normalise
from .rejects import Rejected, Rejects
from .roles import apply
from .source import Content, Source, load, text_of
from .table import Table
from .text_table import read_table
from .trace import DOWN, UP, Trace


@dataclass(frozen=True)
class Summary:
    """Sizes and range of a measurement, for a headline.

    Attributes
    ----------
    n_devices, n_cycles, n_readings, n_up_pulses, n_down_pulses, n_stuck : int
        ``n_cycles`` is the largest number of cycles of one device.
    low, high : float
        Extreme readings in ``unit``.
    unit : str
        ``S`` or ``1``.
    """

    n_devices: int
    n_cycles: int
    n_readings: int
    n_up_pulses: int
    n_down_pulses: int
    n_stuck: int
    low: float
    high: float
    unit: str

    def __str__(self) -> str:
        devices = f"{self.n_devices} device{'s' if self.n_devices != 1 else ''}"
        cycles = f"{self.n_cycles} cycle{'s' if self.n_cycles != 1 else ''}"
        span = units.engineering([self.low, self.high], self.unit)
        pulses = f"{self.n_up_pulses} up and {self.n_down_pulses} down pulses"
        return f"{devices}, {cycles}, {self.n_readings} readings after {pulses}, {span}"


@dataclass(frozen=True, eq=False)
class Measured:
    """Checked readings of one or more devices.

    Attributes
    ----------
    traces : tuple of Trace
        One per device and cycle.
    unit : str
        ``S``, or ``1`` for plain numbers; other units were converted on reading.
    source_name : str
    warnings : tuple of str
        What is legal but worth knowing: stuck traces, a missing unit, columns left out.
    format_name : str
        The layout the file was recognised as.
    rejected : tuple of Rejected
        Rows that were left out, in the order of the file.
    sha256 : str
        Hash of the file; of a merged measurement, of the hashes of its files.
    """

    traces: tuple[Trace, ...]
    unit: str
    source_name: str
    warnings: tuple[str, ...] = ()
    format_name: str = ""
    rejected: tuple[Rejected, ...] = ()
    sha256: str = ""

    @property
    def good_traces(self) -> tuple[Trace, ...]:
        """Traces that are not stuck."""
        return tuple(trace for trace in self.traces if not trace.stuck)

    def summary(self) -> Summary:
        """Return numbers of devices, cycles, pulses, and the range of the readings with its unit."""
        cycles: dict[str, int] = {}
        for trace in self.traces:
            cycles[trace.device_id] = cycles.get(trace.device_id, 0) + 1
        return Summary(
            n_devices=len(cycles),
            n_cycles=max(cycles.values()),
            n_readings=sum(map(len, self.traces)),
            n_up_pulses=sum(trace.pulses(UP) for trace in self.traces),
            n_down_pulses=sum(trace.pulses(DOWN) for trace in self.traces),
            n_stuck=len(self.traces) - len(self.good_traces),
            low=float(min(trace.value.min() for trace in self.traces)),
            high=float(max(trace.value.max() for trace in self.traces)),
            unit=self.unit,
        )

    def normalise(
        self, w_lo: float = -1.0, w_hi: float = 1.0, g_lo: float | None = None, g_hi: float | None = None
    ) -> Normalised:
        """Map readings to weights, ``w = w_lo + (value - g_lo) * (w_hi - w_lo) / (g_hi - g_lo)``.

        Parameters
        ----------
        w_lo, w_hi : float
            Weights of the two ends.
        g_lo, g_hi : float, optional
            Readings of the two ends, in the unit of this object. By default the typical start and end of
            the ramps, see `explorer.fitting.normalise.ends`.

        Raises
        ------
        MeasuredDataError
            If an end is not finite, or the ends are equal or in the wrong order.
        """
        return normalise(self, w_lo, w_hi, g_lo, g_hi)

    def merge(self, *others: Measured, name: str = "") -> Measured:
        """Return all traces in one object; up-only and down-only traces of one device and cycle are joined.

        So a file of set ramps and one of reset ramps become cycles of set, then reset.

        Raises
        ------
        MeasuredDataError
            If units differ, or the same device and cycle was pulsed in the same direction in two files.
        """
        merged = {(t.device_id, t.cycle): t for t in self.traces}
        for other in others:
            if other.unit != self.unit:
                rule = f"{self.source_name} is in {self.unit}"
                remedy = "Read both files with their unit (unit=, read_voltage_v=)."
                raise refusal(f"unit of {other.source_name}", other.unit, rule, "one unit", remedy)
            for trace in other.traces:
                key = (trace.device_id, trace.cycle)
                merged[key] = _joined(merged[key], trace, other) if key in merged else trace
        shared = set.intersection(*({*t.extras} for t in merged.values()))
        traces = [replace(t, extras={k: t.extras[k] for k in t.extras if k in shared}) for t in merged.values()]
        parts = (self, *others)
        lost = sorted({k for part in parts for t in part.traces for k in t.extras} - shared)
        notes = [f"{name} is not in every merged file and was left out" for name in lost]
        notes += [w for part in parts for w in part.warnings if "count as stuck" not in w]
        name = name or " + ".join(part.source_name for part in parts)
        rejected = tuple(row for part in parts for row in part.rejected)
        told = hashlib.sha256(" ".join(part.sha256 for part in parts).encode()).hexdigest()
        merged_ = _checked(traces, self.unit, name, notes, "merged")
        return replace(merged_, rejected=rejected, sha256=told if others else self.sha256)

    def to_csv(self) -> str:
        """Return the readings as CSV text in the long format; reading it gives the same numbers."""
        return long.write(self.traces, self.unit)

    def to_xarray(self) -> xr.Dataset:
        """Return a Dataset over ``(trace, reading)``; traces that end early are padded.

        Variables ``value`` (NaN padded), ``direction``, ``index``, ``n_pulses`` (0 padded); coordinates
        ``device_id`` and ``cycle`` along ``trace``, ``length`` with the number of readings.
        """
        shape = (len(self.traces), max(map(len, self.traces)))
        data = {"value": np.full(shape, np.nan)}
        data |= {n: np.zeros(shape, dtype=np.int64) for n in ("direction", "index", "n_pulses")}
        for i, trace in enumerate(self.traces):
            for name, array in data.items():
                array[i, : len(trace)] = getattr(trace, name)
        dims = ("trace", "reading")
        dataset = xr.Dataset(
            {name: (dims, array) for name, array in data.items()},
            coords={
                "device_id": ("trace", np.array([t.device_id for t in self.traces])),
                "cycle": ("trace", np.array([t.cycle for t in self.traces])),
                "length": ("trace", np.array([len(t) for t in self.traces])),
            },
            attrs={"source": self.source_name, "format": self.format_name},
        )
        dataset["value"].attrs = {"units": self.unit, "long_name": "reading"}
        return dataset


def _joined(first: Trace, second: Trace, other: Measured) -> Trace:
    """Join two traces of one device and cycle that were pulsed in opposite directions."""
    for direction in (UP, DOWN):
        if first.pulses(direction) and second.pulses(direction):
            rule = "was pulsed in the same direction in another of the files"
            remedy = "Rename the device or number the cycles anew."
            raise refusal(f"trace of {other.source_name}", second.label, rule, "each trace once", remedy)
    return first.then(second)


def _checked(traces: Sequence[Trace], unit: str, name: str, notes: list[str], layout: str) -> Measured:
    stuck = check_traces(list(traces), name)
    return Measured(tuple(traces), unit, name, (*notes, *stuck), layout)


def read_measured(
    source: Source,
    name: str = "",
    *,
    unit: str | None = None,
    read_voltage_v: float | None = None,
    directions: int | Sequence[int] | None = None,
    columns: Mapping[str, str | int] | None = None,
    bad_rows: str = "refuse",
    told: Callable[[float], None] | None = None,
) -> Measured:
    """Read and check a measured file of any known layout (see `explorer.fitting.formats`).

    Parameters
    ----------
    source : path, bytes or file-like
        Text, a numpy archive (.npz), or HDF5; at most `explorer.fitting.source.MAX_BYTES`; a ``str`` is a path.
    name : str
        What messages call the file.
    unit : str, optional
        Unit of the readings where the file does not say, see `explorer.fitting.units.ALLOWED`; a current needs
        ``read_voltage_v``, 1 is a plain number.
    read_voltage_v : float, optional
        Read voltage in V; readings in A become siemens.
    directions : int or sequence of int, optional
        +1 or -1 for column layouts whose direction is not told by name or trend.
    columns : dict of str to str or int, optional
        Which column means what (`explorer.fitting.roles.apply`); by default their names tell.
    bad_rows : str
        ``refuse`` raises at the first row that breaks a rule; ``list`` leaves such rows out and lists them in
        `Measured.rejected`. Their pulses count for the reading after them (`explorer.fitting.bridge`).
    told : callable, optional
        Takes the share of a text file that has been read, 0..1, now and then.

    Raises
    ------
    MeasuredDataError
        With file, row, column, value, the rule it breaks and what to do. Nothing else is raised,
        whatever the content of the file.

    Notes
    -----
    Readings are converted to siemens on the way in. Where neither file nor caller names a unit the
    readings are plain numbers (unit 1), and a warning says so.
    """
    content = load(source, name)
    table = _table(content, _rejects(bad_rows), told)
    total = table.rows.size + len(table.rejects or ())
    layout = recognise(table) if columns is None else Long()
    if columns is not None:
        table = apply(table, columns)
    unit = unit or table.said.get("unit")
    if read_voltage_v is None and "read_voltage_v" in table.said:
        read_voltage_v = _said_volts(table)
    reading = layout.read(table, Options(unit, read_voltage_v, directions))
    traces, bridges = (reading.traces, []) if table.rejects is None else bridged(reading.traces)
    if table.rejects is not None:
        table.rejects.check_share(total, content.name)
    notes = [*table.notes, *reading.warnings, *bridges]
    traces, si = reading_in_si(traces, reading.unit, unit, read_voltage_v, notes)
    measured = _checked(traces, si, content.name, notes, layout.title)
    return replace(measured, rejected=tuple(table.rejects or ()), sha256=content.sha256)


def reading_in_si(traces, si: str | None, unit: str | None, read_voltage_v: float | None, notes: list[str]):
    """Return traces in SI and their unit, where the file itself did not name it; adds to ``notes``."""
    if si is not None:
        return traces, si
    told = units.checked(unit, "unit") if unit is not None else units.NUMBER
    convert, si = units.to_si(told, read_voltage_v, "unit")
    if unit is None:
        notes.append("the file names no unit; its readings count as plain numbers (unit 1)")
    return [trace.with_values(convert(trace.value)) for trace in traces], si


def read_columns(source: Source, name: str = "") -> Table:
    """Return the first rows of a file as they stand there, for a preview and a choice of columns.

    Raises
    ------
    MeasuredDataError
        If it is no table at all.
    """
    content = load(source, name)
    return arrays.table_of(content) if arrays.holds(content) else read_table(text_of(content).head(), Rejects())


def _table(content: Content, rejects: Rejects | None, told: Callable[[float], None] | None) -> Table:
    if arrays.holds(content):
        return replace(arrays.table_of(content), rejects=rejects)
    return read_table(text_of(content), rejects, told)


def _rejects(bad_rows: str) -> Rejects | None:
    if bad_rows not in ("refuse", "list"):
        raise refusal("bad_rows", bad_rows, "is not known", "refuse, list", "Choose one of these.")
    return Rejects() if bad_rows == "list" else None


def _said_volts(table: Table) -> float:
    try:
        return float(table.said["read_voltage_v"])
    except ValueError as error:
        subject, said = f"read_voltage_v in a comment of {table.source}", table.said["read_voltage_v"]
        raise refusal(subject, said, "must be a number", "volts, such as 0.1", "Correct it.") from error
