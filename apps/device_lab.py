# SPDX-License-Identifier: Apache-2.0
"""The device lab as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import DeviceLab

DeviceLab.serve()
