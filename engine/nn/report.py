# SPDX-License-Identifier: Apache-2.0
"""What of a model is analog, what is digital, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from engine.nn.core import AnalogCore
from engine.nn.kinds import KINDS, outermost_analog

_REASONS = {
    torch.nn.Embedding: "looks rows up, multiplies nothing",
    torch.nn.EmbeddingBag: "looks rows up, multiplies nothing",
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
    """Every layer with parameters: analog or digital.

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
    for kind, reason in _REASONS.items():
        if isinstance(module, kind):
            return reason
    base = next((k.__name__ for k in type(module).__mro__ if k in KINDS), None)
    if base is not None:
        return f"a subclass of {base}; a rule for {type(module).__name__} itself converts it as {base}"
    name = type(module).__name__
    if isinstance(module, torch.nn.modules.conv._ConvTransposeNd | torch.nn.Bilinear | torch.nn.modules.RNNCellBase):
        return f"{name} has no analog form yet"
    return "no product of a matrix and its input"


def own_parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """Return the parameters of a module that are not those of a module inside it."""
    return [p for p in module.parameters(recurse=False) if p is not None]


def layers_with_parameters(model: torch.nn.Module, units: dict[str, torch.nn.Module]) -> Iterator[tuple[str, Any]]:
    """Yield name and module of each unit, and of every module outside them that has parameters of its own."""
    inside = {id(m) for unit in units.values() for m in unit.modules()}
    for name, module in model.named_modules():
        if name in units or (id(module) not in inside and own_parameters(module)):
            yield name, module


def entry_of(name: str, module: torch.nn.Module, reason: str | None) -> Entry:
    """Return a layer's line; a reason makes it digital. A torch layer without one is taken as if it were analog."""
    parameters = list(module.parameters()) if reason is None or type(module) in KINDS else own_parameters(module)
    count = sum(p.numel() for p in parameters)
    return Entry(
        name, type(module).__name__, reason is None, reason or "", count, _on_tiles(module, reason, parameters)
    )


def _on_tiles(module: torch.nn.Module, reason: str | None, parameters: list[torch.nn.Parameter]) -> int:
    if reason is not None:
        return 0
    cores = [m for m in module.modules() if isinstance(m, AnalogCore)]
    if cores:
        return sum(w.numel() for core in cores for w in core.analog_weights.values())
    return sum(p.numel() for p in parameters if p.dim() > 1)


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
    units = outermost_analog(model)
    known = {n: m for n, m in model.named_modules() if n in reasons and n not in units}
    entries = []
    for name, module in layers_with_parameters(model, units | known):
        reason = None if name in units else reasons.get(name) or as_it_is(module)
        entries.append(entry_of(name, module, reason))
    return ConversionReport(entries)


def as_it_is(module: torch.nn.Module) -> str:
    """Return why a layer of a model that was not converted is digital."""
    return "not converted" if type(module) in KINDS else why_digital(module)
