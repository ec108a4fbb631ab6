# SPDX-License-Identifier: Apache-2.0
"""The tile lab as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import TileLab

TileLab.serve()
