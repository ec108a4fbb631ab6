# SPDX-License-Identifier: Apache-2.0
"""Between mini-batches: shift scale from the analog weights to the mapping scales, or clip analog weights."""

from __future__ import annotations

import torch

from engine.errors import ParameterError, StateError, say
from engine.nn.core import AnalogCore
from engine.quantity import Choice, Model, Quantity
from engine.tiles import Tile

_SOURCE = "aihwkit 1.2.0, default of WeightRemapParameter"
_CLIP_SOURCE = "aihwkit 1.2.0, default of WeightClipParameter"


class WeightRemap(Model):
    r"""Bring the largest analog weights back to a chosen size and put the factor into the mapping scale.

    .. math:: a = \max|W| / w_{max}, \quad m \leftarrow a\,m, \quad W \leftarrow W / a

    What a layer multiplies by stays the same as far as the devices can hold the new weights.

    Examples
    --------
    >>> from engine.nn import AnalogLinear
    >>> from engine.tiles import MappingParameters, TileConfig
    >>> config = TileConfig("idealized_symmetric", mapping=MappingParameters(weight_scaling_omega=0.1))
    >>> layer = AnalogLinear(3, 2, config=config)
    >>> WeightRemap(remapped_wmax=0.5).apply(layer)
    >>> round(layer.tile.weights.abs().max().item(), 6)  # w
    0.5
    """

    # fmt: off
    type = Choice("layerwise_symmetric", ("layerwise_symmetric", "channelwise_symmetric"), group="Remap",
                  source="aihwkit 1.2.0, WeightRemapType", doc="One factor for each tile, or one for each output.")
    remapped_wmax = Quantity(1.0, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(0.1, 1), unit="w",
                             group="Remap", source=_SOURCE, doc="Largest absolute analog weight afterwards.")
    max_scale_range = Quantity(0.0, bounds=(0, None), softbounds=(0, 100), group="Remap", source=_SOURCE,
                               doc="Most that one output's scale may exceed the smallest one of its tile; 0 sets no "
                                   "limit.")
    max_scale_ref = Quantity(0.0, bounds=(0, None), softbounds=(0, 1), group="Remap", source=_SOURCE,
                             doc="Scale that the limit refers to where all are smaller.")
    # fmt: on

    def check(self) -> None:
        """Raise `ParameterError` where a limit of the range does not fit the size of the weights."""
        super().check()
        self.check_single_precision()
        if self.max_scale_range > 0 and self.remapped_wmax != 1:
            raise ParameterError(
                say("WeightRemap.remapped_wmax", self.remapped_wmax, "must be 1 while max_scale_range is set", "1",
                    "Set it to 1, or max_scale_range to 0.", unit="w")
            )  # fmt: skip

    @torch.no_grad()
    def apply(self, model: torch.nn.Module) -> None:
        """Remap every analog layer of ``model``; weights are written anew, with the devices' bounds and write noise.

        Raises
        ------
        StateError
            A layer without mapping scales, or samples that wait for an update: their errors hold the old scale.
        """
        layers = _layers(model)
        for name, layer in layers:
            _refuse_unmapped(name, layer)
        for _, layer in layers:
            for weight, block in zip(layer.analog_weights.values(), layer.blocks.values(), strict=True):
                old = layer.mapping_scales[block.column, block.rows].clone()
                new = self._scale(weight.tile.weights, old)
                layer.mapping_scales[block.column, block.rows] = new
                weight.tile.set_weights(weight.tile.weights * (old / new)[:, None])

    def _scale(self, weights: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
        largest = weights.abs().amax(1)
        if self.type == "layerwise_symmetric":
            largest = largest.max().expand_as(largest)
        new = old * torch.where(largest > 0, largest / self.remapped_wmax, 1.0)
        reference = max(old.min().item(), self.max_scale_ref)
        return new.clamp(max=self.max_scale_range * reference) if self.max_scale_range * reference > 0 else new


class WeightClip(Model):
    """Limit the analog weights of each tile.

    Examples
    --------
    >>> from engine.nn import AnalogLinear
    >>> from engine.tiles import TileConfig
    >>> layer = AnalogLinear(3, 2, config=TileConfig("idealized_symmetric"))
    >>> WeightClip(fixed_value=0.2).apply(layer)
    >>> round(layer.tile.weights.abs().max().item(), 6)  # w
    0.2
    """

    # fmt: off
    type = Choice("fixed_value", ("fixed_value", "layer_gaussian", "average_channel_max"), group="Clip",
                  source="aihwkit 1.2.0, WeightClipType",
                  doc="At a fixed weight, at a multiple of the tile's standard deviation, or at the mean over outputs "
                      "of their largest weight.")
    fixed_value = Quantity(1.0, bounds=(0, None), softbounds=(0, 1), unit="w", group="Clip",
                           source="assumed (aihwkit 1.2.0: -1, off)",
                           doc="The fixed limit, and the largest one of the other types; 0 for them sets none.")
    sigma = Quantity(2.5, bounds=(0, None), inclusive_bounds=(False, True), softbounds=(1, 5), group="Clip",
                     source=_CLIP_SOURCE, doc="Limit of 'layer_gaussian' in standard deviations.")
    # fmt: on

    @torch.no_grad()
    def apply(self, model: torch.nn.Module) -> None:
        """Clip every analog layer of ``model``; weights are written anew, with the devices' write noise."""
        for _, layer in _layers(model):
            for tile in layer.tiles:
                limit = self.limit(tile)
                tile.set_weights(tile.weights.clamp(-limit, limit))

    def limit(self, tile: Tile) -> float:
        """Return the largest absolute weight of a tile after clipping, weight units."""
        if self.type == "fixed_value":
            return self.fixed_value
        if self.type == "layer_gaussian":
            limit = self.sigma * tile.weights.std().item()
        else:
            limit = tile.weights.abs().amax(1).mean().item()
        return min(limit, self.fixed_value) if self.fixed_value else limit


def _layers(model: torch.nn.Module) -> list[tuple[str, AnalogCore]]:
    return [(name, m) for name, m in model.named_modules() if isinstance(m, AnalogCore)]


def _refuse_unmapped(name: str, layer: AnalogCore) -> None:
    where = name or type(layer).__name__
    if layer.mapping_scales is None:
        raise StateError(
            f"WeightRemap, {where}: the layer has no mapping scales (allowed: weight_scaling_omega above 0). "
            "Make it with MappingParameters(weight_scaling_omega=1.0)."
        )
    if any(weight.pending for weight in layer.analog_weights.values()):
        raise StateError(
            f"WeightRemap, {where}: samples wait for an update (allowed: between a step and the next backward pass). "
            "Call it after optimizer.step()."
        )
