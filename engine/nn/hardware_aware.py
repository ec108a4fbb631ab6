# SPDX-License-Identifier: Apache-2.0
"""Hardware-aware training: perturbed weights in every mini-batch, clipping and remapping after every step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from engine.errors import ParameterError, StateError, say
from engine.nn.checkpoint import analog_layers
from engine.nn.core import AnalogCore
from engine.nn.modifiers.base import Draws, Modifier
from engine.nn.remap import WeightClip, WeightRemap
from engine.nn.weight import AnalogWeight


class HardwareAware:
    r"""What is done to analog weights around the mini-batches of a training with a torch optimizer.

    Before a mini-batch: :math:`\tilde W = f(W, \xi)` by the modifier. After a step of the optimizer: clip, then remap.

    Parameters
    ----------
    modifier : Modifier, optional
        What products use in place of the weights while the model trains; none: the weights.
    clip : WeightClip, optional
    remap : WeightRemap, optional
        Needs mapping scales (``weight_scaling_omega`` above 0).
    ramp_batches : int
        The modifier's noise grows in a line over so many mini-batches, 0 is at once.
    ramp_start : float
        Share of the noise in the first of them, 0 .. 1.

    Raises
    ------
    ParameterError
        A ramp that is none.

    Notes
    -----
    Each call of the model in training mode is a mini-batch. The noise is a function of the seed of the tile and the
    number of the mini-batch, so a training that goes on from `state_dict` draws what an unbroken one would have drawn.
    Frozen weights are perturbed like the others, but neither clipped nor remapped: they stay as they are bit for bit.

    Examples
    --------
    >>> from engine.nn import convert
    >>> from engine.nn.modifiers.add_normal import AddNormal
    >>> from engine.recipes import load
    >>> recipe = load("standard_aimc")
    >>> model = convert(torch.nn.Linear(4, 2), recipe.config)
    >>> optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    >>> with HardwareAware(AddNormal(std_dev=0.06), recipe.clip, recipe.remap).attached(model, optimizer):
    ...     model(torch.ones(3, 4)).square().sum().backward()
    ...     optimizer.step()
    """

    def __init__(
        self,
        modifier: Modifier | None = None,
        clip: WeightClip | None = None,
        remap: WeightRemap | None = None,
        *,
        ramp_batches: int = 0,
        ramp_start: float = 1e-3,
    ):
        if isinstance(ramp_batches, bool) or not isinstance(ramp_batches, int) or ramp_batches < 0:
            raise ParameterError(
                say("HardwareAware.ramp_batches", ramp_batches, "must be a whole number", "0, 1, ...", "Give 0 for none.")
            )
        if not 0 <= ramp_start <= 1:
            raise ParameterError(
                say("HardwareAware.ramp_start", ramp_start, "is no share", "0 .. 1", "Give the share of the noise.")
            )
        self.modifier, self.clip, self.remap = modifier, clip, remap
        self.ramp_batches, self.ramp_start = ramp_batches, ramp_start
        self.batch = 0

    @property
    def strength(self) -> float:
        """Share of the modifier's noise in the mini-batch at hand."""
        if self.batch >= self.ramp_batches:
            return 1.0
        return self.ramp_start + (1 - self.ramp_start) * self.batch / self.ramp_batches

    @contextmanager
    def attached(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[HardwareAware]:
        """Act on every call of ``model`` in training mode and every step of ``optimizer`` inside the block.

        Raises
        ------
        StateError
            If no layer of the model is analog, or its weights wait for pulses.
        """
        layers = list(analog_layers(model).values())
        _refuse_pulsed(layers)
        handles = [
            model.register_forward_pre_hook(lambda module, _: self.begin_batch(module)),
            optimizer.register_step_post_hook(lambda *_: self.end_step(model)),
        ]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()
            for layer in layers:
                for weight in layer.analog_weights.values():
                    weight.perturbed = None

    def begin_batch(self, model: torch.nn.Module) -> None:
        """Perturb the weights for one mini-batch; in evaluation mode only where the modifier says so."""
        if self.modifier is None or not (model.training or self.modifier.enable_during_test):
            for layer in analog_layers(model).values():
                for weight in layer.analog_weights.values():
                    weight.perturbed = None
            return
        for layer in analog_layers(model).values():
            for weight, block in zip(layer.analog_weights.values(), layer.blocks.values(), strict=True):
                weight.perturbed = _Perturbed(self.modifier, weight, self.batch, self.strength, block.bias_line)
        self.batch += 1

    def end_step(self, model: torch.nn.Module) -> None:
        """Clip and remap the weights that are trained."""
        for layer in analog_layers(model).values():
            if not layer.trains[0]:
                continue
            for action in (self.clip, self.remap):
                if action is not None:
                    action.apply(layer)

    def state_dict(self) -> dict[str, Any]:
        """Return how far the noise is; the model's own state holds the rest."""
        return {"batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was taken."""
        self.batch = int(state["batch"])


class _Perturbed:
    """The weights of one tile for one mini-batch, drawn when first asked for."""

    def __init__(self, modifier: Modifier, weight: AnalogWeight, batch: int, strength: float, bias_line: bool):
        self.modifier, self.weight, self.batch = modifier, weight, batch
        self.settings = {"strength": strength, "bias_line": bias_line}
        self.kept: torch.Tensor | None = None
        self.vectors = 0

    def __call__(self, vectors: int) -> torch.Tensor:
        """Return ``(out, in)``, or ``(vectors, out, in)`` where each vector has its own draw."""
        shape, where = tuple(self.weight.shape), self.weight.device
        if self.modifier.per_sample:
            # Vectors of one mini-batch are numbered through all calls of it, such as the steps of a recurrent layer.
            seeds = [(self.weight.tile.seed, self.batch << 32 | self.vectors + k) for k in range(vectors)]
            self.vectors += vectors
            return torch.stack([self._drawn(*seed, shape, where) for seed in seeds])
        if self.kept is None:
            self.kept = self._drawn(self.weight.tile.seed, self.batch, shape, where)
        return self.kept

    def _drawn(self, seed: int, step: int, shape: tuple[int, ...], where: torch.device) -> torch.Tensor:
        return self.modifier.apply(self.weight, Draws(seed, step, shape, where), **self.settings)


def _refuse_pulsed(layers: list[AnalogCore]) -> None:
    if not layers:
        raise StateError(
            "HardwareAware.attached: no layer of the model is analog (allowed: a converted model). "
            "Call engine.nn.convert first."
        )
    if not all(tile.follows_gradient for layer in layers for tile in layer.tiles):
        raise StateError(
            "HardwareAware.attached: a tile waits for pulses (allowed: update.pulse_type 'none_but_gradient'). "
            "Convert the model with a recipe's config, or with UpdateParameters(pulse_type='none_but_gradient')."
        )


def freeze_scales(model: torch.nn.Module) -> None:
    """Stop training input ranges and output scales; their values stay."""
    for layer in analog_layers(model).values():
        for scale in (layer.input_range, layer.out_scaling):
            if scale is not None:
                scale.requires_grad_(False)
