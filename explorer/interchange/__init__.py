# SPDX-License-Identifier: Apache-2.0
"""Devices to and from other simulators, one module each: aihwkit, CrossSim, NeuroSim. Nothing that is read is run."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.devices import Device

__all__ = ["Exported", "Imported"]


@dataclass(frozen=True)
class Exported:
    """A device as another simulator reads it.

    Attributes
    ----------
    files : dict of str to str
        Name to text.
    notes : tuple of str
        What the other simulator cannot express, or does in another way.
    """

    files: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The only file."""
        (text,) = self.files.values()
        return text


@dataclass(frozen=True)
class Imported:
    """A device from another simulator.

    Attributes
    ----------
    device : Device
    notes : tuple of str
        What was left out or is done in another way here.
    """

    device: Device
    notes: tuple[str, ...] = field(default=())
