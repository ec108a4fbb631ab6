# SPDX-License-Identifier: Apache-2.0
"""Recipes of hardware-aware training: one TOML file each, every number with its source; found by looking."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.devices.ideal import Ideal
from engine.errors import ParameterError, near_miss
from engine.nn.modifiers import Modifier
from engine.nn.modifiers import get as modifier_class
from engine.nn.remap import WeightClip, WeightRemap
from engine.quantity import Model
from engine.recipes.schedule import Schedule
from engine.tiles import InputRangeParameters, IOParameters, MappingParameters, TileConfig, UpdateParameters

__all__ = ["Schedule", "TrainingRecipe", "load", "names"]

_FOLDER = Path(__file__).parent
_PARTS: dict[str, type[Model]] = {
    "forward": IOParameters,
    "mapping": MappingParameters,
    "input_range": InputRangeParameters,
    "clip": WeightClip,
    "remap": WeightRemap,
    "schedule": Schedule,
}


@dataclass(frozen=True)
class TrainingRecipe:
    """A chip as training sees it, and how weights are trained on it.

    Attributes
    ----------
    name, title, source, note : str
    config : TileConfig
        Of every tile: ideal devices, whose weights an optimizer of torch changes.
    modifier : Modifier or None
    clip : WeightClip or None
    remap : WeightRemap or None
    schedule : Schedule
        Optimizer, learning rate, epochs, ramp, distillation.
    sources : dict
        Where each value comes from, by ``part.field``.
    """

    name: str
    title: str
    source: str
    note: str
    config: TileConfig
    modifier: Modifier | None
    clip: WeightClip | None
    remap: WeightRemap | None
    schedule: Schedule
    sources: dict[str, str]


def names() -> list[str]:
    """Return the names of all recipes, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str) -> TrainingRecipe:
    """Return a recipe.

    Raises
    ------
    ParameterError
        If there is none of that name; near misses are named.

    Examples
    --------
    >>> load("standard_aimc").config.forward.out_bound
    10.0
    """
    if name not in names():
        raise ParameterError(f"recipe = {name!r}: unknown (allowed: {', '.join(names())}).{near_miss(name, names())}")
    return _recipe(name, tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8")))


def _recipe(name: str, data: dict[str, Any]) -> TrainingRecipe:
    sources = {
        f"{part}.{field}": entry["source"]
        for part, fields in data.items()
        if isinstance(fields, dict)
        for field, entry in fields.items()
        if field != "kind"
    }
    config = TileConfig(
        Ideal(),
        forward=_part(data, "forward"),
        backward=IOParameters(is_perfect=True),
        update=UpdateParameters(pulse_type="none_but_gradient"),
        mapping=_part(data, "mapping"),
        input_range=_part(data, "input_range"),
    )
    optional = {part: _part(data, part) if part in data else None for part in ("clip", "remap")}
    about = {key: data.get(key, "") for key in ("title", "source", "note")}
    return TrainingRecipe(
        name, **about, config=config, modifier=_modifier(data), **optional, schedule=_part(data, "schedule"),
        sources=sources,
    )  # fmt: skip


def _part(data: dict[str, Any], part: str) -> Any:
    return _PARTS[part](**_values(data.get(part, {})))


def _modifier(data: dict[str, Any]) -> Modifier | None:
    if "modifier" not in data:
        return None
    return modifier_class(data["modifier"]["kind"])(**_values(data["modifier"]))


def _values(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: entry["value"] for name, entry in fields.items() if name != "kind"}


@functools.cache
def titles() -> dict[str, str]:
    """Return name and title of every recipe."""
    return {name: load(name).title for name in names()}
