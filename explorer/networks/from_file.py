# SPDX-License-Identifier: Apache-2.0
"""What a Python file of the user's holds: ``path/file.py:name``."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any

from engine.errors import ParameterError, near_miss
from explorer.networks.base import ScoredNetwork


def is_file(text: str) -> bool:
    """Return whether a text names something in a file, not a network of the gallery."""
    return ":" in text


def named(text: str, subject: str) -> Any:
    """Return what ``file.py:name`` names; the file is run once for each call.

    Raises
    ------
    ParameterError
        If there is no such file or no such name in it; ``subject`` is what the message calls the text.
    """
    path, _, name = text.rpartition(":")
    if not Path(path).is_file():
        raise ParameterError(
            f"{subject} = {text!r}: there is no file {path!r} (allowed: file.py:name). Check the path."
        )
    spec = importlib.util.spec_from_file_location("ohmscape_model", path)
    if spec is None or spec.loader is None:
        raise ParameterError(f"{subject} = {text!r}: is no Python file (allowed: file.py:name). Name one.")
    loaded = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))  # as if the file were run: it may import its neighbours
    spec.loader.exec_module(loaded)
    if not hasattr(loaded, name):
        known = [n for n in vars(loaded) if not n.startswith("_")]
        hint = near_miss(name, known) or f" It has {', '.join(known[:8])}."
        raise ParameterError(f"{subject} = {text!r}: the file has no {name!r} (allowed: a name in it).{hint}")
    return getattr(loaded, name)


@functools.lru_cache(maxsize=8)
def network(text: str) -> ScoredNetwork:
    """Return the network that ``file.py:name`` names: an object of `ScoredNetwork`, or a class of it.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    found = named(text, "network")
    made = found() if isinstance(found, type) and issubclass(found, ScoredNetwork) else found
    if not isinstance(made, ScoredNetwork):
        raise ParameterError(
            f"network = {text!r}: gives {type(made).__name__} (allowed: a subclass of explorer.networks.ScoredNetwork, "
            "with trained() and exam()). A model alone has no data to be scored on; wrap it."
        )
    return made
