# SPDX-License-Identifier: Apache-2.0
"""Two pairs of devices for a weight."""

from engine.errors import ParameterError, say
from engine.inference.converters.n_pair import NPair


class DualPair(NPair):
    """Two pairs, the first filled first; as `NPair` of two.

    See docs/physics/inference.md, section 2.

    Examples
    --------
    >>> DualPair(f_lst=[1.0, 3.0]).reach()
    100.0
    """

    title = "Two pairs"

    def check(self) -> None:
        """Raise `ParameterError` for another number of pairs."""
        super().check()
        if len(self.f_lst) != 2:
            remedy = "Give two, or take NPair."
            raise ParameterError(say("DualPair.f_lst", self.f_lst, "is no list of two pairs", "two numbers", remedy))
