# SPDX-License-Identifier: Apache-2.0
"""The drift lab as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import DriftLab

DriftLab.serve()
