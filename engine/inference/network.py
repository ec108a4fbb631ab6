# SPDX-License-Identifier: Apache-2.0
"""A network on many programmed chips, run as one batched computation."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map

from engine.chip_ops import keep_freed_memory
from engine.errors import ParameterError, StateError, say
from engine.inference import compensation as compensations
from engine.inference import converters
from engine.inference import noise as noises
from engine.inference.chain import Together, chain_of, run_chain
from engine.inference.compensation import Compensation
from engine.inference.converters import Converter
from engine.inference.faults import Faults
from engine.inference.layers import LayerOnChips, own_forward
from engine.inference.memory import check_memory, forecast
from engine.inference.noise import NoiseModel
from engine.inference.recipe import Recipe
from engine.inference.tile import ProgrammedTile
from engine.nn.checkpoint import analog_layers
from engine.rng import checked_seed, derive_seed, derive_seeds

_FORMAT = "programmed 1"
# Numbers that the chips of one pass may have in the product of a layer.
_ROOM = 1 << 25
# Chips of one pass, by model and shapes of its inputs: found once.
_AT_ONCE: weakref.WeakKeyDictionary[torch.nn.Module, dict[tuple, int]] = weakref.WeakKeyDictionary()


def program(
    model: torch.nn.Module,
    noise: NoiseModel | str = "pcm",
    converter: Converter | str | None = None,
    compensation: Compensation | str = "global",
    *,
    chips: int = 25,
    seed: int = 0,
    faults: Faults | None = None,
    pair_state: str = "separate",
    peer_compat: bool = False,
) -> ProgrammedNetwork:
    """Program the analog layers of a trained model onto many chips.

    Parameters
    ----------
    model : torch.nn.Module
        With analog layers (`engine.nn.convert`); its own weights stay as they are.
    noise : NoiseModel or str
        Statistics of the devices, or the name of a model (`engine.inference.noise.names`) with its defaults.
    converter : Converter or str, optional
        From weights to conductances; what belongs to the noise model if not given.
    compensation : Compensation or str
        ``"none"``, ``"global"``, ``"per_column"``, ``"exact_reference"``, ``"ideal_readout"``, or one with parameters.
    chips : int
        How many; each draws its own devices.
    seed : int
        Fixes every draw. Chip k of a seed is the same whatever the number of chips.
    faults : Faults, optional
        Stuck devices and their repair.
    pair_state : {"separate", "merged"}
        Every device keeps its own conductance, or only net weights are kept after programming, as aihwkit does.
    peer_compat : bool
        With ``"merged"``: net weights are converted with a scale of their own, as aihwkit does.

    Returns
    -------
    ProgrammedNetwork
        Right after programming: read errors and drift come with ``drift_to``.

    Raises
    ------
    ParameterError
        No analog layer, a part that is unknown, parts that do not fit together, no chip.
    CapacityError
        More memory than is free; says how many chips fit.

    Notes
    -----
    Draws depend on the seed, chip, tile, purpose and time, never on the order of calls: the same bits for any order of
    times, split of a batch and number of threads. docs/physics/inference.md.

    Examples
    --------
    >>> from engine.nn import AnalogLinear
    >>> from engine.tiles import TileConfig
    >>> chips = program(AnalogLinear(4, 2, config=TileConfig("idealized_symmetric")), chips=3, seed=1)
    >>> for t in (1.0, 86400.0):  # seconds
    ...     outputs = chips.drift_to(t)(torch.ones(5, 4))
    >>> outputs.shape  # chips, batch, out
    torch.Size([3, 5, 2])
    """
    chosen = noises.made(noise, "program.noise")
    given = chosen.converter() if converter is None else converters.made(converter, "program.converter")
    recipe = Recipe(
        chosen, given, compensations.made(compensation, "program.compensation"), faults, pair_state, peer_compat
    )
    return ProgrammedNetwork(model, recipe, chips=chips, seed=seed)


class ProgrammedNetwork(torch.nn.Module):
    """A model whose analog layers are programmed on several chips; made by `program`.

    Parameters
    ----------
    model : torch.nn.Module
        Its own weights are what is programmed, and stay as they are.
    recipe : Recipe
    chips, seed : int

    Attributes
    ----------
    tiles : dict
        ``(layer, row, column)`` to `ProgrammedTile`; empty while training.
    t : float or None
        Seconds since the reference read; None right after programming.
    batched : bool
        Whether chips run together; becomes False where the model has an operation that does not allow it.
    chips_at_once : int or None
        Chips of one pass through the model; None takes as many as fit.

    Notes
    -----
    Calls are made in evaluation mode and without gradient. Chips run together, a model that is more than a chain of
    simple layers by ``torch.func.vmap``: the digital layers see them as one batch. A model with an operation that
    cannot be batched so is run chip by chip, with the same results; `batched` tells. The products' noise begins anew
    with every `drift_to`.
    """

    def __init__(self, model: torch.nn.Module, recipe: Recipe, *, chips: int, seed: int):
        super().__init__()
        if not analog_layers(model):
            raise ParameterError(
                say("program.model", type(model).__name__, "has no analog layer", "models with analog layers",
                    "Convert it with engine.nn.convert.")
            )  # fmt: skip
        if isinstance(chips, bool) or not isinstance(chips, int) or chips < 1:
            raise ParameterError(say("program.chips", chips, "must be a whole number", "1, 2, ...", "Give at least 1."))
        self.model, self.recipe, self.chips = model, recipe, chips
        self.seed = checked_seed(seed, "program.seed")
        self.batched = True
        keep_freed_memory()
        self.chips_at_once: int | None = None
        self._at_once = _AT_ONCE.setdefault(model, {})
        self._largest = 1
        self._warned = False
        self._chain: list[torch.nn.Module] | None = None
        self.tiles: dict[tuple[str, int, int], ProgrammedTile] = {}
        self.program()

    # -- operations --------------------------------------------------------------------------------------------

    @property
    def t(self) -> float | None:
        """Seconds since the reference read; None right after programming, or while training."""
        return next((tile.t for tile in self.tiles.values()), None)

    @property
    def prog_id(self) -> int:
        """Which programming this is."""
        return next((tile.prog_id for tile in self.tiles.values()), 0)

    @torch.no_grad()
    def program(self, prog_id: int = 0) -> ProgrammedNetwork:
        """Write the model's weights as they are now onto all chips, and return the network.

        ``prog_id`` numbers programmings: another one draws other errors, exponents and reads on the same devices.
        """
        super().train(False)
        self.tiles = {}
        check_memory(forecast(self.model, self.recipe.noise, self.recipe.converter, chips=self.chips))
        own = [derive_seed(self.seed, "chip", chip) for chip in range(self.chips)]
        for name, layer in analog_layers(self.model).items():
            for parameter, block in layer.blocks.items():
                tile = layer.analog_weights[parameter].tile
                seeds = tuple(derive_seeds(own, name, block.row, block.column))
                self.tiles[name, block.row, block.column] = ProgrammedTile(
                    tile.weights.detach().clone(), self.recipe, seeds, tile._packed("forward"),
                    tile._averages["forward"], prog_id,
                )  # fmt: skip
        return self

    @torch.no_grad()
    def drift_to(self, t: float, read_id: int = 0) -> ProgrammedNetwork:
        """Let time be t seconds after the reference read on all chips, compensate, and return the network.

        Always from what was programmed: any order of times. Another ``read_id`` draws the reads at t anew.

        Raises
        ------
        ParameterError
            A negative time, or one that the noise model has no statistics for.
        StateError
            While training.
        """
        self._check_programmed()
        for tile in self.tiles.values():
            tile.drift_to(t, read_id)
        return self

    @torch.no_grad()
    def compensate(self, compensation: Compensation | str) -> ProgrammedNetwork:
        """Change the compensation and return the network: same chips, same draws."""
        self._check_programmed()
        self.recipe.compensation = compensations.made(compensation, "compensate")
        for tile in self.tiles.values():
            tile.compensate(self.recipe.compensation)
        return self

    def train(self, mode: bool = True) -> ProgrammedNetwork:
        """Change the mode; training forgets the programming, with a warning: the model has its own weights again."""
        if mode and self.tiles:
            self.tiles = {}
            if not self._warned:
                self._warned = True
                warnings.warn(
                    "ProgrammedNetwork.train: the programming is forgotten, the model has its own weights. "
                    "Call program() after training.",
                    stacklevel=2,
                )
        return super().train(mode)

    def _check_programmed(self) -> None:
        if not self.tiles:
            raise StateError(
                "ProgrammedNetwork: nothing is programmed since train() (allowed: after program()). Call program()."
            )

    def each(self, measure: Callable[[torch.nn.Module], Any]) -> list[Any]:
        """Return what ``measure(model)`` finds on each chip; for scores of whole models, which know of no chips.

        Chips run one after another. `forward` does the same for all of them at once, where outputs are enough.
        """
        self._check_programmed()
        found = []
        with torch.no_grad(), self._in_place():
            for chip in range(self.chips):
                self._chip = torch.tensor(chip)
                found.append(measure(self.model))
        return found

    # -- the computation ---------------------------------------------------------------------------------------

    def forward(self, *inputs: Any, **named: Any) -> Any:
        """Return the model's outputs with an axis of chips in front, ``(chip, ...)``.

        While training it is the model's own output, without that axis.
        """
        if not self.tiles:
            return self.model(*inputs, **named)
        self._chain = chain_of(self.model) if self.batched else None
        with torch.no_grad(), self._in_place():
            if self.batched:
                try:
                    return self._together(inputs, named)
                except _NOT_BATCHED as problem:
                    if not _is_vmaps(problem):
                        raise
                    self.batched = False
            return self._one_by_one(inputs, named)

    def _together(self, inputs: tuple, named: dict[str, Any]) -> Any:
        before = self._vectors()
        try:
            return self._in_groups(self._runner(inputs, named), _shapes((inputs, named)))
        except BaseException:
            self._vectors(before)
            raise

    def _runner(self, inputs: tuple, named: dict[str, Any]) -> Callable[[range], Any]:
        """Return what runs the model on some chips at once, the axis of chips in front."""

        def chained(chips: range) -> torch.Tensor:
            self._chip = Together(list(chips))
            return run_chain(self._chain, inputs[0], self._chip)

        def run(chip: torch.Tensor) -> Any:
            self._chip = chip
            return self.model(*inputs, **named)

        if self._chain is not None and len(inputs) == 1 and not named and isinstance(inputs[0], torch.Tensor):
            return chained
        return lambda chips: torch.func.vmap(run)(torch.arange(chips.start, chips.stop))

    def _in_groups(self, run: Callable[[range], Any], shapes: tuple) -> Any:
        """Run as many chips at a time as fit: the first one of new shapes tells what each takes."""
        at_once, parts, first = self.chips_at_once or self._at_once.get(shapes), [], 0
        if at_once is None:
            self._largest, first = 1, 1
            parts.append(run(range(1)))
            self._at_once[shapes] = at_once = max(1, _ROOM // self._largest)
        if first < self.chips:
            each = _evenly(self.chips - first, at_once)
            parts += [run(range(k, min(k + each, self.chips))) for k in range(first, self.chips, each)]
        return parts[0] if len(parts) == 1 else tree_map(lambda *p: torch.cat(p), *parts)

    def note(self, numbers: int) -> None:
        """Take note of the numbers that a product has in and out on one chip."""
        self._largest = max(self._largest, numbers)

    def _vectors(self, counts: list[list[int]] | None = None) -> list[list[int]]:
        """Return, or set, how many vectors each chip of each tile has multiplied."""
        for tile, count in zip(self.tiles.values(), counts or (), strict=False):
            tile.vectors = list(count)
        return [list(tile.vectors) for tile in self.tiles.values()]

    def _one_by_one(self, inputs: tuple, named: dict[str, Any]) -> Any:
        outputs = []
        for chip in range(self.chips):
            self._chip = torch.tensor(chip)
            outputs.append(self.model(*inputs, **named))
        return tree_map(lambda *parts: torch.stack(parts), outputs[0], *outputs[1:])

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Let the model's analog layers multiply by the chips' weights."""
        modules = list(self.model.modules())
        training = [m for m in modules if m.training]
        # Attributes are set as in any object: the way of modules takes longer than a small product.
        layers = {name: vars(m) for name, m in analog_layers(self.model).items()}
        own = {m: forward for m in modules if (forward := own_forward(m)) is not None}
        if training:
            self.model.eval()
        for name, layer in layers.items():
            layer["programmed"] = LayerOnChips(self, name)
        for module, forward in own.items():
            vars(module)["forward"] = forward
        try:
            yield
        finally:
            self._chip = None
            for layer in layers.values():
                del layer["programmed"]
            for module in own:
                del vars(module)["forward"]
            for module in training:
                module.training = True

    # -- what is kept ------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return the programming; part of ``state_dict()``."""
        tiles = {"/".join(map(str, place)): tile.state_dict() for place, tile in self.tiles.items()}
        return {"format": _FORMAT, "chips": self.chips, "seed": self.seed, "recipe": self.recipe.to_dict(),
                "tiles": tiles}  # fmt: skip

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the programming: weights in use, factors, time, and all that will be drawn.

        Raises
        ------
        StateError
            Of another format, or of another model's tiles.
        """
        if state.get("format") != _FORMAT:
            raise StateError(
                f"programmed network, format = {state.get('format')!r}: unknown (allowed: {_FORMAT!r}). Load it with "
                "the version of Ohmscape that saved it."
            )
        self.recipe = Recipe.from_dict(state["recipe"])
        self.chips, self.seed = state["chips"], state["seed"]
        if not state["tiles"]:
            self.tiles = {}
            return
        self.program()
        here = {"/".join(map(str, place)): tile for place, tile in self.tiles.items()}
        if set(here) != set(state["tiles"]):
            raise StateError(
                f"programmed network: holds {len(state['tiles'])} tiles, the model has {len(here)} (allowed: the same "
                "tiles). Program the model that was saved."
            )
        with torch.no_grad():
            for name, tile in here.items():
                tile.load_state_dict(state["tiles"][name])


_NOT_BATCHED = (RuntimeError, NotImplementedError, ValueError)


def _shapes(tree: Any) -> tuple:
    return tuple(tuple(leaf.shape) for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor))


def _evenly(chips: int, most: int) -> int:
    """Return how many chips of a pass make equal passes, each of so many at most."""
    passes = -(-chips // most)
    return -(-chips // passes)


def _is_vmaps(problem: Exception) -> bool:
    return "vmap" in str(problem).lower() or "batching rule" in str(problem).lower()
