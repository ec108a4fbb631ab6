# SPDX-License-Identifier: Apache-2.0
"""A crossbar tile: devices, periphery, update, and the position of its random streams."""

from __future__ import annotations

import copy
import functools
from typing import NamedTuple

import numpy as np
import torch

from engine.cuda.arrays import checked_device
from engine.devices.base import Device
from engine.errors import ParameterError, ShapeError, StateError, say
from engine.product_call import Product
from engine.quantity import Model
from engine.rng import checked_seed
from engine.shapes import check_buffer, checked
from engine.tiles.config import PARTS, TileConfig
from engine.tiles.periphery import IOParameters
from engine.tiles.reads import ReadableTile
from engine.tiles.state import AVERAGES, COUNTERS
from engine.tiles.update import UpdateParameters, checked_rate

_MAX_CROSSPOINTS = 2**32  # the element number is one word of the generator's counter


class PulseTrace(NamedTuple):
    """States after pulses: ``hidden`` and ``apparent``, each ``(reads, out, in)``, weight units."""

    hidden: torch.Tensor
    apparent: torch.Tensor


class Tile(ReadableTile):
    """An analog array of ``out_features`` rows and ``in_features`` columns with one device at each crosspoint.

    Parameters
    ----------
    out_features, in_features : int
        Rows (outputs) and columns (inputs), at least 1.
    device : Device or str
        The device model, or the name of a preset.
    forward, backward : IOParameters, optional
    update : UpdateParameters, optional
    seed : int
        Fixes every draw of the tile.
    construction_seed : int, optional
        Fixes the device-to-device draws alone (the same chip with other noise); ``seed`` if not given.
    count_pulses : bool
        Keep `pulse_counts`, the pulses that each device has seen.
    torch_device : str or torch.device
        Where the tile lives and computes: ``cpu``, or a GPU such as ``cuda`` or ``cuda:1`` (docs/cuda.md).

    Attributes
    ----------
    training : bool
        Whether the running mean of ``noise_management="average_abs_max"`` follows the inputs.
    rounds : torch.Tensor
        Products made for each vector of the last call, ``(batch,)`` int32 where the tile lives; 0 where the output is
        zero without one.

    Raises
    ------
    ParameterError
        A size below 1, a seed out of range, a device that is none.
    CudaError
        A GPU that cannot be used; the message says what is missing.

    Notes
    -----
    Memory: 4 bytes per crosspoint for each of the device's arrays, plus 8. The bits of every result depend on seeds
    and on the history of calls, not on the number of threads or the CPU's instruction set.

    Examples
    --------
    >>> Tile(2, 3, device="idealized_symmetric", seed=1).pulse([+1, +1, -1]).hidden.shape  # weight units
    torch.Size([3, 2, 3])
    """

    def __init__(
        self,
        out_features: int,
        in_features: int,
        device: Device | str = "idealized_symmetric",
        forward: IOParameters | None = None,
        backward: IOParameters | None = None,
        update: UpdateParameters | None = None,
        *,
        seed: int = 0,
        construction_seed: int | None = None,
        count_pulses: bool = False,
        torch_device: str | torch.device = "cpu",
    ):
        self.out_features = _size("Tile.out_features", out_features)
        self.in_features = _size("Tile.in_features", in_features)
        if out_features * in_features >= _MAX_CROSSPOINTS:
            raise ParameterError(
                say(
                    "Tile.out_features * in_features",
                    out_features * in_features,
                    "is too large for one tile",
                    "below 2^32",
                    "Split the layer over several tiles.",
                )
            )
        self._config = _own_config(device, forward, backward, update)
        self.seed = checked_seed(seed, "Tile.seed")
        self.construction_seed = (
            self.seed if construction_seed is None else checked_seed(construction_seed, "Tile.construction_seed")
        )
        self._granularity = self.device.granularity
        self._steps = dict.fromkeys(COUNTERS, 0)
        self.training = True
        self._averages = dict.fromkeys(AVERAGES, 0.0)
        self._packs: dict[str, tuple[TileConfig, list[float]]] = {}
        self.rounds = torch.ones(0, dtype=torch.int32)
        where = checked_device(torch_device)
        self._arrays = self.device.arrays(out_features, in_features, self.seed, self.construction_seed, where)
        self._join_states()
        if count_pulses:
            self._arrays.counters = tuple(torch.zeros_like(self.hidden, dtype=torch.int32) for _ in range(2))
        self.set_weights(torch.zeros_like(self.hidden))

    @classmethod
    def from_config(cls, out_features: int, in_features: int, config: TileConfig, **others) -> Tile:
        """Return a tile made from one `TileConfig`; ``others`` are the seeds and ``torch_device``."""
        parts = config.device, config.forward, config.backward, config.update
        tile = cls(out_features, in_features, *parts, **others)
        tile._config.mapping, tile._config.input_range = config.mapping.copy(), config.input_range.copy()
        return tile

    def __repr__(self) -> str:
        where = "" if self.torch_device.type == "cpu" else f", torch_device='{self.torch_device}'"
        return f"Tile({self.out_features} x {self.in_features}, {self.device.stem()}, seed={self.seed}{where})"

    @property
    def config(self) -> TileConfig:
        """A copy of the tile's configuration; changing it does not change the tile."""
        return self._config.copy()

    @property
    def device(self) -> Device:
        """The device model."""
        return self._config.device

    @property
    def clips(self) -> bool:
        """Whether the ADC of the forward product has a bound."""
        io = self._config.forward
        return io.out_bound > 0 and not io.is_perfect

    @property
    def input_codes(self) -> float:
        """Codes of the DAC of the forward product from zero to its bound; infinity where it does not round."""
        return self._config.forward.input_codes

    @property
    def weights(self) -> torch.Tensor:
        """What a read sees, ``(out, in)`` float32, weight units; the tile's own memory."""
        return self._arrays.apparent

    @property
    def hidden(self) -> torch.Tensor:
        """The state that pulses act on, ``(out, in)`` float32, weight units; the tile's own memory."""
        return self._arrays.hidden

    @property
    def cells(self) -> dict[str, torch.Tensor]:
        """Per-device arrays ``(out, in)`` by exchange name (``max_bound``, ``dwmin_up``, ...); writable in place."""
        return self._arrays.cells | self._in_time().cells

    @property
    def pulse_counts(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Up and down pulses that each device has seen, ``(out, in)`` int32 each.

        Raises
        ------
        StateError
            If the tile was made without ``count_pulses=True``.
        """
        if self._arrays.counters is None:
            raise StateError("Tile.pulse_counts: nothing was counted. Make the tile with count_pulses=True.")
        return self._arrays.counters

    def set_weights(self, weights: torch.Tensor) -> None:
        """Write weights ``(out, in)``: clipped to each device's bounds, with write noise where the device has it.

        Raises
        ------
        ShapeError
            Wrong shape, dtype or device, NaN or infinity.
        """
        shape = {"out": self.out_features, "in": self.in_features}
        self._arrays.write(self._checked(weights, "weights", shape), self._advance("set", 1))

    def forward(
        self, x: torch.Tensor, weights: torch.Tensor | None = None, *, clipped: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the analog product ``W x`` for each row of ``x``.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, in)`` float32, input units.
        weights : torch.Tensor, optional
            ``(out, in)`` float32, multiplied by in place of the devices' states: a perturbed copy of them.
        clipped : torch.Tensor, optional
            ``(batch, out)`` uint8 where the tile lives. It is filled with what the ADC clipped in the last round: 1
            beyond the upper bound, 2 beyond the lower one, 3 both (in two phases), 0 neither.

        Returns
        -------
        torch.Tensor
            ``(batch, out)`` float32, weight times input units.

        Raises
        ------
        ShapeError
            Wrong shape, dtype or device, NaN or infinity.
        """
        x = self._checked(x, "x", {"batch": None, "in": self.in_features})
        if clipped is not None:
            shape = {"batch": x.shape[0], "out": self.out_features}
            check_buffer(clipped, "clipped", shape, torch.uint8, self.torch_device)
        return self._product("forward", x, weights, clipped)

    def backward(self, d: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        """Return the transposed analog product ``W^T d``: ``(batch, out) -> (batch, in)``; as `forward` otherwise."""
        return self._product("backward", self._checked(d, "d", {"batch": None, "out": self.out_features}), weights)

    def update(self, x: torch.Tensor, d: torch.Tensor, lr: float) -> None:
        """Change the weights by pulses, on average by ``-lr d^T x``, one sample after the other.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, in)`` float32.
        d : torch.Tensor
            ``(batch, out)`` float32, the error (gradient of the loss with respect to the output).
        lr : float
            Learning rate, ``>= 0``; 0 does nothing.

        Raises
        ------
        ShapeError
            Shapes that do not fit the tile or each other.
        ParameterError
            A learning rate that is negative, not finite or no number.
        """
        x = self._checked(x, "x", {"batch": None, "in": self.in_features})
        d = self._checked(d, "d", {"batch": x.shape[0], "out": self.out_features})
        lr = checked_rate(lr)
        first = self._advance("update", x.shape[0])
        if lr == 0 or x.shape[0] == 0:
            return
        kind = self._config.update.pulse_type
        if not self.device.pulsed or kind.startswith("none"):
            self._update_digitally(x, d, lr, bounded=kind == "none_with_device")
        else:
            self._arrays.update(self._config.update.job(x, d, lr, self._granularity), first)

    def _update_digitally(self, x: torch.Tensor, d: torch.Tensor, lr: float, *, bounded: bool) -> None:
        if bounded:  # the bounds hold after every sample, so that a batch is its samples one by one
            for k in range(x.shape[0]):
                self._arrays.outer(x[k : k + 1], d[k : k + 1], lr)
                self.clip()
        else:
            self._arrays.outer(x, d, lr)
            self._arrays.apparent.copy_(self._arrays.hidden)

    def pulse(self, directions, read_every: int = 1) -> PulseTrace:
        """Apply a whole sequence of explicit pulses and return what was read on the way.

        Parameters
        ----------
        directions : array_like
            ``(pulses,)`` for all devices or ``(pulses, out, in)``: +1 up, -1 down, 0 none.
        read_every : int
            Record after every so many pulses.

        Returns
        -------
        PulseTrace
            ``hidden`` and ``apparent``, each ``(pulses // read_every, out, in)``, weight units.

        Raises
        ------
        ShapeError, ParameterError
            Wrong shape, or values other than -1, 0, 1; ``read_every`` below 1.

        Notes
        -----
        A sequence cut in two gives the same bits as in one call.
        """
        sequence = np.asarray(directions)
        shape = (self.out_features, self.in_features)
        if sequence.ndim not in (1, 3) or (sequence.ndim == 3 and sequence.shape[1:] != shape):
            raise ShapeError(
                f"directions: got shape {sequence.shape}, expected (pulses) or "
                f"(pulses, out={shape[0]}, in={shape[1]}). Check the axes' order."
            )
        odd = np.setdiff1d(sequence, (-1, 0, 1))
        if odd.size:
            raise ParameterError(say("directions", odd[0].item(), "must be a direction", "-1, 0, +1", "Use np.sign."))
        _size("read_every", read_every)
        first = self._advance("pulse", sequence.shape[0])
        return PulseTrace(*self._arrays.pulse(sequence, read_every, first))

    def __deepcopy__(self, memo) -> Tile:
        seeds = {"seed": self.seed, "construction_seed": self.construction_seed}
        size = self.out_features, self.in_features
        twin = Tile.from_config(*size, self._config, **seeds, torch_device=self.torch_device)
        memo[id(self)] = twin
        twin.load_state_dict(copy.copy(self.state_dict()))
        return twin

    def _product(
        self, way: str, v: torch.Tensor, weights: torch.Tensor | None, clipped: torch.Tensor | None = None
    ) -> torch.Tensor:
        if weights is None:
            weights = self.weights
        else:
            weights = self._checked(weights, "weights", {"out": self.out_features, "in": self.in_features})
        io: IOParameters = getattr(self._config, way)
        if io.noise_management == "average_abs_max" and self.training and v.shape[0]:
            self._averages[way] = io.moved_average(self._averages[way], v)
        params, first = self._packed(way), self._advance(way, v.shape[0])
        seeds = self.seed, self.construction_seed
        call = Product(params, way == "backward", *seeds, first, self._averages[way])
        y, self.rounds = call(weights, v, clipped)
        return y

    def _packed(self, way: str) -> list[float]:
        """Return the periphery as the kernel takes it; kept, because packing takes longer than a small product."""
        config, packed = self._packs.get(way, (None, []))
        if config is not self._config:
            packed = getattr(self._config, way).pack(forward=way == "forward")
            self._packs[way] = self._config, packed
        return packed

    def _checked(self, array: torch.Tensor, name: str, shape: dict[str, int | None]) -> torch.Tensor:
        return checked(array, name, shape, self.torch_device)


def _own_config(device, forward, backward, update) -> TileConfig:
    """Return a configuration that nobody else can change: copies of what was given."""
    given = {"forward": forward, "backward": backward, "update": update}
    config = TileConfig(device, **_defaults() | {name: part for name, part in given.items() if part is not None})
    if config.device is device:
        config.device = device.copy()
    for name, part in given.items():
        if part is not None:
            setattr(config, name, part.copy())
    return config


@functools.cache
def _defaults() -> dict[str, Model]:
    """Return the parts of a tile that was given none. All such tiles share them: a tile shows only copies."""
    return {name: cls() for name, cls in PARTS.items()}


def _size(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ParameterError(say(name, value, "must be a whole number", "1, 2, ...", "Give at least 1."))
    return int(value)
