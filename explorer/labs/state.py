# SPDX-License-Identifier: Apache-2.0
"""What a device lab shows: parameters only, no widgets and no results."""

from __future__ import annotations

from typing import Any

import param

from engine import devices, presets
from engine.devices import Device
from engine.errors import ParameterError, say
from explorer.labs.history import EditedModel

MAX_PINNED = 5
"""Devices kept for comparison; with the one on show there are six."""


class DeviceState(EditedModel):
    """The device under study and where it came from; views watch ``revision``.

    ``device`` is replaced, never mutated, so a view may keep the object it has drawn. An edit that breaks a rule leaves
    ``device`` as it was and sets ``problem``.
    """

    holds = "device"
    noun = "device"

    device: Device = param.ClassSelector(class_=Device, doc="The last valid device.")  # type: ignore[assignment]
    seed = param.Integer(0, bounds=(0, None), doc="Seed of all random draws shown.")
    n_devices = param.Integer(200, bounds=(1, 2000), doc="Number of simulated devices.")
    n_pulses = param.Integer(400, bounds=(2, 20000), doc="Number of pulses, half up, half down.")
    pinned = param.List([], doc="Devices kept for comparison, each a pair of preset name (or empty) and device.")
    measured = param.Parameter(None, doc="Measured data laid over the model, or None.")

    def __init__(self, preset: str = "reram_exp_hfo2_2018", **values):
        super().__init__(presets.load(preset), preset, **values)

    def value_sources(self) -> dict[str, str]:
        """Return parameter name to where a preset's value comes from; empty for a class without a preset."""
        return presets.info(self.preset).parameter_sources if self.preset in presets.names() else {}

    def load_preset(self, name: str) -> None:
        """Show a preset."""
        self._begin(name, presets.load(name))

    def load_class(self, stem: str) -> None:
        """Show a device class with its default values."""
        self._begin("", devices.get(stem)())

    def load_device(self, device: Device, preset: str = "") -> None:
        """Show a device from elsewhere (a fit, a file, a link)."""
        self._begin(preset, device)

    @property
    def can_pin(self) -> bool:
        """Whether the device on show can be kept: there is room, and it is not kept yet."""
        return len(self.pinned) < MAX_PINNED and all(device != self.device for _, device in self.pinned)

    def pin(self) -> None:
        """Keep the device on show for comparison; does nothing where `can_pin` is false."""
        if self.can_pin:
            self.pinned = [*self.pinned, (self.preset, self.device)]

    def unpin(self, index: int) -> None:
        """Keep a device no longer."""
        self.pinned = [kept for k, kept in enumerate(self.pinned) if k != index]

    def to_query(self) -> dict[str, Any]:
        """Return the whole state as plain values, for a link."""
        pinned = {"pinned": [_told(*kept) for kept in self.pinned]} if self.pinned else {}
        return (
            _told(self.preset, self.device)
            | pinned
            | {
                "seed": self.seed,
                "n_devices": self.n_devices,
                "n_pulses": self.n_pulses,
            }
        )

    def from_query(self, query: dict[str, Any]) -> None:
        """Restore what `to_query` gave.

        Raises
        ------
        OhmscapeError
            If the link names an unknown preset, class or parameter, or a value out of bounds.
        """
        start, changed = _untold(query)
        pinned = [(kept.get("preset", ""), _untold(kept)[1]) for kept in query.get("pinned", [])]
        if len(pinned) > MAX_PINNED:
            raise ParameterError(say("pinned", len(pinned), "are too many", f"0 .. {MAX_PINNED}", "Keep fewer."))
        self._begin(query.get("preset", ""), start)
        self.pinned = pinned
        self.param.update(**{n: query[n] for n in ("seed", "n_devices", "n_pulses") if n in query})
        self._show(self.preset, changed)


def _told(preset: str, device: Device) -> dict[str, Any]:
    """Return a device as plain values, told against what it comes from."""
    # not against its start: a fitted or imported device has a start of its own
    base = _origin(preset, device.stem()).values()
    changed = {n: v for n, v in device.values().items() if v != base[n]}
    return {"preset": preset, "device": device.stem(), "changed": changed}


def _untold(told: dict[str, Any]) -> tuple[Device, Device]:
    """Return the origin and the device of `_told`."""
    start = _origin(told.get("preset", ""), told["device"])
    return start, start.copy(**told.get("changed", {}))


def _origin(preset: str, stem: str) -> Device:
    """Return the device that a link's changes are told against."""
    return presets.load(preset) if preset else devices.get(stem)()
