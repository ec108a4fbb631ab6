# SPDX-License-Identifier: Apache-2.0
"""From a digital model to an analog one, and back."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import MethodType
from typing import Any

import torch
from torch import nn

from engine.errors import CapacityError, ParameterError, near_miss, say
from engine.nn.kinds import ANALOG, KINDS, Kind, is_analog, outermost
from engine.nn.memory import available_memory, shown, tile_bytes
from engine.nn.report import why_digital
from engine.nn.state import LastingLayer
from engine.rng import derive_seed
from engine.tiles import TileConfig

Rules = Mapping[type[nn.Module] | str, TileConfig | None]


def convert(
    model: nn.Module,
    config: TileConfig,
    *,
    rules: Rules | None = None,
    exclude: Iterable[str] = (),
    seed: int = 0,
) -> nn.Module:
    """Return a copy of ``model`` with its layers on analog tiles.

    Parameters
    ----------
    model : torch.nn.Module
        Left unchanged. Linear and convolutional layers, RNN, LSTM, GRU, their cells and multi-head attention become
        analog; everything else stays digital (`engine.nn.conversion_report` says why).
    config : TileConfig
        Used for every layer that no rule names.
    rules : mapping, optional
        From a layer's class, or a pattern of names (``"encoder.*"``; one that fits a module fits all inside), to a
        configuration, or to None: stays digital. Patterns go before classes, earlier ones before later ones. A rule
        for a subclass of a convertible class converts it as that class.
    exclude : iterable of str
        Patterns of names that stay digital; they go before all rules.
    seed : int
        Each layer gets a seed derived from this one and its name.

    Returns
    -------
    torch.nn.Module
        Weights are written to the devices, hence clipped to their bounds and subject to write noise. Frozen parameters
        stay frozen.

    Raises
    ------
    ParameterError
        If no layer can be analog, a layer's weight is also another's, or a pattern or rule fits nothing.
    CapacityError
        If the tiles will not fit in the memory that is free; nothing has been made then.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 2))
    >>> analog = convert(model, TileConfig("idealized_symmetric"), rules={"2": None})
    >>> [type(layer).__name__ for layer in analog]
    ['AnalogConv2d', 'Flatten', 'Linear']
    """
    choices = _choices(model, config, rules, exclude)
    chosen = {name: c for name, c in choices.items() if c.config is not None}
    _refuse_shared(model, chosen)
    _check_memory(chosen)
    # Where the copy would copy a layer it finds the analog one: under every name and reference that the layer has.
    memo: dict[int, Any] = {
        id(c.module): c.kind.to_analog(c.module, c.config, derive_seed(seed, "layer", name))
        for name, c in chosen.items()
    }
    twin = copy.deepcopy(model, memo)
    twin.__dict__["_kept_digital"] = {name: c.reason for name, c in choices.items() if c.config is None}
    _leave_fast_paths(twin)
    _refuse_casts(twin)
    return twin


def configurations(
    model: nn.Module, config: TileConfig, rules: Rules | None = None, exclude: Iterable[str] = ()
) -> dict[str, TileConfig]:
    """Return the configuration of every layer that `convert` would put on tiles, by name; raises what it would."""
    choices = _choices(model, config, rules, exclude)
    return {name: c.config for name, c in choices.items() if c.config is not None}


@dataclass(frozen=True)
class _Choice:
    """What becomes of one layer: a configuration, or a reason to stay digital."""

    module: nn.Module
    kind: Kind | None
    config: TileConfig | None
    reason: str = ""


class _Rules:
    """Rules of a conversion; each name pattern has to fit something."""

    def __init__(self, rules: Rules):
        for key, value in rules.items():
            known = isinstance(key, str) or (isinstance(key, type) and issubclass(key, nn.Module))
            if not known or not (value is None or isinstance(value, TileConfig)):
                raise ParameterError(
                    f"convert.rules: {key!r} to {value!r} is no rule (allowed: a class of layers or a pattern of names "
                    "to a TileConfig or None). Write rules={'head': None}."
                )
        self.names = {k: v for k, v in rules.items() if isinstance(k, str)}
        self.classes = {k: v for k, v in rules.items() if not isinstance(k, str)}

    def check(self, names: list[str]) -> None:
        """Raise unless every pattern fits a name."""
        for pattern in self.names:
            if not any(fits(name, pattern) for name in names):
                hint = near_miss(pattern, names) or " Names are those of model.named_modules()."
                raise ParameterError(
                    say("convert.rules", pattern, "fits no layer", "patterns of the model's names", hint.strip())
                )

    def check_used(self, chosen: Mapping[str, Any]) -> None:
        """Raise unless every pattern with a configuration fits a layer that becomes analog."""
        for pattern, config in self.names.items():
            if config is not None and not any(fits(name, pattern) for name in chosen):
                rule, allowed = "fits no layer that can be analog", "patterns of such layers"
                raise ParameterError(say("convert.rules", pattern, rule, allowed, "Leave this rule out."))

    def find(self, name: str, module: nn.Module, config: TileConfig) -> tuple[TileConfig | None, str]:
        """Return the configuration of a layer, and the rule that keeps it digital."""
        for pattern, found in self.names.items():
            if fits(name, pattern):
                return found, f"kept digital by the rule {pattern!r}"
        for cls, found in self.classes.items():
            if type(module) is cls:
                return found, f"kept digital by the rule {cls.__name__}"
        return config, ""


def fits(name: str, pattern: str) -> bool:
    """Return whether a pattern fits a name, or that of a module around it."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:k]), pattern) for k in range(1, len(parts) + 1))


def _choices(model: nn.Module, config: TileConfig, rules: Rules | None, exclude: Iterable[str]) -> dict[str, _Choice]:
    """Return what becomes of every layer that has an analog form, and of every other one with parameters."""
    kept = dict.fromkeys((exclude,) if isinstance(exclude, str) else exclude)
    found = _Rules(kept | {key: value for key, value in (rules or {}).items() if key not in kept})
    found.check(list(dict(model.named_modules())))
    choices = _walk(model, config, found)
    chosen = {name: c for name, c in choices.items() if c.config is not None}
    _check_convertible(model, choices, chosen)
    found.check_used(chosen)
    return choices


def _walk(model: nn.Module, config: TileConfig, rules: _Rules) -> dict[str, _Choice]:
    found: dict[str, _Choice] = {}
    inside: set[int] = set()
    for name, module in model.named_modules():
        if id(module) in inside:
            continue
        choice = _choice(name, module, config, rules)
        if choice is not None:
            found[name] = choice
        if choice is not None and choice.kind is not None:  # what stands inside a layer goes with it
            inside |= {id(m) for m in module.modules()}
    return found


def _choice(name: str, module: nn.Module, config: TileConfig, rules: _Rules) -> _Choice | None:
    named = type(module) in rules.classes
    kind = next((KINDS[c] for c in type(module).__mro__ if c in KINDS), None) if named else KINDS.get(type(module))
    if kind is None:
        if named and rules.classes[type(module)] is not None:
            allowed = ", ".join(cls.__name__ for cls in KINDS)
            raise ParameterError(
                say("convert.rules", type(module).__name__, "has no analog form", allowed, "Leave this rule out.")
            )
        owns = any(True for _ in module.parameters(recurse=False))
        return _Choice(module, None, None, why_digital(module)) if owns and not is_analog(module) else None
    chosen, reason = rules.find(name, module, config)
    if chosen is None:
        return _Choice(module, kind, None, reason)
    obstacle = kind.obstacle(module)
    return _Choice(module, kind, None, obstacle) if obstacle else _Choice(module, kind, chosen)


def any_analog(model: nn.Module) -> bool:
    """Return whether a layer of a model is on tiles."""
    return any(map(is_analog, model.modules()))


def _check_convertible(model: nn.Module, choices: dict[str, _Choice], chosen: dict[str, _Choice]) -> None:
    if chosen:
        return
    kept = [f"{name or type(model).__name__} {c.reason}" for name, c in choices.items() if c.kind is not None]
    remedy = f"It has {'; '.join(kept[:3])}." if kept else "Pass a model with such layers."
    allowed = ", ".join(f"torch.nn.{cls.__name__}" for cls in KINDS)
    raise ParameterError(say("convert.model", type(model).__name__, "has no layer that can be analog", allowed, remedy))


def _refuse_shared(model: nn.Module, chosen: dict[str, _Choice]) -> None:
    """Raise where a parameter of a layer that becomes analog belongs to a second module."""
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for p in module.parameters(recurse=False):
            owners.setdefault(id(p), []).append(name)
    for name, choice in chosen.items():
        for p in choice.module.parameters():
            if len(owners[id(p)]) > 1:
                raise ParameterError(
                    f"convert.model: layers {', '.join(owners[id(p)])} share one weight, but tiles cannot (allowed: a "
                    f"weight of its own for each layer). Untie them, use one module twice, or exclude {name!r}."
                )


def _check_memory(chosen: dict[str, _Choice]) -> None:
    """Raise before tiles are made that will not fit."""
    needed = sum(
        tile_bytes(
            c.config.device, sum(w.numel() for product in c.kind.products(c.module) for w in product.values()[:1])
        )
        for c in chosen.values()
    )
    available = available_memory()
    if available is not None and needed > available:
        raise CapacityError(
            f"convert.model = {shown(needed)} of tiles: more than is free (allowed: {shown(available)}). "
            "Exclude layers, choose a device with fewer per-device values, or take a larger machine."
        )


def _leave_fast_paths(model: nn.Module) -> None:
    """Keep torch's encoders from multiplying by the weights themselves, past converters and noise."""
    for module in model.modules():
        if isinstance(module, nn.TransformerEncoderLayer) and any_analog(module):
            module.activation_relu_or_gelu = 0
        if isinstance(module, nn.TransformerEncoder) and any_analog(module):
            module.use_nested_tensor = False


def _refuse_casts(model: nn.Module) -> None:
    """Let ``model.double()`` be refused before any layer has changed: torch goes layer by layer and has no hook."""
    if not isinstance(model, LastingLayer):  # which refuses by itself
        model.__dict__["_apply"] = MethodType(_apply, model)


def _apply(model: nn.Module, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> nn.Module:
    for layer in model.modules():
        if isinstance(layer, LastingLayer):
            layer.moved_to(fn)
    return type(model)._apply(model, fn, recurse)


def to_digital(model: nn.Module) -> nn.Module:
    """Return a copy of ``model`` with torch's own layers in place of analog ones.

    Parameters
    ----------
    model : torch.nn.Module
        Left unchanged.

    Returns
    -------
    torch.nn.Module
        Its layers multiply by the logical weights as they are now, exactly; input ranges are left out.

    Raises
    ------
    ParameterError
        If the model has a class of analog layers that torch has not.

    Examples
    --------
    >>> import torch
    >>> analog = convert(torch.nn.Linear(3, 2), TileConfig("idealized_symmetric"))
    >>> to_digital(analog)
    Linear(in_features=3, out_features=2, bias=True)
    """
    return with_digital_layers(model, "cpu")


def with_digital_layers(model: nn.Module, device: str, memo: dict[int, Any] | None = None) -> nn.Module:
    """Return a copy with torch's layers on ``device``; ``memo`` holds what else takes an object's place."""
    memo = {} if memo is None else memo
    for name, layer in outermost(model, is_analog).items():
        if type(layer) not in ANALOG:
            allowed = ", ".join(cls.__name__ for cls in ANALOG)
            raise ParameterError(
                say(f"to_digital.{name}", type(layer).__name__, "has no form in torch", allowed, "Build it in torch.")
            )
        memo[id(layer)] = ANALOG[type(layer)].to_digital(layer, device)
    twin = copy.deepcopy(model, memo)
    for name in ("_kept_digital", "_apply"):
        twin.__dict__.pop(name, None)
    return twin
