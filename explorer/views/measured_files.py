# SPDX-License-Identifier: Apache-2.0
"""The measured files of a page: read, merged, read again with another unit. No widgets here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from engine.devices.soft_bounds import SoftBounds
from explorer.experiments.pulse_response import PulseResponse
from explorer.fitting import MAX_BYTES, Measured, MeasuredDataError, read_measured
from explorer.fitting.formats import all_formats, long
from explorer.fitting.trace import pulse_trace

EXAMPLE_NAME = "ohmscape_example.csv"
_EXAMPLE = {"n_devices": 3, "n_pulses": 240, "seed": 1}
_EXAMPLE_MIDDLE_US, _EXAMPLE_SPAN_US = 12.0, 8.0  # conductance at weight 0, and per unit of weight


class NotOneMeasurement(MeasuredDataError):
    """A file is good, but cannot be shown together with those that are there.

    Attributes
    ----------
    name, content : str, bytes
        The file.
    """

    def __init__(self, message: str, name: str, content: bytes):
        super().__init__(message)
        self.name, self.content = name, content


@dataclass(frozen=True)
class FileSet:
    """Files that are shown together as one measurement.

    Attributes
    ----------
    contents : dict
        Name to bytes, in the order they came; kept because another unit means reading them again.
    unit : str or None
        Unit of readings whose file does not say; None takes them for plain numbers.
    read_voltage_v : float or None
        Read voltage in V, for readings in A.
    parts : dict
        Name to what was read.
    measured : Measured or None
        All of them together.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    unit: str | None = None
    read_voltage_v: float | None = None
    parts: dict[str, Measured] = field(default_factory=dict)
    measured: Measured | None = None

    def added(self, name: str, content: bytes) -> FileSet:
        """Return the set with one more file; one of the same name is replaced.

        Raises
        ------
        NotOneMeasurement
            If the file cannot be merged with the others.
        MeasuredDataError
            If it cannot be read, or all files together are too large.
        """
        others = {n: c for n, c in self.contents.items() if n != name}
        total = sum(map(len, others.values())) + len(content)
        if total > MAX_BYTES:
            limit = f"{MAX_BYTES / 1e6:.0f} MB"
            raise MeasuredDataError(
                f"size of all files = {total / 1e6:.1f} MB: too large together (allowed: at most {limit}). "
                "Remove a file first."
            )
        part = self._read(name, content)
        parts = {n: p for n, p in self.parts.items() if n != name} | {name: part}
        try:
            measured = _merged(parts)
        except MeasuredDataError as error:
            raise NotOneMeasurement(str(error), name, content) from error
        return replace(self, contents=others | {name: content}, parts=parts, measured=measured)

    def without(self, name: str) -> FileSet:
        """Return the set with one file less."""
        parts = {n: p for n, p in self.parts.items() if n != name}
        contents = {n: c for n, c in self.contents.items() if n != name}
        return replace(self, contents=contents, parts=parts, measured=_merged(parts) if parts else None)

    def only(self, name: str, content: bytes) -> FileSet:
        """Return a set of this one file, read in the same way."""
        return FileSet(unit=self.unit, read_voltage_v=self.read_voltage_v).added(name, content)

    def read_as(self, unit: str | None, read_voltage_v: float | None) -> FileSet:
        """Return the same files read in another unit; raises as `added`."""
        again = FileSet(unit=unit, read_voltage_v=read_voltage_v)
        for name, content in self.contents.items():
            again = again.added(name, content)
        return again

    def _read(self, name: str, content: bytes) -> Measured:
        return read_measured(content, name, unit=self.unit, read_voltage_v=self.read_voltage_v)


def _merged(parts: dict[str, Measured]) -> Measured:
    first, *others = parts.values()
    return first.merge(*others) if others else first


def accepted() -> list[str]:
    """Return the layouts of files that can be read, in words."""
    return [layout.title for layout in all_formats()]


def example_csv() -> str:
    """Return a file to try: three simulated soft-bounds devices, up then down, in the long format."""
    device = SoftBounds(dw_min=0.03, w_max=1, w_min=-1, dw_min_dtod=0.15, w_max_dtod=0.1, w_min_dtod=0.1,
                        dw_min_std=0.4, write_noise_std=1.0)  # fmt: skip
    experiment = PulseResponse(device=device, **_EXAMPLE)
    weights = experiment.run()["apparent"].transpose("device", "pulse").values.astype(float)
    directions = np.concatenate([[0], experiment.pulses()])  # the first row is a read before any pulse
    readings = np.round(_EXAMPLE_MIDDLE_US + _EXAMPLE_SPAN_US * weights, 4)
    return long.write([pulse_trace(f"sim{k}", 1, directions, row) for k, row in enumerate(readings)], "uS")
