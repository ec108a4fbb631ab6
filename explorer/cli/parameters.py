# SPDX-License-Identifier: Apache-2.0
"""Command-line options made from an experiment's own parameters: names, units, bounds, defaults and rules."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import param

from engine import devices, presets
from engine.devices import Device
from engine.errors import ParameterError, near_miss
from engine.quantity import Model
from explorer.experiments import Experiment

Kind = TypeVar("Kind", bound=Experiment)

_PREFIX = "parameter_"
_OWN_OPTION = ("seed", "device")  # every command has --seed; the device is the positional argument
PRESET_HELP = "preset (see 'ohmscape presets'), device class, or path of a TOML file"
PART_HELP = "change one parameter of a part, such as forward.out_noise=0.06; parts are {parts}; may be repeated"
SET_HELP = (
    "change one parameter, such as dw_min=0.002 or mean_up=0.1,0.2; NAME is one of the device, or {parts}; "
    "may be repeated"
)


def add_experiment(parser: argparse.ArgumentParser, cls: type[Experiment]) -> None:
    """Add the device, one option per parameter of the experiment, and ``--set`` for everything nested."""
    parser.add_argument("preset", metavar="PRESET", help=PRESET_HELP)
    _add_options(parser, cls, _OWN_OPTION)
    parts = ", ".join(f"{name}.…" for name in _parts(cls)) or "nothing else"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=SET_HELP.format(parts=parts))


def add_parts(parser: argparse.ArgumentParser, cls: type[Experiment], *, left_out: Sequence[str] = ()) -> None:
    """Add one option per parameter of an experiment without device, and ``--set`` for what its parts hold."""
    _add_options(parser, cls, ("seed", *left_out))
    parts = ", ".join(f"{name}.…" for name in _parts(cls))
    parser.add_argument(
        "--set", action="append", default=[], metavar="PART.NAME=VALUE", help=PART_HELP.format(parts=parts)
    )


def _add_options(parser: argparse.ArgumentParser, cls: type[Experiment], left_out: Sequence[str]) -> None:
    group = parser.add_argument_group(cls.__name__)
    for name in cls.parameters():
        if name not in left_out:
            _add_option(group, cls, name)


def _add_option(group: Any, cls: type[Experiment], name: str) -> None:
    flag = "--" + name.removeprefix("n_").replace("_", "-")
    common: dict[str, Any] = {"dest": _PREFIX + name, "default": argparse.SUPPRESS}
    if name in cls.fields():
        about = cls.describe(name)
        if about["kind"] == "flag":
            group.add_argument(flag, action=argparse.BooleanOptionalAction, help=_help(about), **common)
        elif about["kind"] == "choice":
            group.add_argument(flag, choices=about["objects"], help=_help(about), **common)
        elif about["kind"] == "table":
            group.add_argument(flag, type=_table, metavar="X,X,...", help=_help(about), **common)
        else:
            metavar = "N" if about["integer"] else "X"
            group.add_argument(flag, type=_number, metavar=metavar, help=_help(about), **common)
    elif isinstance(cls.param[name], param.List) and cls.param[name].item_type is int:
        doc = f"{' '.join((cls.param[name].doc or '').split())} Separated by commas."
        group.add_argument(flag, type=_numbers, metavar="N,N,...", help=doc, **common)


def _help(about: dict[str, Any]) -> str:
    unit = f" [{about['unit']}]" if about["kind"] in ("number", "table") else ""
    low, high = about["bounds"] or (None, None)
    allowed = "" if low is None and high is None else f", from {_bound(low, '-inf')} to {_bound(high, 'inf')}"
    return f"{about['doc'].rstrip('.')}{unit} (default: {about['default']}{allowed})".replace("%", "%%")


def _bound(value: float | None, unbounded: str) -> str:
    return unbounded if value is None else f"{value:g}"


def _number(text: str) -> float:
    """Return a whole number as int, so that the experiment's own rule for whole numbers decides."""
    try:
        return int(text)
    except ValueError:
        return float(text)


_number.__name__ = "number"  # argparse names the type in its message


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


_numbers.__name__ = "list of numbers"


def _table(text: str) -> list[float]:
    """Return the numbers of ``0.1,0.2`` or ``[0.1, 0.2]``; a comma at the end makes a list of one."""
    return [_number(word) for word in text.strip("[] ").rstrip(",").split(",")]


_table.__name__ = "list of numbers"


def experiment(options: argparse.Namespace, cls: type[Kind]) -> Kind:
    """Return the experiment that the options describe.

    Raises
    ------
    ParameterError
        Unknown preset or parameter, or a value that breaks its rule.
    """
    given = _given(options)
    changes: dict[str, dict[str, Any]] = {"device": {}, **{name: {} for name in _parts(cls)}}
    for text in options.set:
        part, name, value = assignment(text, list(changes))
        changes[part][name] = value
    base = cls(device=device(options.preset).copy(**changes.pop("device")), seed=options.seed, **given)
    nested = {part: getattr(base, part).copy(**values) for part, values in changes.items() if values}
    return base.copy(**nested) if nested else base


def changed(options: argparse.Namespace, base: Kind, **given: Any) -> Kind:
    """Return an experiment without device, changed by the options of `add_parts` and by what is ``given``.

    Raises
    ------
    ParameterError
        An unknown part or parameter, a part that there is none of, or a value that breaks its rule.
    """
    base = base.copy(seed=options.seed, **_given(options), **given)
    changes: dict[str, dict[str, Any]] = {name: {} for name in _parts(type(base))}
    for text in options.set:
        part, name, value = assignment(text, list(changes), "")
        if getattr(base, part) is None:
            raise ParameterError(f"--set {text}: there is no {part} (allowed: parts that are there). Choose one first.")
        changes[part][name] = value
    nested = {part: getattr(base, part).copy(**values) for part, values in changes.items() if values}
    return base.copy(**nested) if nested else base


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {k.removeprefix(_PREFIX): v for k, v in vars(options).items() if k.startswith(_PREFIX)}


def _parts(cls: type[Experiment]) -> list[str]:
    """Return the nested models of an experiment other than the device."""
    nested = [n for n in cls.parameters() if isinstance(getattr(cls.param[n], "class_", None), type)]
    return [n for n in nested if issubclass(cls.param[n].class_, Model) and n != "device"]


def assignment(text: str, parts: list[str], alone: str = "device") -> tuple[str, str, Any]:
    """Return part, name and value; a name without part belongs to ``alone``, which may be empty: then it needs one."""
    name, equals, value = text.partition("=")
    part, dot, field = name.rpartition(".")
    if not equals or not field:
        raise ParameterError(f"--set {text}: is no assignment (allowed: NAME=VALUE). Write it as dw_min=0.002.")
    if (dot or not alone) and part not in parts:
        hint = near_miss(part, parts) or " Choose one of these."
        raise ParameterError(f"--set {text}: there is no part '{part}' (allowed: {', '.join(parts)}).{hint}")
    return part or alone, field, _value(value)


def _value(text: str) -> Any:
    words = {"true": True, "false": False}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return _table(text) if "," in text or text.startswith("[") else _number(text)
    except ValueError:
        return text  # a named option; the parameter's own rule refuses anything else


def title(options: argparse.Namespace) -> str:
    """Return what was asked for: the preset and the changes to it."""
    return ", ".join([options.preset, *options.set])


def device(text: str) -> Device:
    """Return the device of a preset, of a class with its defaults, or of a TOML file."""
    if text.endswith(".toml"):
        return presets.read(Path(text))
    if text in presets.names():
        return presets.load(text)
    if text in devices.names():
        return devices.get(text)()
    known = [*presets.names(), *devices.names()]
    hint = near_miss(text, known) or " 'ohmscape presets' lists the presets."
    raise ParameterError(f"PRESET = {text!r}: unknown (allowed: a preset, a device class, a .toml file).{hint}")
