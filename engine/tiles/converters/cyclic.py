# SPDX-License-Identifier: Apache-2.0
"""The converter that sends the rest through one stage again and again."""

from __future__ import annotations

from engine.tiles.converters.pipeline import PipelineConverter


class CyclicConverter(PipelineConverter):
    """A pipeline of one stage that is used for every digit: the same errors in each.

    Examples
    --------
    >>> CyclicConverter(bits=4).codes([[0.5, -0.4]])
    array([[ 4, -3]])
    """

    title = "Cyclic"

    @property
    def _made(self) -> int:
        """One stage is built."""
        return 1
