# SPDX-License-Identifier: Apache-2.0
"""Weights from a file in the safetensors format, without its package."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from engine.errors import StateError, say


def read(path: Path) -> dict[str, torch.Tensor]:
    """Return the float32 arrays of a file: eight bytes of length, a header in JSON, then the values in order.

    Arrays of other types, such as whole numbers of positions, are left out.

    Raises
    ------
    StateError
        If the file has no float32 arrays.
    """
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    entries = json.loads(raw[8 : 8 + size])
    found = {}
    for name, entry in entries.items():
        if entry.get("dtype") == "F32":
            first, last = (8 + size + offset for offset in entry["data_offsets"])
            values = np.frombuffer(raw[first:last], "<f4").reshape(entry["shape"])
            found[name] = torch.from_numpy(values.astype(np.float32))
    if not found:
        raise StateError(say("weights", path.name, "has no float32 arrays", "safetensors of float32", "Reinstall it."))
    return found
