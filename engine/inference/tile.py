# SPDX-License-Identifier: Apache-2.0
"""One tile as it is on many chips: programmed, drifted, read, compensated."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import torch

from engine import chip_ops
from engine.errors import StateError
from engine.inference.compensation import Compensation
from engine.inference.converters.base import Scale
from engine.inference.draws import Draws, time_bits
from engine.inference.faults import StuckDevices
from engine.inference.recipe import Recipe


@dataclass
class ProgrammedTile:
    """A tile on several chips.

    Parameters
    ----------
    wanted : torch.Tensor
        ``(out, in)`` float32: the weights that are programmed.
    recipe : Recipe
    seeds : tuple of int
        One for each chip, of this tile alone.
    periphery : list of float
        Of the forward product, packed.
    average : float
        Running mean of the largest inputs, for the input scaling that uses it.

    Attributes
    ----------
    weights : torch.Tensor
        ``(chip, out, in)``, in use.
    alpha : torch.Tensor
        ``(chip,)``, ``(chip, out)`` or ``(1,)``: factors of the compensation.
    t : float or None
        Seconds after the reference read; None right after programming, before the first `drift_to`.
    """

    wanted: torch.Tensor
    recipe: Recipe
    seeds: tuple[int, ...]
    periphery: list[float]
    average: float = 0.0
    prog_id: int = 0
    t: float | None = None
    read_id: int = 0
    vectors: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        converter = self.recipe.converter
        exact, self.scale = converter.to_conductances(self.wanted)
        self.target = self.recipe.noise.writable(exact, converter)
        self.draws = Draws(self.seeds, (converter.slices, *self.wanted.shape), self.wanted.device)
        self._line_keys = self.draws.keys("lines")
        self.stuck: StuckDevices | None = None
        if self.recipe.faults is not None:
            self.stuck = StuckDevices.drawn(self.recipe.faults, converter, self.draws)
            if self.recipe.faults.repair:
                self.target = self.stuck.repaired(self.target, converter)
        self.program(self.prog_id)

    # -- operations --------------------------------------------------------------------------------------------

    def program(self, prog_id: int) -> None:
        """Write all devices of all chips; another number draws anew."""
        recipe = self.recipe
        self.prog_id, self.t, self.read_id = prog_id, None, 0
        self.read_scale: Scale = self.scale
        self.state = recipe.noise.program(self.target, self.draws, prog_id)
        self._hold_stuck()
        if recipe.pair_state == "merged":
            self._merge()
        self.use_programmed()
        self.baseline = recipe.compensation.baseline(TileReadout(self, "baseline"))
        self.alpha = self.weights.new_ones(1)
        self._begin("programmed", prog_id)

    def use_programmed(self) -> None:
        """Take the weights as they were programmed, without read noise."""
        held = self.state["programmed"]
        held = self.stuck.applied(held) if self.stuck is not None else held
        converter, scale = self.recipe.converter, self.read_scale
        factors = converter.factors(scale)
        self.weights = converter.to_weights(held, scale) if factors is None else chip_ops.combined(held, factors)

    def drift_to(self, t: float, read_id: int = 0) -> None:
        """Read all devices at time t (s) and compensate; always from what was programmed, in any order of times."""
        self.recipe.noise.check_time(t)
        self.t, self.read_id = float(t), read_id
        self.weights = self._read_weights().contiguous()
        self.alpha = self.recipe.compensation.factors(TileReadout(self, time_bits(self.t)), self.baseline)
        self._begin("mvm", self.prog_id, read_id, time_bits(self.t))

    def _read_weights(self) -> torch.Tensor:
        """Return the weights ``(chip, out, in)`` that a read finds now."""
        noise, converter = self.recipe.noise, self.recipe.converter
        target = self.target if self.target.dim() == 4 else self.target[None]
        moment = target, self.state, self.t, self.draws, self.read_id
        held = self.stuck is not None and not self.recipe.faults.read_noise
        factors = None if held else converter.factors(self.read_scale)
        if factors is not None:
            return noise.weights(*moment, factors)
        g = noise.conductances(*moment)
        return converter.to_weights(self.stuck.applied(g) if held else g, self.read_scale)

    def compensate(self, compensation: Compensation) -> None:
        """Change the strategy; conductances and all their draws stay as they are."""
        self.recipe.compensation = compensation
        in_use = self.weights
        self.use_programmed()
        self.baseline = compensation.baseline(TileReadout(self, "baseline"))
        self.weights = in_use
        if self.t is not None:
            self.alpha = compensation.factors(TileReadout(self, time_bits(self.t)), self.baseline)

    def _begin(self, *path: int | str) -> None:
        """Let the noise of products begin anew: it depends on what the tile is, not on what was multiplied before."""
        self._product_keys = self.draws.keys(*path)
        self.vectors = [0] * len(self.seeds)

    def _hold_stuck(self) -> None:
        """Stuck devices with read noise have their level as programmed state, and do not drift."""
        if self.stuck is None:
            return
        noise, held = self.recipe.noise, self.stuck.applied(self.state["programmed"])
        self.state = noise.reprogrammed(self.state, held)
        if "nu" in self.state:
            self.state["nu"] = self.state["nu"].masked_fill(self.stuck.where, 0.0)

    def _merge(self) -> None:
        """Keep net weights only: one device of each pair carries them."""
        recipe, converter = self.recipe, self.recipe.converter
        net = converter.to_weights(self.state["programmed"], self.scale)
        chips = [converter.to_conductances(w) if recipe.peer_compat else converter.conductances_at(w, self.scale)
                 for w in net]  # fmt: skip
        self.read_scale = {
            name: net.new_tensor([scale[name] for _, scale in chips])[:, None, None] for name in self.scale
        }
        self.state = recipe.noise.reprogrammed(self.state, torch.stack([g for g, _ in chips]))

    # -- products ----------------------------------------------------------------------------------------------

    def product(
        self, x: torch.Tensor, chips: list[int], scale: torch.Tensor | None = None,
        patches: chip_ops.Patches | None = None, bias: torch.Tensor | None = None, then: str = "",
    ) -> torch.Tensor:  # fmt: skip
        """Return the compensated outputs ``(chip, rows, out)`` of some chips.

        Parameters
        ----------
        x : torch.Tensor
            ``(rows, in)``, the same for all of them, or ``(chip, rows, in)``.
        chips : list of int
            Which.
        scale : torch.Tensor, optional
            ``(out,)``: digital factors on the outputs.
        patches : Patches, optional
            x are images ``(images, channels, height, width)``, with or without chips in front, whose patches are
            multiplied: ``(chip, images, out, height, width)``.
        bias : torch.Tensor, optional
            ``(out,)``: added to the outputs in the end.
        then : {"", "tanh"}
            Done to vectors of outputs after that.
        """
        rows = x.shape[-2] if patches is None else x.shape[-4] * math.prod(patches.places)
        first = [self.vectors[c] for c in chips]
        for c in chips:
            self.vectors[c] += rows
        keys = [self._product_keys[c] for c in chips]
        products = self._products(
            chips, keys, first, factors=self._factors(chips, scale), offsets=bias, patches=patches, then=then
        )
        return products(_of_chips(self.weights, chips), x)

    def _factors(self, chips: list[int], scale: torch.Tensor | None) -> torch.Tensor | None:
        """Return what outputs are multiplied by, ``(chip, out)``: compensation and digital scales."""
        alpha = self.alpha if len(self.alpha) == 1 else _of_chips(self.alpha, chips)
        if scale is None and alpha.numel() == 1 and alpha.item() == 1:
            return None
        alpha = alpha[:, None] if alpha.dim() == 1 else alpha
        return (alpha if scale is None else alpha * scale).expand(len(chips), len(self.wanted)).contiguous()

    def _products(self, chips: list[int], keys: list[int], first: list[int], **others) -> chip_ops.ChipProducts:
        lines = [self._line_keys[c] for c in chips]
        return chip_ops.ChipProducts(self.periphery, keys, lines, first, self.average, **others)

    # -- what is kept ------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return what, with the recipe, defines the tile and its future: all else is drawn again, bit by bit."""
        names = ("prog_id", "t", "read_id", "average")
        kept = {name: getattr(self, name) for name in names}
        return kept | {"wanted": self.wanted.clone(), "vectors": list(self.vectors)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        if state["wanted"].shape != self.wanted.shape:
            raise StateError(
                f"programmed tile: got (out, in) = {tuple(state['wanted'].shape)}, this one has "
                f"{tuple(self.wanted.shape)} (allowed: the same). Program the model that was saved."
            )
        self.wanted = state["wanted"].to(self.wanted.device)
        self.prog_id, self.average = state["prog_id"], state["average"]
        self.__post_init__()
        if state["t"] is not None:
            self.drift_to(state["t"], state["read_id"])
        self.vectors = list(state["vectors"])


class TileReadout:
    """The readings that a compensation makes of a tile; `engine.inference.compensation.Readout`."""

    def __init__(self, tile: ProgrammedTile, moment: int | str):
        self._tile, self._moment = tile, moment

    def absolute(self, *, per_output: bool, ideal: bool, repeats: int) -> torch.Tensor:
        """Return mean magnitudes ``(chip,)`` or ``(chip, out)``, float64."""
        tile = self._tile
        if ideal:
            return _mean(tile.weights, per_output)
        return sum(self._mean_size(self._read(k), per_output) for k in range(repeats)) / repeats

    @staticmethod
    def _mean_size(y: torch.Tensor, per_output: bool) -> torch.Tensor:
        outputs = chip_ops.size_sums(y) / y.shape[1]
        return outputs if per_output else outputs.mean(1)

    def _read(self, repeat: int) -> torch.Tensor:
        """Return outputs ``(chip, in, out)`` for each input line driven alone."""
        tile = self._tile
        chips = list(range(len(tile.seeds)))
        keys = tile.draws.keys("readout", tile.prog_id, self._moment, repeat)
        one = _identity(tile.wanted.shape[1], tile.wanted.device)
        return tile._products(chips, keys, [0] * len(chips), one_hot=True)(tile.weights, one)

    def wanted(self, *, per_output: bool) -> torch.Tensor:
        """Return the exact reading of the weights that were to be programmed, ``(1,)`` or ``(1, out)``."""
        return _mean(self._tile.wanted[None], per_output)


def _of_chips(values: torch.Tensor, chips: list[int]) -> torch.Tensor:
    """Return the rows of some chips; a view where they follow each other, as weights of a large tile are not copied."""
    first, count = chips[0], len(chips)
    together = chips == list(range(first, first + count))
    return values[first : first + count] if together else values[chips]


@functools.lru_cache(maxsize=8)
def _identity(lines: int, device: torch.device) -> torch.Tensor:
    return torch.eye(lines, device=device)


def _mean(weights: torch.Tensor, per_output: bool) -> torch.Tensor:
    """Return the mean magnitude over inputs, or over inputs and outputs, of ``(chip, out, in)``, float64."""
    outputs = torch.linalg.vector_norm(weights, 1, dim=2, dtype=torch.float64) / weights.shape[2]
    return outputs if per_output else outputs.mean(1)
