# SPDX-License-Identifier: Apache-2.0
"""The device lab as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import DeviceLab, serving
from explorer.labs.state import DeviceState
from explorer.views.takeaway import restore

state = DeviceState()
problem = restore(state)  # a link or a reload carries the whole state
DeviceLab(state=state).page(problem=problem, apps=serving.apps()).servable(title="Ohmscape device lab")
