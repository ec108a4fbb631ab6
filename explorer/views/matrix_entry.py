# SPDX-License-Identifier: Apache-2.0
"""Weights of one's own: a matrix, pasted as lines of numbers or dropped as a CSV file."""

from __future__ import annotations

import panel as pn
from panel.viewable import Viewable, Viewer

from engine.errors import OhmscapeError
from explorer.labs.tile_state import TileState
from explorer.views import theme
from explorer.views.fields import numbers_in
from explorer.views.upload import Upload

LIMIT_MB = 4
"""Largest file taken: a matrix of 512 x 512 with six digits each takes about 2.5 MB."""


class MatrixEntry(Viewer):
    """A field for a matrix and a file, closed until it is wanted."""

    def __init__(self, state: TileState):
        super().__init__()
        self._state = state
        self.pasted = theme.text_area("Matrix", placeholder="0.5, -0.25, 0\n1, 0.125, 0.75")
        self.use = theme.button("Use this matrix", icon="input")
        self.use.on_click(lambda _: self.take(self.pasted.value))
        self.upload = Upload(self._take_file, self._say, limit_mb=LIMIT_MB)
        self.said = theme.error_box(visible=False, margin=(8, 0, 0, 0))
        body = pn.Column(
            theme.caption(f"One row for each output, numbers in weight units; or a CSV file of at most {LIMIT_MB} MB."),
            self.pasted, theme.row(self.use, margin=(8, 0)), self.upload, self.said,
            sizing_mode="stretch_width", margin=0,
        )  # fmt: skip
        self.view: Viewable = theme.accordion(("Weights of your own", body))

    def __panel__(self) -> Viewable:
        return self.view

    def take(self, text: str) -> bool:
        """Show the product with the matrix of a text; return whether it is one."""
        try:
            experiment = self._state.experiment.copy(weights="matrix", matrix=matrix_of(text))
        except OhmscapeError as error:
            self._say(str(error))
            return False
        self._state.load_experiment(experiment)
        self._say("")
        return True

    def _take_file(self, name: str, content: bytes) -> None:
        try:
            self.take(content.decode("utf-8-sig"))
        except UnicodeDecodeError:
            self._say(f"file = {name!r}: is not text (allowed: CSV in UTF-8). Choose the file you exported.")

    def _say(self, problem: str) -> None:
        theme.say_error(self.said, problem)


def matrix_of(text: str) -> list[list]:
    """Return the rows of a text, numbers separated by commas, semicolons or blanks; what is none stays a word.

    Examples
    --------
    >>> matrix_of("1, 2; 3\\n4 5 x")
    [[1.0, 2.0, 3.0], [4.0, 5.0, 'x']]
    """
    return [row for line in text.splitlines() if (row := numbers_in(line))]
