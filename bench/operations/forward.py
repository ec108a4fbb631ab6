# SPDX-License-Identifier: Apache-2.0
"""The analog product of a batch."""

from __future__ import annotations

from bench.product import ProductOperation


class Forward(ProductOperation):
    """Inputs through the rows of weights: `Tile.forward`."""

    way = "forward"
