# SPDX-License-Identifier: Apache-2.0
"""Ohmscape's engine: device physics and analog tiles for torch, without any user interface."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ohmscape")
except PackageNotFoundError:  # a source tree on the path, not installed
    __version__ = "0+unknown"
