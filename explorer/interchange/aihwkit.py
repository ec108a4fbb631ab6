# SPDX-License-Identifier: Apache-2.0
"""aihwkit: devices as Python code that makes them there, and back from their printed or dictionary form.

Both projects give parameters the same names and defaults (tests/data/peer_defaults.json, read from live objects), so
only classes and the drift, which aihwkit keeps in an object of its own, have to be translated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine import devices
from engine.devices import Device
from engine.errors import ParameterError, near_miss, say
from engine.quantity import Flag, Table

from . import Exported, Imported

VERSION = "1.2.0"
"""The release whose names and defaults these are."""

DRIFT = "drift"
_DRIFT_CLASSES = ("DriftParameter", "SimpleDriftParameter")
_OWN_NAMES = {"peer_compat"}
_NOT_PHYSICS = {"construction_seed", "count_pulses"}
"""Parameters of aihwkit that say how it counts and draws, not what the device is."""

_CLASSES = {
    "floating_point": "FloatingPointDevice", "ideal": "IdealDevice", "constant_step": "ConstantStepDevice",
    "linear_step": "LinearStepDevice", "soft_bounds": "SoftBoundsDevice", "soft_bounds_pmax": "SoftBoundsPmaxDevice",
    "soft_bounds_reference": "SoftBoundsReferenceDevice", "exp_step": "ExpStepDevice", "pow_step": "PowStepDevice",
    "pow_step_reference": "PowStepReferenceDevice", "piecewise_step": "PiecewiseStepDevice",
}  # fmt: skip
_STEMS = {name: stem for stem, name in _CLASSES.items()}
MAX_TEXT = 100_000
"""Characters that are looked at; a printed device with every parameter has about 1,500."""


def export(device: Device, name: str = "device") -> Exported:
    """Return Python code that makes the device in aihwkit and assigns it to ``name``.

    Raises
    ------
    ParameterError
        If aihwkit has no such class, or ``name`` is no Python name.
    """
    if not name.isidentifier():
        raise ParameterError(say("name", name, "is no Python name", "letters, digits, _", "Choose another."))
    device, notes = _there(device)
    cls = _CLASSES[device.stem()]
    plain = type(device)().values()
    changed = {n: v for n, v in device.values().items() if v != plain[n] and n not in _OWN_NAMES}
    changed |= {n: v for n, v in device.values().items() if n in _always(device)}
    drift = {n.removeprefix("drift_"): v for n, v in changed.items() if n.startswith("drift_")}
    own = {n: v for n, v in changed.items() if not n.startswith("drift_")}
    if device.values().get("peer_compat"):
        notes.append("peer_compat is aihwkit's own behaviour and needs no setting there")
    arguments = [f"    {n}={v!r}," for n, v in own.items()]
    if drift:
        arguments.append(f"    drift={_DRIFT_CLASSES[0]}({', '.join(f'{n}={v!r}' for n, v in drift.items())}),")
    lines = [f"# {device.title}, for aihwkit {VERSION}; written by Ohmscape."]
    lines += [f"# Note: {note}." for note in notes]
    lines += _imports(cls, bool(drift))
    lines += ["", f"{name} = {cls}(", *arguments, ")"]
    return Exported({f"{name}.py": "\n".join(lines) + "\n"}, tuple(notes))


def _imports(cls: str, drift: bool) -> list[str]:
    return [f"from aihwkit.simulator.configs.devices import {', '.join([_DRIFT_CLASSES[0]] * drift + [cls])}"]


def _always(device: Device) -> set[str]:
    """Return names that are written even at their default: what the reader looks for first."""
    return {n for n in ("dw_min", "up_down", "w_max", "w_min", "dw_min_std") if n in device.fields()}


def _there(device: Device) -> tuple[Device, list[str]]:
    """Return the device of a class that aihwkit has, and what is lost."""
    stem = device.stem()
    if stem == "lookup_table":
        return _as_piecewise(device)
    if stem == "soft_bounds_pmax" and not device.peer_compat:
        own = {n: v for n, v in device.values().items() if n in devices.get("soft_bounds").fields()}
        note = "aihwkit's own conversion of this curve misses it, so the soft-bounds device that follows it is written"
        return devices.get("soft_bounds")(**{**own, **device.soft_bounds(), "peer_compat": False}), [note]
    if stem not in _CLASSES:
        raise ParameterError(
            say("device", device.title, "has no class in aihwkit", ", ".join(_CLASSES), "Fit or choose one of these.")
        )
    return device, []


def _as_piecewise(device: Device) -> tuple[Device, list[str]]:
    """Return a lookup table as a piecewise device: the same mean steps, one relative noise."""
    cls = devices.get("piecewise_step")
    scale = float(np.mean([*device.mean_up, *device.mean_down]))
    share = np.array([*device.spread_up, *device.spread_down]) / np.abs([*device.mean_up, *device.mean_down])
    noise = float(np.median(share[np.isfinite(share)])) * device.dw_min_std
    own = {n: v for n, v in device.values().items() if n in cls.fields()}
    own |= {"dw_min": scale, "dw_min_std": noise, "up_down": 0.0}
    own |= {"piecewise_up": (np.array(device.mean_up) / scale).tolist()}
    own |= {"piecewise_down": (np.array(device.mean_down) / scale).tolist()}
    note = f"the measured noise of each step became one relative noise of {noise:.3g}, the median of the table"
    return cls(**own), ["aihwkit has no lookup table; its piecewise device has the same mean steps", note]


def read(source: str | Mapping[str, Any], kind: str = "") -> Imported:
    """Return the device that aihwkit printed, or holds as a dictionary.

    Parameters
    ----------
    source : str or dict
        ``str(device)`` or code that makes one, or a dictionary of its parameters. Text is parsed, never run.
    kind : str
        Class in aihwkit, for a dictionary that does not name it (``"class"`` or ``"class_name"``).

    Raises
    ------
    ParameterError
        If the text is no such device, or a value breaks a rule.

    Notes
    -----
    Where the two differ in behaviour (docs/physics/devices.md, section 9), ``peer_compat`` is set and a note says so.
    """
    name, values = _of_text(source) if isinstance(source, str) else _of_dict(dict(source), kind)
    if name not in _STEMS:
        hint = near_miss(name, _STEMS).strip() or "Print the device itself, not a preset or a unit cell of several."
        raise ParameterError(say("aihwkit device", name, "is not known here", ", ".join(_STEMS), hint))
    cls, notes = devices.get(_STEMS[name]), []
    values = _flat(values)
    left = sorted(n for n in values if n in _NOT_PHYSICS)
    if left:
        notes.append(f"{', '.join(left)} is no property of the device and was left out")
    values = {n: _value(cls, n, v) for n, v in values.items() if n not in _NOT_PHYSICS}
    if "peer_compat" in cls.fields() and _STEMS[name] in ("soft_bounds_pmax", "exp_step"):
        values["peer_compat"] = True
        notes.append("peer_compat is on, so that it does what it does in aihwkit (docs/physics/devices.md, section 9)")
    return Imported(cls(**values), tuple(notes))


def _value(cls: type[Device], name: str, value: Any) -> Any:
    """Return a value as the class takes it: aihwkit writes 1 for 1.0."""
    if name not in cls.fields():
        return value  # the class refuses it, and names near misses
    parameter = cls.param[name]
    if isinstance(parameter, Flag):
        return bool(value)
    if isinstance(parameter, Table) and isinstance(value, list):
        return [float(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) and name != "p_max" else value


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with those of the drift under names of their own."""
    flat = {n: v for n, v in values.items() if n != DRIFT}
    drift = values.get(DRIFT)
    drift = vars(drift) if type(drift).__name__ in _DRIFT_CLASSES else drift
    if drift is not None and not isinstance(drift, Mapping):
        raise ParameterError(
            say("aihwkit device.drift", str(drift)[:40], "is no drift", "DriftParameter", "Leave it out.")
        )
    return flat | {f"drift_{n}": v for n, v in (drift or {}).items()}


def _of_dict(values: dict[str, Any], kind: str) -> tuple[str, dict[str, Any]]:
    told = [values.pop(key) for key in ("class", "class_name", "bindings_class") if key in values]
    name = kind or (str(told[0]) if told else "")
    name = re.sub(r"ResistiveDeviceParameter$", "Device", name)
    if not name:
        allowed = f"kind=, one of {', '.join(_STEMS)}"
        raise ParameterError(say("aihwkit device", "a dictionary", "does not name its class", allowed, "Give kind=."))
    return name, values


def _of_text(text: str) -> tuple[str, dict[str, Any]]:
    """Parse the first device that the text makes."""
    if len(text) > MAX_TEXT:
        allowed = f"at most {MAX_TEXT}"
        raise ParameterError(
            say("aihwkit device", f"{len(text)} characters", "is too long", allowed, "Give one device.")
        )
    try:
        tree = ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _no_device(f"cannot be parsed ({getattr(error, 'msg', error)})") from error
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    known = [call for call in calls if _name(call) in _STEMS]
    if not known:
        name = next((_name(call) for call in calls if _name(call).endswith("Device")), "")
        if name:
            return name, {}
        raise _no_device("makes no device")
    return _name(known[0]), _arguments(known[0])


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _arguments(call: ast.Call) -> dict[str, Any]:
    if call.args:
        raise _no_device("has a value without a name")
    found = {}
    for argument in call.keywords:
        if argument.arg is None:
            raise _no_device("takes parameters from elsewhere (**)")
        if isinstance(argument.value, ast.Call) and _name(argument.value) in _DRIFT_CLASSES:
            found[argument.arg] = _arguments(argument.value)
            continue
        try:
            found[argument.arg] = ast.literal_eval(argument.value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise _no_device(f"has no plain value for {argument.arg!r}") from error
    return found


def _no_device(rule: str) -> ParameterError:
    allowed = "what print(device) shows, such as SoftBoundsDevice(dw_min=0.01)"
    return ParameterError(say("aihwkit device", "the text", rule, allowed, "Copy the printed device."))
