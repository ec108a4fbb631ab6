# SPDX-License-Identifier: Apache-2.0
"""What of a model is analog, what is digital, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch.nn.utils.parametrize import is_parametrized

from engine.nn.core import AnalogCore
from engine.nn.kinds import KINDS, is_analog, outermost

_LOOKED_UP = "looks rows up, multiplies nothing"
_SCALES = "scales and shifts, multiplies by no matrix"
_REASONS = {
    torch.nn.Embedding: _LOOKED_UP,
    torch.nn.EmbeddingBag: _LOOKED_UP,
    torch.nn.modules.batchnorm._NormBase: _SCALES,
    torch.nn.LayerNorm: _SCALES,
    torch.nn.GroupNorm: _SCALES,
    torch.nn.RMSNorm: _SCALES,
    torch.nn.PReLU: _SCALES,
    torch.nn.modules.conv._ConvTransposeNd: "has no analog form yet",
    torch.nn.Bilinear: "has no analog form yet",
}


@dataclass(frozen=True)
class Entry:
    """One layer of a report.

    Parameters
    ----------
    name : str
        Path in the model, empty for the model itself.
    kind : str
        Class of the layer.
    analog : bool
    reason : str
        Why it is digital; empty for analog layers.
    parameters, on_tiles : int
        Numbers of the layer, and how many of them are weights on tiles.
    """

    name: str
    kind: str
    analog: bool
    reason: str
    parameters: int
    on_tiles: int


@dataclass
class ConversionReport:
    """Every layer with parameters: analog or digital; a parameter that two layers share counts in both.

    Parameters
    ----------
    entries : list of Entry
        In the order of the model.
    """

    entries: list[Entry] = field(default_factory=list)

    @property
    def analog(self) -> list[Entry]:
        """The layers on tiles."""
        return [e for e in self.entries if e.analog]

    @property
    def digital(self) -> list[Entry]:
        """The layers that are not."""
        return [e for e in self.entries if not e.analog]

    @property
    def share(self) -> float:
        """Share of all parameters that is on tiles, 0 to 1."""
        total = sum(e.parameters for e in self.entries)
        return sum(e.on_tiles for e in self.entries) / total if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, JSON-ready."""
        return {"share": self.share, "layers": [vars(e) for e in self.entries]}

    def __str__(self) -> str:
        lines = [f"{len(self.analog)} layers analog, {len(self.digital)} digital; {self.share:.1%} of the parameters"]
        for e in self.entries:
            state = "analog" if e.analog else f"digital: {e.reason}"
            lines.append(f"{e.name or '(model)'}: {e.kind}, {e.parameters} parameters, {state}")
        return "\n".join(lines)


def why_digital(module: torch.nn.Module) -> str:
    """Return why a layer has no analog form; says so also of a subclass of one that has."""
    if is_parametrized(module):
        return "has parametrized weights"
    for kind, reason in _REASONS.items():
        if isinstance(module, kind):
            return reason
    base = next((k.__name__ for k in type(module).__mro__ if k in KINDS), None)
    if base is not None:
        return f"a subclass of {base}; a rule for {type(module).__name__} itself converts it as {base}"
    return "has parameters of its own; whether it multiplies by them is not known"


def _entry(name: str, module: torch.nn.Module, parameters: list[torch.nn.Parameter], reason: str) -> Entry:
    cores = [] if reason else [m for m in module.modules() if isinstance(m, AnalogCore)]
    on_tiles = sum(weight.numel() for core in cores for weight in core.analog_weights.values())
    return Entry(name, type(module).__name__, not reason, reason, sum(p.numel() for p in parameters), on_tiles)


def conversion_report(model: torch.nn.Module) -> ConversionReport:
    """Return what of a model is on tiles, what is not, and why.

    Parameters
    ----------
    model : torch.nn.Module
        What `engine.nn.convert` gave: the reasons are those of the conversion. Any other model: its layers as they are.

    Examples
    --------
    >>> from engine.nn import convert
    >>> from engine.tiles import TileConfig
    >>> model = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2))
    >>> print(conversion_report(convert(model, TileConfig("idealized_symmetric"))))
    1 layers analog, 1 digital; 17.4% of the parameters
    0: Embedding, 36 parameters, digital: looks rows up, multiplies nothing
    1: AnalogLinear, 10 parameters, analog
    """
    reasons: dict[str, str] = model.__dict__.get("_kept_digital", {})
    units = outermost(model, lambda m: is_analog(m) or type(m) in KINDS)
    inside = {id(m) for unit in units.values() for m in unit.modules()}
    entries = []
    for name, module in model.named_modules():
        parameters = list(module.parameters(recurse=name in units))
        if name in units or (parameters and id(module) not in inside):
            reason = "" if is_analog(module) else reasons.get(name) or _as_it_is(module)
            entries.append(_entry(name, module, parameters, reason))
    return ConversionReport(entries)


def _as_it_is(module: torch.nn.Module) -> str:
    return "not converted" if type(module) in KINDS else why_digital(module)
