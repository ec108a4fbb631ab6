# SPDX-License-Identifier: Apache-2.0
"""Reading what a tile holds, line by line or as a whole, through converters of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from engine import ops
from engine.errors import ParameterError, say
from engine.product_call import Product
from engine.rng import derive_seed
from engine.shapes import checked
from engine.tiles.periphery import IOParameters
from engine.tiles.state import LastingTile


class ReadableTile(LastingTile):
    """Transfer reads: products with periphery, draws and running means that are not those of the tile's products."""

    out_features: int
    in_features: int
    training: bool
    rounds: torch.Tensor

    def read_columns(self, columns: Sequence[int], io: IOParameters | None = None) -> torch.Tensor:
        """Return columns as an analog read gives them: products ``W e_j`` with one-hot vectors.

        Parameters
        ----------
        columns : sequence of int
            Which, each ``0 .. in - 1``, in this order; a column may occur more than once.
        io : IOParameters, optional
            Converters and noise of the read; `IOParameters()` if not given.

        Returns
        -------
        torch.Tensor
            ``(columns, out)`` float32, weight units.

        Raises
        ------
        ParameterError
            A column that there is not.

        Notes
        -----
        All of a product's steps apply (docs/physics/tile.md): input scaling acts on the one-hot vector, bounds are
        managed. Offsets and other draws made once differ from those of `forward`, as they belong to other circuits.
        One call of n columns gives the bits of n calls of one.

        References
        ----------
        Transfers between arrays of T. Gokmen and W. Haensch, Front. Neurosci. 14, 103 (2020), read this way.

        Examples
        --------
        >>> from engine.tiles import Tile
        >>> tile = Tile(2, 3, "idealized_symmetric")
        >>> tile.set_weights(torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]]))
        >>> tile.read_columns([2], IOParameters(is_perfect=True))
        tensor([[0.3000, 0.6000]])
        """
        return self.read(self._one_hot(columns, "columns", self.in_features), io)

    def read_rows(self, rows: Sequence[int], io: IOParameters | None = None) -> torch.Tensor:
        """Return rows ``(rows, in)`` as an analog read gives them, by the transposed product; as `read_columns`.

        Bounds are not managed in this direction.
        """
        return self.read(self._one_hot(rows, "rows", self.out_features), io, transposed=True)

    def read(self, x: torch.Tensor, io: IOParameters | None = None, *, transposed: bool = False) -> torch.Tensor:
        """Return the product ``W x``, or ``W^T x``, with a periphery of its own.

        Parameters
        ----------
        x : torch.Tensor
            ``(batch, in)``, or ``(batch, out)`` when transposed; float32, input units.
        io : IOParameters, optional
        transposed : bool

        Returns
        -------
        torch.Tensor
            ``(batch, out)`` or ``(batch, in)`` float32, weight times input units.
        """
        way, axis = ("read_rows", "out") if transposed else ("read_columns", "in")
        x = checked(x, "x", {"batch": None, axis: getattr(self, f"{axis}_features")}, self.torch_device)
        io = IOParameters() if io is None else io
        io.check()
        if io.noise_management == "average_abs_max" and self.training and len(x):
            self._averages[way] = io.moved_average(self._averages[way], x)
        seeds = (derive_seed(seed, "read") for seed in (self.seed, self.construction_seed))
        first = self._advance(way, len(x))
        call = Product(io.pack(forward=not transposed), transposed, *seeds, first, self._averages[way])
        y, self.rounds = call(self.weights, x)
        return y

    def read_weights(self, io: IOParameters | None = None, *, over_sampling: int = 10) -> torch.Tensor:
        """Return an estimate of all weights by least squares from products with random inputs.

        Parameters
        ----------
        io : IOParameters, optional
            Converters and noise of the products; those of `forward` if not given.
        over_sampling : int
            Products for each input, at least 1.

        Returns
        -------
        torch.Tensor
            ``(out, in)`` float32, weight units. With noise the error falls as the root of the number of products.
        """
        if isinstance(over_sampling, bool) or not isinstance(over_sampling, int) or over_sampling < 1:
            rule = "must be a whole number"
            raise ParameterError(say("over_sampling", over_sampling, rule, "1, 2, ...", "Give at least 1."))
        count = over_sampling * self.in_features
        seed = derive_seed(self.seed, "read_weights")
        draws = ops.normals(seed, "forward_input", self._steps["read_columns"], count * self.in_features)
        x = torch.from_numpy(draws).reshape(count, self.in_features).to(self.torch_device)
        y = self.read(x, self._config.forward if io is None else io)
        return torch.linalg.lstsq(x.double(), y.double()).solution.T.float().contiguous()

    def _one_hot(self, lines: Sequence[int], name: str, count: int) -> torch.Tensor:
        for line in lines:
            if isinstance(line, bool) or line != int(line) or not 0 <= line < count:
                allowed = f"whole numbers from 0 to {count - 1}"
                raise ParameterError(say(name, line, "does not exist in this tile", allowed, "Give one that does."))
        places = torch.as_tensor(lines, dtype=torch.int64, device=self.torch_device)
        vectors = torch.zeros(len(places), count, device=self.torch_device)
        vectors[torch.arange(len(places)), places] = 1
        return vectors
