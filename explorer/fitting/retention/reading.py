# SPDX-License-Identifier: Apache-2.0
"""Retention measurements from archives and tables: which array or column is what, and what that gives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from engine.errors import near_miss

from .. import arrays
from ..errors import MeasuredDataError, place, refusal
from ..source import Content, Source, load, text_of
from ..table import Table
from ..text_table import read_table
from ..units import CURRENTS, NUMBER, SIEMENS, checked, split_name, to_si
from .data import Bake, Data, Relaxation, TimeSeries, check_bake, check_relaxation, check_series

MICRO = 1e6
MAX_LEVELS = 32
"""Levels that continuous targets are gathered in."""

MEANINGS = {
    "value": "the readings",
    "t_s": "time after programming, in seconds",
    "level": "programmed level or target",
    "device_id": "name of the device",
    "temperature_c": "temperature in degrees Celsius",
    "before": "readings before a bake",
    "after": "readings after it",
    "rate_hz": "reads per second",
    "unit": "unit of the reading",
}
"""What each role is."""

_SPELT = {
    "value": "value g conductance current i resistance r val reading iread",
    "t_s": "ts t time times seconds tnominal timestamp",
    "level": "level target gtarget levels state",
    "device_id": "deviceid device dev cell cellid addr address",
    "temperature_c": "temperaturec temperature tempc temp tc",
    "before": "before gbefore pre gpre",
    "after": "after gafter post gpost",
    "rate_hz": "ratehz rate fshz fs samplingrate",
    "unit": "unit units",
}
_NAMED = {"value": "G", "t_s": "t", "level": "level", "temperature_c": "temp_C", "before": "G_before",
          "after": "G_after", "rate_hz": "fs_Hz"}  # fmt: skip
ROLES = tuple(MEANINGS)


@dataclass(frozen=True, eq=False)
class Sheet:
    """A file as named columns of a table or named arrays of an archive.

    Attributes
    ----------
    content : Content
    names : tuple of str
    table : Table or None
    found : dict of str to array, or None
        One of the two is there.
    """

    content: Content
    names: tuple[str, ...]
    table: Table | None = None
    found: Mapping[str, np.ndarray] | None = None

    def guess(self) -> dict[str, int]:
        """Return the likely column of each role, from 1; the spelling that stands first in a role's list wins."""
        plain = [re.sub(r"[\s_.\-#]+", "", split_name(name)[0].casefold()) for name in self.names]
        roles: dict[str, int] = {}
        for role, words in _SPELT.items():
            place_ = next((plain.index(word) for word in words.split() if word in plain), None)
            if place_ is not None and place_ + 1 not in roles.values():
                roles[role] = place_ + 1
        return roles

    def rows(self, n: int) -> list[list[str]]:
        """Return the first rows as text, for a preview."""
        if self.table is not None:
            return [[column[i] for column in self.table.columns] for i in range(min(n, self.table.rows.size))]
        columns = [_shown(np.asarray(self.found[name]), n) for name in self.names]
        return [[c[i] if i < len(c) else "" for c in columns] for i in range(max(map(len, columns), default=0))]

    def labels(self) -> list[str]:
        """Return the names with the shapes of arrays."""
        if self.found is None:
            return list(self.names)
        return [f"{n} ({' × '.join(map(str, np.shape(self.found[n]))) or 'one number'})" for n in self.names]


def open_sheet(source: Source, name: str = "") -> Sheet:
    """Return a file's columns or arrays; raises `MeasuredDataError` where it is no table and no archive."""
    content = load(source, name)
    if arrays.holds(content):
        found = arrays.unpacked(content)
        return Sheet(content, tuple(found), found=found)
    table = read_table(text_of(content))
    return Sheet(content, tuple(str(table.label(j)) for j in range(table.n_columns)), table=table)


def read_retention(
    source: Source,
    name: str = "",
    *,
    unit: str | None = None,
    read_voltage_v: float | None = None,
    columns: Mapping[str, int | str] | None = None,
) -> Data:
    """Read a retention measurement of any kind; what there is tells which one.

    Parameters
    ----------
    source : path, bytes or file-like
        An archive (.npz, HDF5) with ``G`` (device, time), ``t`` (device, time) or ``t_nominal`` (time,) and ``level``
        (device,); or with ``temp_C`` (temperature,), ``G_before``, ``G_after`` and ``t`` (device, temperature); or
        with ``G`` (device, read) and ``fs_Hz``. Or a table with the columns device, time, value, and level or target;
        with a column of several temperatures it is a bake, each device read first and last at each.
    name : str
        What messages call the file.
    unit : str, optional
        Unit of the readings where the file does not say; S for archives.
    read_voltage_v : float, optional
        Turns currents into conductances.
    columns : dict of str to int or str, optional
        Role (`ROLES`) to number from 1, or name, of a column or an array; names tell where not given.

    Raises
    ------
    MeasuredDataError
        If something is missing or does not fit, with its name and what to do.
    """
    return read_sheet(open_sheet(source, name), unit=unit, read_voltage_v=read_voltage_v, columns=columns)


def read_sheet(
    sheet: Sheet,
    *,
    unit: str | None = None,
    read_voltage_v: float | None = None,
    columns: Mapping[str, int | str] | None = None,
) -> Data:
    """Return the measurement of an opened file; parameters and errors as of `read_retention`."""
    roles = sheet.guess() if columns is None else {role: _place(sheet, role, at) for role, at in columns.items()}
    take = _Taker(sheet, roles, unit, read_voltage_v)
    return take.from_table() if sheet.table is not None else take.from_arrays()


def read_relaxation(source: Source, name: str = "", *, unit: str | None = None) -> Relaxation:
    """Read devices that were programmed and read at several times; see `read_retention`."""
    return _of_kind(read_retention(source, name, unit=unit), Relaxation, "G, t or t_nominal, level")


def read_bake(source: Source, name: str = "") -> Bake:
    """Read devices before and after temperatures; see `read_retention`."""
    return _of_kind(read_retention(source, name), Bake, "temp_C, G_before, G_after, t")


def read_time_series(source: Source, name: str = "") -> TimeSeries:
    """Read devices that were read at a steady rate; see `read_retention`."""
    return _of_kind(read_retention(source, name), TimeSeries, "G, fs_Hz")


def _of_kind(data: Data, kind: type, wanted: str):
    if not isinstance(data, kind):
        raise refusal(f"arrays of {data.source}", data.kind, "is another kind of measurement", wanted, "Load another.")
    return data


def _place(sheet: Sheet, role: str, at: int | str) -> int:
    if role not in ROLES:
        hint = near_miss(role, ROLES).strip() or "Leave it out."
        raise refusal("columns", role, "there is no such role", ", ".join(ROLES), hint)
    if isinstance(at, str) and at in sheet.names:
        return sheet.names.index(at) + 1
    if isinstance(at, int) and 1 <= at <= len(sheet.names):
        return at
    hint = near_miss(str(at), sheet.names).strip() or "Correct it."
    raise refusal(f"columns of {sheet.content.name}", at, "there is no such column", ", ".join(sheet.names), hint)


class _Taker:
    """Takes roles out of a sheet."""

    def __init__(self, sheet: Sheet, roles: dict[str, int], unit: str | None, volts: float | None):
        self.sheet, self.roles, self.volts = sheet, roles, volts
        self.name, self.sha256 = sheet.content.name, sheet.content.sha256
        self.unit = None if unit is None else checked(unit, "unit")

    # -- archives --------------------------------------------------------------------------------------------------

    def from_arrays(self) -> Data:
        """Return what the arrays describe."""
        if {"before", "after"} & set(self.roles):
            return self._bake()
        if "rate_hz" in self.roles and "t_s" not in self.roles:
            return self._series()
        return self._relaxation()

    def _array(self, role: str, wanted: str) -> np.ndarray:
        if role not in self.roles:
            raise _refused(self.name, _NAMED[role], f"no such array among {', '.join(self.sheet.names)}", wanted,
                           f"Choose which array holds {MEANINGS[role]}, or name it so.")  # fmt: skip
        key = self.sheet.names[self.roles[role] - 1]
        try:
            return np.asarray(self.sheet.found[key], dtype=float)
        except ValueError as error:
            raise _refused(self.name, key, "text", "numbers", "Choose another array.") from error

    def _conductances(self, role: str, wanted: str) -> np.ndarray:
        unit = self.unit or self._said_unit() or "S"
        return to_si(_physical(unit, self.name), self.volts, f"unit of {self.name}")[0](
            self._array(role, wanted)) * MICRO  # fmt: skip

    def _said_unit(self) -> str | None:
        if "unit" not in self.roles:
            return None
        key = self.sheet.names[self.roles["unit"] - 1]
        told = {str(v) for v in np.ravel(self.sheet.found[key])}
        if len(told) > 1:
            raise _refused(self.name, key, ", ".join(sorted(told)), "one unit", "Convert all readings to one unit.")
        return checked(told.pop(), f"unit of {self.name}")

    def _relaxation(self) -> Relaxation:
        wanted = "G (device, time), t or t_nominal, level"
        level, g = self._array("level", wanted), self._conductances("value", wanted)
        if g.ndim != 2 or g.shape[1] < 2:
            raise _refused(self.name, "G", str(g.shape), "(device, time), two times or more", "Correct its shape.")
        t = self._array("t_s", wanted)
        t = np.broadcast_to(t, g.shape) if t.shape == g.shape[1:] else t
        _check_shape(t, g.shape, "t", self.name, "(device, time)")
        _check_shape(level, g.shape[:1], "level", self.name, "(device,)")
        if not np.isfinite(level).all():
            raise _refused(self.name, "level", "NaN", "a number for each device", "Leave out these devices.")
        t = np.where(np.isfinite(g), t, np.nan)
        return check_relaxation(Relaxation(g, t, _numbered(level), self.name, self.sha256))

    def _bake(self) -> Bake:
        wanted = "temp_C (temperature,), G_before, G_after, t (device, temperature)"
        temperature = np.atleast_1d(self._array("temperature_c", wanted))
        before, after = self._conductances("before", wanted), self._conductances("after", wanted)
        t = self._array("t_s", wanted)
        shape = (before.shape[0], temperature.size)
        for key, array in (("G_before", before), ("G_after", after), ("t", t)):
            _check_shape(array, shape, key, self.name, "(device, temperature)")
        order = np.argsort(temperature)
        return check_bake(Bake(before[:, order], after[:, order], t[:, order], temperature[order], self.name,
                               self.sha256))  # fmt: skip

    def _series(self) -> TimeSeries:
        wanted = "G (device, read), fs_Hz"
        g, rate = np.atleast_2d(self._conductances("value", wanted)), self._array("rate_hz", wanted)
        if rate.size != 1:
            raise _refused(self.name, "fs_Hz", str(rate.shape), "one number", "Correct it.")
        return check_series(TimeSeries(g, float(rate.ravel()[0]), self.name, self.sha256))

    # -- tables ----------------------------------------------------------------------------------------------------

    def from_table(self) -> Data:
        """Return one row of reads for each device of a long table."""
        table = self.sheet.table
        for role in ("device_id", "t_s", "value"):
            if role not in self.roles:
                allowed = "columns of device, time, value, and level or target"
                remedy = f"Choose the column with {MEANINGS[role]}, or name it so in the file."
                raise _refused(self.name, role, f"no such column among {', '.join(self.sheet.names)}", allowed, remedy)
        device = table.columns[self.roles["device_id"] - 1].text()
        frame = pd.DataFrame({"d": device, "t": table.numbers(self.roles["t_s"] - 1), "g": self._column_us()})
        if "temperature_c" in self.roles:
            frame["c"] = table.numbers(self.roles["temperature_c"] - 1)
            if frame["c"].nunique() > 1:
                return self._baked(frame)
        frame["k"] = self._read_numbers(frame)
        g, t = (frame.pivot(index="d", columns="k", values=v) for v in "gt")
        if "level" in self.roles:
            told = pd.Series(table.numbers(self.roles["level"] - 1)).groupby(frame["d"]).first().reindex(g.index)
            level = _numbered(told.to_numpy())
        else:
            level = _gathered(g[0].to_numpy())
        return check_relaxation(Relaxation(g.to_numpy(), t.to_numpy(), level, self.name, self.sha256))

    def _read_numbers(self, frame: pd.DataFrame) -> pd.Series:
        """Return which read each row is: by its time where devices share their times, else by its rank."""
        twice = frame.duplicated(["d", "t"])
        if twice.any():
            row = int(np.argmax(twice.to_numpy()))
            subject = place(self.name, int(self.sheet.table.rows[row]))
            rule = f"is a second read of device {frame['d'][row]} at the same time"
            raise refusal(subject, f"{frame['t'][row]:g} s", rule, "one read a time", "Average them, or leave one out.")
        times = np.unique(frame["t"])
        if times.size == frame.groupby("d").size().max():
            return pd.Series(np.searchsorted(times, frame["t"]), index=frame.index)
        return frame.groupby("d", sort=False)["t"].rank("first").astype(int) - 1

    def _baked(self, frame: pd.DataFrame) -> Bake:
        """Return first and last read of each device at each temperature."""
        ordered = frame.sort_values("t", kind="stable").groupby(["d", "c"])
        first, last, n = ordered.first().unstack(), ordered.last().unstack(), ordered.size()
        if (n < 2).any():
            device, temperature = n[n < 2].index[0]
            raise _refused(self.name, f"reads of device {device} at {temperature:g} °C", "one",
                           "one before and one after the bake", "Add the other read, or leave it out.")  # fmt: skip
        t = (last["t"] - first["t"]).to_numpy()
        return check_bake(Bake(first["g"].to_numpy(), last["g"].to_numpy(), t, first["g"].columns.to_numpy(float),
                               self.name, self.sha256))  # fmt: skip

    def _column_us(self) -> np.ndarray:
        """Return the readings in uS; units of siemens may differ from row to row."""
        table, j = self.sheet.table, self.roles["value"] - 1
        value = table.numbers(j)
        named = split_name(str(table.label(j)))[1]
        if "unit" not in self.roles:
            told = self.unit or named or table.said.get("unit", "S")
            convert = to_si(_physical(checked(told, f"unit of {self.name}"), self.name), self.volts, "unit")[0]
            return convert(value) * MICRO
        units = table.columns[self.roles["unit"] - 1].text()
        seen = {text: int(np.argmax(units == text)) for text in dict.fromkeys(units)}
        known = {text: _physical(checked(text, place(self.name, int(table.rows[row]), "unit")), self.name)
                 for text, row in seen.items()}  # fmt: skip
        kinds = {u in SIEMENS or u for u in known.values()} | ({named in SIEMENS or named} if named else set())
        if len(kinds) > 1:
            row = list(seen.values())[-1]
            rule, allowed = "units of different kinds are mixed in one file", "conductances, or one unit"
            remedy = "Give all readings in one unit."
            raise table.refuse(row, self.roles["unit"] - 1, rule, allowed, remedy)
        for text, unit in known.items():
            at = units == text
            value[at] = to_si(unit, self.volts, "unit")[0](value[at])
        return value * MICRO


def _physical(unit: str, source: str) -> str:
    if unit == NUMBER:
        allowed = f"{', '.join(SIEMENS)}, {', '.join(CURRENTS)} with a read voltage, or a resistance"
        raise refusal(f"unit of {source}", unit, "plain numbers are no conductances", allowed, "Say the unit.")
    return unit


def _numbered(told: np.ndarray) -> np.ndarray:
    """Return levels as whole numbers; targets that are none are numbered by their size, many are gathered."""
    if (told == np.rint(told)).all():
        return told.astype(int)
    distinct = np.unique(told)
    return np.searchsorted(distinct, told) if distinct.size <= MAX_LEVELS else _gathered(told)


def _gathered(g: np.ndarray) -> np.ndarray:
    """Return a level for each device from its first read, all of equal width."""
    width = (g.max() - g.min()) / MAX_LEVELS or 1.0
    return np.minimum(np.nan_to_num((g - g.min()) / width), MAX_LEVELS - 1).astype(int)


def _check_shape(array: np.ndarray, shape: tuple[int, ...], key: str, source: str, axes: str) -> None:
    if array.shape != shape:
        raise _refused(source, key, str(array.shape), f"{axes} = {shape}", "Correct its shape.")


def _shown(array: np.ndarray, n: int) -> list[str]:
    """Return the first rows of an array as text."""

    def word(v) -> str:
        return f"{v:.4g}" if isinstance(v, float | np.floating) else str(v)

    array = np.atleast_1d(array)
    if array.ndim == 1:
        return [word(v) for v in array[:n]]
    return [", ".join(word(v) for v in row.ravel()[:4]) + (" …" if row.size > 4 else "") for row in array[:n]]


def _refused(source: str, key: str, value: str, allowed: str, remedy: str) -> MeasuredDataError:
    return refusal(f"{key} of {source}", value, "does not describe a retention measurement", allowed, remedy)
