# SPDX-License-Identifier: Apache-2.0
"""Say what a model costs on analog tiles before it runs: tiles, products, pulses and memory of every layer.

MODEL is a network of the gallery, or file.py:name with a torch module or something that returns one. Products and slots
are for each sample: a product is one tile with one vector, forwards; a slot is one step of the pulse trains of
an update. Exit status 1 where a training step will not fit in the memory that is free.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from explorer.cli import output

if TYPE_CHECKING:
    import torch

    from engine.nn import Summary
    from engine.tiles import TileConfig

SUMMARY = "tiles, products, pulses and memory of a model, before it runs"
HEAD = ("layer", "kind", "parameters", "tiles", "largest", "used [%]", "products", "slots", "tile memory")
DEVICE = "idealized_symmetric"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Model, input, device and size of the tiles."""
    from explorer import networks
    from explorer.cli.parameters import PRESET_HELP

    known = ", ".join(networks.names())
    parser.add_argument("model", metavar="MODEL", help=f"a network ({known}), or file.py:name")
    parser.add_argument(
        "--input", metavar="NxN...", help="shape of one sample, such as 3x32x32; a file's model needs it"
    )
    parser.add_argument("--integers", action="store_true", help="the input holds whole numbers, such as tokens")
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="samples of a training step (default: 8)")
    parser.add_argument("--device", default=DEVICE, metavar="PRESET", help=f"{PRESET_HELP} (default: {DEVICE})")
    for name, what in (("input", "columns"), ("output", "rows")):
        text = f"most {what} of one tile [lines]; larger layers are split (default: 0, no limit)"
        parser.add_argument(f"--max-{name}-size", type=int, default=0, metavar="N", help=text)
    parser.add_argument("--exclude", action="append", default=[], metavar="PATTERN", help="layers that stay digital")


def run(options: argparse.Namespace) -> int:
    """Print the table; status 1 where the model will not fit."""
    from engine.errors import CapacityError
    from engine.nn import summary
    from engine.nn.kinds import is_analog

    model, sample = _model(options)
    config = None if any(map(is_analog, model.modules())) else _config(options)
    costs = summary(model, sample, config, exclude=options.exclude)
    result = costs.to_dict() | {"model": options.model, "device": options.device}
    output.deliver(result, _text(costs, options), options.json)
    try:
        costs.require_memory()
    except CapacityError as problem:
        return output.fail(output.one_line(problem))
    return 0


def _config(options: argparse.Namespace) -> TileConfig:
    from engine.tiles import MappingParameters, TileConfig
    from explorer.cli import parameters

    sizes = {f"max_{name}_size": getattr(options, f"max_{name}_size") for name in ("input", "output")}
    return TileConfig(parameters.device(options.device), mapping=MappingParameters(**sizes))


def _model(options: argparse.Namespace) -> tuple[torch.nn.Module, torch.Tensor]:
    """Return the model and an input for it."""
    import torch

    from engine.errors import ParameterError, say
    from explorer import networks

    if options.batch < 1:
        raise ParameterError(say("--batch", options.batch, "must be a whole number", "1, 2, ...", "Give at least 1."))
    kind = torch.int64 if options.integers else torch.float32
    shape = _shape(options.input)
    if ":" not in options.model:
        network = networks.get(options.model)
        if shape is None:
            first = network.data().x_train[:1]
            shape, kind = first.shape[1:], first.dtype
        return network.build(options.seed), torch.empty(options.batch, *shape, dtype=kind, device="meta")
    if shape is None:
        raise ParameterError(
            f"--input: {options.model} does not say what it takes (allowed: the shape of one sample). "
            "Write --input 3x32x32."
        )
    return _from_file(options.model), torch.empty(options.batch, *shape, dtype=kind, device="meta")


def _shape(text: str | None) -> tuple[int, ...] | None:
    from engine.errors import ParameterError, say

    if text is None:
        return None
    words = text.lower().split("x")
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        rule, allowed = "is no shape of a sample", "whole numbers with x between"
        raise ParameterError(say("--input", text, rule, allowed, "Write it as 3x32x32."))
    return tuple(map(int, words))


def _from_file(text: str) -> Any:
    """Return the module that ``file.py:name`` names, or that what it names returns."""
    from torch import nn

    from engine.errors import ParameterError
    from explorer.networks import from_file

    found = from_file.named(text, "MODEL")
    model = found() if callable(found) and not isinstance(found, nn.Module) else found
    if not isinstance(model, nn.Module):
        raise ParameterError(
            f"MODEL = {text!r}: gives {type(model).__name__} (allowed: a torch.nn.Module, or what returns one). "
            "Name the model."
        )
    return model


def _text(costs: Summary, options: argparse.Namespace) -> str:
    from engine.nn.memory import available_memory, shown

    rows = [
        (
            layer.name or "(model)",
            layer.kind,
            layer.parameters,
            len(layer.tiles),
            "x".join(map(str, max(layer.tiles, default=()))) or "-",
            None if layer.utilisation is None else 100 * layer.utilisation,
            layer.mvms,
            layer.slots,
            shown(layer.tile_bytes) if layer.tiles else "-",
        )
        for layer in costs.layers
    ]
    free = available_memory()
    totals = (
        f"{sum(layer.parameters for layer in costs.layers)} parameters on "
        f"{sum(len(layer.tiles) for layer in costs.layers)} tiles; for each sample "
        f"{sum(layer.mvms for layer in costs.layers)} products and at most "
        f"{sum(layer.slots for layer in costs.layers)} slots of pulses"
    )
    memory = (
        f"training step of {costs.batch}: {shown(costs.peak_bytes)} predicted "
        f"(tiles {shown(costs.tile_bytes)}, digital {shown(costs.digital_bytes)}, "
        f"each sample {shown(costs.sample_bytes)}); free: {'unknown' if free is None else shown(free)}"
    )
    return "\n".join([f"{options.model} on {options.device}", output.table(HEAD, rows), totals, memory])
