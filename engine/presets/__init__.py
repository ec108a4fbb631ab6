# SPDX-License-Identifier: Apache-2.0
"""Published parameter sets: one TOML file each, every value with its unit and source; found by looking."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomli_w

from engine import devices
from engine.devices.base import Device
from engine.errors import ParameterError, near_miss
from engine.quantity import Quantity, Table

__all__ = ["Preset", "dumps", "info", "load", "loads", "names", "read"]

_FOLDER = files(__name__)
_KINDS = {"title": str, "note": str, "source": list, "not_modelled": list, "parameters": dict}


@dataclass(frozen=True)
class Preset:
    """A parameter set with what one needs to judge it.

    Attributes
    ----------
    name, title, note : str
    device : Device
    sources : tuple of dict
        Each with ``title``, ``venue``, ``year``.
    not_modelled : tuple of str
        Effects of the published device that are left out.
    parameter_sources : dict
        Parameter name to where its value comes from.
    """

    name: str
    title: str
    note: str
    device: Device
    sources: tuple[dict[str, Any], ...]
    not_modelled: tuple[str, ...]
    parameter_sources: dict[str, str]


def names() -> list[str]:
    """Return the names of all presets, sorted."""
    return sorted(f.name.removesuffix(".toml") for f in _FOLDER.iterdir() if f.name.endswith(".toml"))


def info(name: str) -> Preset:
    """Return a preset with title, note and sources.

    Raises
    ------
    ParameterError
        If there is none of that name; near misses are named.
    """
    if name not in names():
        raise ParameterError(f"preset = {name!r}: unknown (allowed: {', '.join(names())}).{near_miss(name, names())}")
    kept = _shipped(name)
    return replace(kept, device=kept.device.copy())


@functools.cache
def _shipped(name: str) -> Preset:
    """Return a preset as read; kept, because a page asks for its title and values at every move of a knob."""
    return loads(_FOLDER.joinpath(f"{name}.toml").read_text(encoding="utf-8"), name)


def load(name: str) -> Device:
    """Return a fresh device with the values of the preset ``name``."""
    return info(name).device


def read(path: str | Path) -> Device:
    """Return the device that a TOML file describes (as written by `dumps`)."""
    path = Path(path)
    return loads(path.read_text(encoding="utf-8"), path.stem).device


def loads(text: str, name: str = "preset") -> Preset:
    """Return the preset that TOML ``text`` describes.

    Raises
    ------
    ParameterError
        If the text is not TOML, names no device, has a wrong unit, an unknown parameter or a value out of bounds.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{name}.toml: not valid TOML, {error}. Compare it with an exported preset.") from error
    if not isinstance(data.get("device"), str):
        raise ParameterError(f'{name}.toml: no device named. Add a line like device = "soft_bounds" at the top.')
    cls = devices.get(data["device"])
    for key, kind in _KINDS.items():
        if not isinstance(data.get(key, kind()), kind):
            shown = {str: "text", list: "a list", dict: "a table"}[kind]
            raise ParameterError(
                f"{name}.toml, {key} = {data[key]!r}: has the wrong kind (allowed: {shown}). "
                "Compare it with an exported preset."
            )
    entries = data.get("parameters", {})
    values = {n: _value(name, cls, n, entry) for n, entry in entries.items()}
    return Preset(
        name=name,
        title=data.get("title", name),
        note=data.get("note", ""),
        device=cls(**values),
        sources=tuple(data.get("source", ())),
        not_modelled=tuple(data.get("not_modelled", ())),
        parameter_sources={n: e.get("source", "") for n, e in entries.items() if isinstance(e, dict)},
    )


def _value(preset: str, cls: type[Device], name: str, entry: Any) -> Any:
    """Return the value of one entry after checking that its unit is the parameter's."""
    if not isinstance(entry, dict) or "value" not in entry:
        raise ParameterError(
            f"{preset}.toml, {name} = {entry!r}: must be a table "
            "(allowed: { value = ..., unit = ..., source = ... }). Add unit and source."
        )
    unit = cls.describe(name)["unit"]
    if entry.get("unit", "1") != unit and isinstance(cls.param[name], Quantity | Table):
        raise ParameterError(
            f"{preset}.toml, {name}: unit is {entry.get('unit', '1')!r} (allowed: {unit!r}). Convert the value."
        )
    return entry["value"]


def dumps(device: Device, *, title: str, note: str = "", source: str = "exported from Ohmscape") -> str:
    """Return ``device`` as TOML that `read` and `loads` take back unchanged.

    Parameters
    ----------
    device : Device
    title, note : str
    source : str
        Written to every parameter: where the values come from.
    """
    parameters = {}
    for name, value in device.values().items():
        entry = {"value": value}
        if isinstance(device.param[name], Quantity | Table):
            entry["unit"] = device.describe(name)["unit"]
        parameters[name] = entry | {"source": source}
    return tomli_w.dumps({"title": title, "device": device.stem(), "note": note, "parameters": parameters})
