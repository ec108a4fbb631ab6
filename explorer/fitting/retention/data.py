# SPDX-License-Identifier: Apache-2.0
"""Conductances read again and again after programming: from archives and from tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import arrays
from ..errors import MeasuredDataError, refusal
from ..roles import guess
from ..source import Content, Source, load, text_of
from ..table import Table
from ..text_table import read_table
from ..units import split_name, to_si

MICRO = 1e6
MIN_CELLS = 20
"""Devices of a level below which its spread is not used: the standard error of a spread is then above 16 %."""

MAX_LEVELS = 32
"""Levels that continuous targets are gathered in."""


@dataclass(frozen=True, eq=False)
class Relaxation:
    """Devices that were programmed to levels and read at growing times.

    Attributes
    ----------
    g_us : array, (device, time)
        Conductance in uS; NaN where a device was not read.
    t_s : array, (device, time)
        Time of each read after programming, s; NaN where there was none.
    level : array of int, (device,)
    source : str
    sha256 : str
    """

    g_us: np.ndarray
    t_s: np.ndarray
    level: np.ndarray
    source: str
    sha256: str = ""

    @property
    def times_s(self) -> np.ndarray:
        """Median time of each read, (time,)."""
        return np.nanmedian(self.t_s, axis=0)

    def upto(self, n_times: int) -> Relaxation:
        """Return the same devices with the first reads only."""
        return Relaxation(self.g_us[:, :n_times], self.t_s[:, :n_times], self.level, self.source, self.sha256)


@dataclass(frozen=True, eq=False)
class Bake:
    """Devices that were read, kept at a temperature, and read again.

    Attributes
    ----------
    before_us, after_us : array, (device, temperature)
        Conductances in uS.
    t_s : array, (device, temperature)
        Time between the two reads, s.
    temperature_c : array, (temperature,)
        Degrees Celsius.
    source, sha256 : str
    """

    before_us: np.ndarray
    after_us: np.ndarray
    t_s: np.ndarray
    temperature_c: np.ndarray
    source: str
    sha256: str = ""


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """Devices that were read at a steady rate, (device, read); conductances in uS, rate in Hz."""

    g_us: np.ndarray
    rate_hz: float
    source: str
    sha256: str = ""


def read_relaxation(source: Source, name: str = "", *, unit: str | None = None) -> Relaxation:
    """Read devices that were programmed and read at several times.

    Parameters
    ----------
    source : path, bytes or file-like
        An archive (.npz, HDF5) with ``G`` (device, time), ``t`` (device, time) or ``t_nominal`` (time,), and ``level``
        (device,); or a table with the columns device, time, value, and level or target.
    name : str
        What messages call the file.
    unit : str, optional
        Unit of the conductances; S for archives where not given, and what the header says for tables.

    Raises
    ------
    MeasuredDataError
        If something is missing or does not fit, with its name and what to do.
    """
    content = load(source, name)
    if arrays.holds(content):
        return _from_arrays(arrays.unpacked(content), content, unit or "S")
    return _from_table(read_table(text_of(content)), content, unit)


def read_bake(source: Source, name: str = "") -> Bake:
    """Read an archive: ``temp_C`` (temperature,), and ``G_before``, ``G_after`` (S), ``t`` (s) (device, temperature).

    Raises
    ------
    MeasuredDataError
        If an array is missing or has another shape.
    """
    content = load(source, name)
    found = arrays.unpacked(content)
    temperature, before, after, t = _wanted(found, content.name, "temp_C", "G_before", "G_after", "t")
    shape = (before.shape[0], temperature.size)
    for key, array in (("G_before", before), ("G_after", after), ("t", t)):
        _check_shape(array, shape, key, content.name, "(device, temperature)")
    if temperature.size < 2:
        raise _refused(content.name, "temp_C", f"{temperature.size} temperature", "two or more", "Bake at more.")
    return Bake(before * MICRO, after * MICRO, t, temperature, content.name, content.sha256)


def read_time_series(source: Source, name: str = "") -> TimeSeries:
    """Read an archive with ``G`` (device, read) in S and ``fs_Hz``.

    Raises
    ------
    MeasuredDataError
        If an array is missing or has another shape.
    """
    content = load(source, name)
    g, rate = _wanted(arrays.unpacked(content), content.name, "G", "fs_Hz")
    if g.ndim != 2 or g.shape[1] < 1024 or not float(rate) > 0:
        raise _refused(content.name, "G", str(g.shape), "(device, 1024 reads or more)", "Record longer.")
    return TimeSeries(g * MICRO, float(rate), content.name, content.sha256)


def _wanted(found: dict[str, np.ndarray], source: str, *names: str) -> list[np.ndarray]:
    for name in names:
        if name not in found:
            raise _refused(source, name, "no such array", ", ".join(names), "Add it, or name it so.")
    return [np.asarray(found[name], dtype=float) for name in names]


def _from_arrays(found: dict[str, np.ndarray], content: Content, unit: str) -> Relaxation:
    g, level = _wanted(found, content.name, "G", "level")
    if g.ndim != 2 or g.shape[1] < 2:
        raise _refused(content.name, "G", str(g.shape), "(device, time), two times or more", "Correct its shape.")
    t = np.asarray(found["t"] if "t" in found else _wanted(found, content.name, "t_nominal")[0], dtype=float)
    t = np.broadcast_to(t, g.shape) if t.shape == g.shape[1:] else t
    _check_shape(t, g.shape, "t", content.name, "(device, time)")
    _check_shape(level, g.shape[:1], "level", content.name, "(device,)")
    g = to_si(unit, None, "unit")[0](g) * MICRO
    return _checked(g, np.where(np.isfinite(g), t, np.nan), level.astype(int), content)


def _from_table(table: Table, content: Content, unit: str | None) -> Relaxation:
    """Return one row of reads for each device of a long table."""
    roles = guess(table)
    names = [str(n).casefold() for n in table.header or ()]
    level = next((j for j, n in enumerate(names) if split_name(n)[0] in ("level", "target", "g_target")), None)
    for role in ("device_id", "t_s", "value"):
        if role not in roles:
            allowed = "device_id, t_s, value, and level or target"
            raise _refused(content.name, role, "no such column", allowed, "Add the column, or name it so.")
    told = unit or split_name(str(table.label(roles["value"])))[1] or "S"
    value = to_si(told, None, "unit")[0](table.numbers(roles["value"])) * MICRO
    frame = pd.DataFrame({"d": table.columns[roles["device_id"]].text(), "t": table.numbers(roles["t_s"]), "g": value})
    frame["k"] = frame.groupby("d", sort=False)["t"].rank("first").astype(int) - 1
    g, t = (frame.pivot(index="d", columns="k", values=v) for v in "gt")
    if level is None:
        levels = _gathered(g[0].to_numpy())
    else:
        told_levels = pd.Series(table.numbers(level)).groupby(frame["d"]).first().reindex(g.index).to_numpy()
        levels = np.unique(told_levels, return_inverse=True)[1]
    return _checked(g.to_numpy(), t.to_numpy(), levels, content)


def _gathered(g: np.ndarray) -> np.ndarray:
    """Return a level for each device from its first read, all of equal width."""
    width = (g.max() - g.min()) / MAX_LEVELS or 1.0
    return np.minimum((g - g.min()) / width, MAX_LEVELS - 1).astype(int)


def _checked(g: np.ndarray, t: np.ndarray, level: np.ndarray, content: Content) -> Relaxation:
    data = Relaxation(g, t, level, content.name, content.sha256)
    times = data.times_s
    if not np.isfinite(g[:, 0]).all():
        raise _refused(content.name, "first read", "NaN", "every device is read at first", "Leave out other devices.")
    if not (np.diff(times) > 0).all():
        raise _refused(content.name, "times", str(np.round(times, 3).tolist()), "growing", "Sort the reads by time.")
    counts = np.bincount(level - level.min())
    if (counts >= MIN_CELLS).sum() < 3:
        allowed = f"at least 3 levels of {MIN_CELLS} devices"
        raise _refused(content.name, "level", f"{(counts >= MIN_CELLS).sum()} levels", allowed, "Measure more devices.")
    return data


def _check_shape(array: np.ndarray, shape: tuple[int, ...], key: str, source: str, axes: str) -> None:
    if array.shape != shape:
        raise _refused(source, key, str(array.shape), f"{axes} = {shape}", "Correct its shape.")


def _refused(source: str, key: str, value: str, allowed: str, remedy: str) -> MeasuredDataError:
    return refusal(f"{key} of {source}", value, "does not describe a retention measurement", allowed, remedy)
