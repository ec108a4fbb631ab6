# SPDX-License-Identifier: Apache-2.0
"""The device lab as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import DeviceLab
from explorer.labs.state import DeviceState
from explorer.views.takeaway import restore

state = DeviceState()
problem = restore(state)  # a link or a reload carries the whole state
DeviceLab(state=state).page(problem=problem).servable(title="Ohmscape device lab")
