# SPDX-License-Identifier: Apache-2.0
"""The tile lab as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import TileLab, serving
from explorer.labs.tile_state import TileState
from explorer.views.takeaway import restore

state = TileState()
problem = restore(state)  # a link or a reload carries the whole state
TileLab(state=state).page(problem=problem, apps=serving.apps()).servable(title="Ohmscape tile lab")
