# SPDX-License-Identifier: Apache-2.0
"""What a device lab shows: parameters only, no widgets and no results."""

from __future__ import annotations

from typing import Any

import param

from engine import devices, presets
from engine.devices import Device
from engine.errors import OhmscapeError, ParameterError, say

_UNDO_DEPTH = 100
MAX_PINNED = 5
"""Devices kept for comparison; with the one on show there are six."""


class DeviceState(param.Parameterized):
    """The device under study and where it came from; views watch ``revision``.

    ``device`` is replaced, never mutated, so a view may keep the object it has drawn. An edit that breaks a rule leaves
    ``device`` as it was and sets ``problem``.
    """

    device: Device = param.ClassSelector(class_=Device, doc="The last valid device.")  # type: ignore[assignment]
    preset = param.String("", doc="Name of the preset the device started from; empty for a bare class.")
    problem = param.String("", doc="One line about the last edit that was refused; empty when all is well.")
    problem_field = param.String("", doc="The parameter the problem is about.")
    revision = param.Integer(0, doc="Grows by one with every accepted change.")
    seed = param.Integer(0, bounds=(0, None), doc="Seed of all random draws shown.")
    n_devices = param.Integer(200, bounds=(1, 2000), doc="Number of simulated devices.")
    n_pulses = param.Integer(400, bounds=(2, 20000), doc="Number of pulses, half up, half down.")
    pinned = param.List([], doc="Devices kept for comparison, each a pair of preset name (or empty) and device.")
    measured = param.Parameter(None, doc="Measured data laid over the model, or None.")

    def __init__(self, preset: str = "reram_exp_hfo2_2018", **values):
        self._undo: list[tuple[str, Device, Device]] = []
        self._redo: list[tuple[str, Device, Device]] = []
        self._sliding: tuple[str, ...] = ()  # parameters of the slide that the next `slide` may continue
        super().__init__(device=presets.load(preset), preset=preset, **values)
        self._start = self.device

    @property
    def edited(self) -> bool:
        """Whether the device differs from the preset or class defaults it started from."""
        return self.device != self._start

    def edited_fields(self) -> list[str]:
        """Return the parameters that differ from the start."""
        start = self._start.values()
        return [n for n, v in self.device.values().items() if v != start[n]]

    def start_value(self, name: str) -> Any:
        """Return the value a reset of one parameter goes back to."""
        return getattr(self._start, name)

    def start_values(self) -> dict[str, Any]:
        """Return the values a reset of all goes back to."""
        return self._start.values()

    def problem_of(self, name: str) -> str:
        """Return why an entry for one parameter was refused, or an empty string."""
        return self.problem if self.problem_field == name else ""

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

    def set(self, **values: Any) -> bool:
        """Change parameters; return whether the change was accepted, else ``problem`` says why not."""
        self._sliding = ()
        return self._change(values, continued=False)

    def slide(self, **values: Any) -> bool:
        """As `set`, for a slider under way: moves of the same parameters in a row are undone as one."""
        names, before = tuple(values), self.device
        accepted = self._change(values, continued=names == self._sliding)
        if self.device is not before:
            self._sliding = names
        return accepted

    def settle(self) -> None:
        """End the slide: the slider was let go."""
        self._sliding = ()

    def _change(self, values: dict[str, Any], *, continued: bool) -> bool:
        try:
            changed = self.device.copy(**values)
        except OhmscapeError as error:
            self.param.update(problem=str(error), problem_field=next(iter(values)))
            return False
        if changed != self.device:
            if not continued:
                self._push()
            self._show(self.preset, changed)
        else:
            self.param.update(problem="", problem_field="")
        return True

    def reset(self, *names: str) -> None:
        """Take parameters (all without arguments) back to the values they started from."""
        chosen = names or tuple(self.device.fields())
        self.set(**{n: self.start_value(n) for n in chosen})

    def undo(self) -> None:
        """Take back the last change."""
        self._travel(self._undo, self._redo)

    def redo(self) -> None:
        """Do again what `undo` took back."""
        self._travel(self._redo, self._undo)

    @property
    def can_undo(self) -> bool:
        """Whether there is something to undo."""
        return bool(self._undo)

    @property
    def can_redo(self) -> bool:
        """Whether there is something to redo."""
        return bool(self._redo)

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

    def _begin(self, preset: str, device: Device) -> None:
        self._sliding = ()
        self._push()
        self._start = device
        self._show(preset, device)

    def _push(self) -> None:
        self._undo = [*self._undo[-_UNDO_DEPTH:], (self.preset, self._start, self.device)]
        self._redo = []

    def _travel(self, source: list, target: list) -> None:
        self._sliding = ()
        if not source:
            return
        target.append((self.preset, self._start, self.device))
        preset, self._start, device = source.pop()
        self._show(preset, device)

    def _show(self, preset: str, device: Device) -> None:
        self.param.update(device=device, preset=preset, problem="", problem_field="", revision=self.revision + 1)


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
