# SPDX-License-Identifier: Apache-2.0
"""The fit studio as a page: ``panel serve apps/*.py`` or ``ohmscape serve``."""

from explorer import FitStudio

FitStudio.serve()
