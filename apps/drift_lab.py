# SPDX-License-Identifier: Apache-2.0
"""The drift lab as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import DriftLab, serving
from explorer.labs.drift_state import DriftState
from explorer.views.takeaway import restore

state = DriftState()
problem = restore(state)  # a link or a reload carries the whole state
DriftLab(state=state).page(problem=problem, apps=serving.apps()).servable(title="Ohmscape drift lab")
