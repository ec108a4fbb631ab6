# SPDX-License-Identifier: Apache-2.0
"""Conductances read again and again after programming: what there is of them, and which rules it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import MeasuredDataError, refusal

MIN_CELLS = 20
"""Devices of a level below which its spread is not used: the standard error of a spread is then above 16 %."""

MIN_LEVELS = 3

BAKE_LEVELS = 16
"""Levels of equal numbers of devices that readings before a bake are gathered in."""

MIN_READS = 1024
"""Reads of a device below which a spectrum says little."""

OFFSET_SHARE = 0.01
"""Share of the largest reading that one may lie below zero: the offset of a read circuit, 0.3 % in measured arrays."""

LARGEST_US = 1e5
"""Median conductance (uS) above which the unit must be wrong: no memory device conducts 0.1 S."""


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
    kind: ClassVar[str] = "relaxation"
    level: np.ndarray
    source: str
    sha256: str = ""

    def words(self) -> str:
        """Return in a line what was measured."""
        t = self.times_s
        low, high = np.nanmin(self.g_us), np.nanmax(self.g_us)
        return (
            f"{len(self.level)} devices at {np.unique(self.level).size} levels, read at {t.size} times from {t[0]:.4g} "
            f"to {t[-1]:.4g} s, {low:.4g} to {high:.4g} uS"
        )

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

    kind: ClassVar[str] = "bake"
    before_us: np.ndarray
    after_us: np.ndarray
    t_s: np.ndarray
    temperature_c: np.ndarray
    source: str
    sha256: str = ""

    def words(self) -> str:
        """Return in a line what was measured."""
        told = ", ".join(f"{t:g}" for t in self.temperature_c)
        return (
            f"{len(self.before_us)} devices before and after {np.nanmedian(self.t_s):.4g} s at {told} °C, "
            f"{np.nanmin(self.before_us):.4g} to {np.nanmax(self.before_us):.4g} uS"
        )


@dataclass(frozen=True, eq=False)
class TimeSeries:
    """Devices that were read at a steady rate, (device, read); conductances in uS, rate in Hz."""

    kind: ClassVar[str] = "read_noise"
    g_us: np.ndarray
    rate_hz: float
    source: str
    sha256: str = ""

    def words(self) -> str:
        """Return in a line what was measured."""
        n, reads = self.g_us.shape
        return f"{n} devices, {reads} reads each at {self.rate_hz:g} Hz ({reads / self.rate_hz:.4g} s)"


Data = Relaxation | Bake | TimeSeries


def check_relaxation(data: Relaxation) -> Relaxation:
    """Return the data.

    Raises
    ------
    MeasuredDataError
        If a conductance is negative or absurdly large, a first read is missing, times do not grow or are one only, or
        there are too few devices.
    """
    name, g, t = data.source, data.g_us, data.t_s
    if g.shape[1] < 2:
        told = f"{np.nanmedian(t):.4g} s only" if np.isfinite(t).any() else "none"
        raise _refused(name, "times", told, "two times or more", "Add the reads of later times.")
    if not np.isfinite(g[:, 0]).all():
        raise _refused(name, "first read", f"NaN for {int((~np.isfinite(g[:, 0])).sum())} devices",
                       "every device is read at first", "Leave these devices out.")  # fmt: skip
    empty = ~np.isfinite(g).any(axis=0)
    if empty.any():
        raise _refused(name, f"read number {int(np.argmax(empty)) + 1}", "NaN for every device",
                       "readings at every time", "Leave this time out.")  # fmt: skip
    _check_conductances(g, name, "read number {}")
    if not (np.isfinite(t) | ~np.isfinite(g)).all() or (t < 0).any():
        raise _refused(name, "times", "NaN or below 0", "seconds after programming, 0 or more", "Correct them.")
    times = data.times_s
    if not (np.diff(times) > 0).all():
        raise _refused(name, "times", str(np.round(times, 3).tolist()), "growing", "Sort the reads by time.")
    full = int((np.unique(data.level, return_counts=True)[1] >= MIN_CELLS).sum())
    if full < MIN_LEVELS:
        allowed = f"at least {MIN_LEVELS} levels of {MIN_CELLS} devices"
        raise _refused(name, "level", f"{full} levels of {MIN_CELLS} devices", allowed, "Measure more devices.")
    return data


def check_bake(data: Bake) -> Bake:
    """Return the data; raises `MeasuredDataError` for negative or absurd readings, one temperature, few devices."""
    n, name = len(data.before_us), data.source
    if data.temperature_c.size < 2:
        told = f"{data.temperature_c.size} temperature"
        raise _refused(name, "temperature", told, "two or more", "Add the reads of another temperature.")
    check_bake_size(n, name)
    for g in (data.before_us, data.after_us):
        if not np.isfinite(g).any(axis=0).all():
            raise _refused(name, "reads", "NaN for every device at a temperature", "readings", "Leave it out.")
        _check_conductances(g, name, "temperature number {}")
    return data


def check_bake_size(n_devices: int, source: str) -> None:
    """Raise `MeasuredDataError` where there are too few devices for spreads by level."""
    if n_devices < BAKE_LEVELS * MIN_CELLS:
        least = f"{BAKE_LEVELS * MIN_CELLS} or more"
        raise _refused(source, "number of devices", str(n_devices), least, "Measure more devices.")


def check_series(data: TimeSeries) -> TimeSeries:
    """Return the data; raises `MeasuredDataError` for missing, negative or absurd readings, and for few of them."""
    name = data.source
    if data.g_us.ndim != 2 or data.g_us.shape[1] < MIN_READS or not data.rate_hz > 0:
        allowed = f"(device, {MIN_READS} reads or more) at a rate above 0 Hz"
        raise _refused(name, "reads", f"{data.g_us.shape} at {data.rate_hz:g} Hz", allowed, "Record longer.")
    if not np.isfinite(data.g_us).all():
        rule = "a read at every step, for a spectrum"
        raise _refused(name, "reads", "NaN", rule, "Leave this device out, or cut its record.")
    _check_conductances(data.g_us, name, "read number {}")
    return data


def _check_conductances(g: np.ndarray, source: str, column: str) -> None:
    """Refuse readings below zero by more than a read's offset, and a median that shows a wrong unit."""
    negative = np.argwhere(g < -OFFSET_SHARE * np.nanmax(np.abs(g)))
    if negative.size:
        row, k = negative[0].tolist()
        more = f" ({len(negative)} readings in all)" if len(negative) > 1 else ""
        raise _refused(source, f"conductance of device {row + 1}, {column.format(k + 1)},",
                       f"{g[row, k]:.4g} uS{more}", f"0 uS or more, but for {OFFSET_SHARE:.0%} of the largest reading",
                       "Correct the offset of the read, or leave these readings out.")  # fmt: skip
    middle = float(np.nanmedian(g))
    if middle > LARGEST_US or not middle > 0:
        raise _refused(source, "median conductance", f"{middle:.4g} uS", f"above 0 and at most {LARGEST_US:g} uS",
                       "Say the unit of the readings.")  # fmt: skip


def _refused(source: str, key: str, value: str, allowed: str, remedy: str) -> MeasuredDataError:
    return refusal(f"{key} of {source}", value, "does not describe a retention measurement", allowed, remedy)
