# SPDX-License-Identifier: Apache-2.0
"""Where everything is kept that outlives a process."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def home() -> Path:
    """Return the folder of all that ohmscape keeps: ``OHMSCAPE_HOME``, else the user's data folder."""
    chosen = os.environ.get("OHMSCAPE_HOME")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_data_dir("ohmscape"))
