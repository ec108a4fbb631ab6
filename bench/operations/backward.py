# SPDX-License-Identifier: Apache-2.0
"""The transposed analog product of a batch."""

from __future__ import annotations

from bench.product import ProductOperation


class Backward(ProductOperation):
    """Errors back through the columns: `Tile.backward`."""

    way = "backward"
