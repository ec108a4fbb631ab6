# SPDX-License-Identifier: Apache-2.0
"""What a tile is made of, as one value: device, periphery, update."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine import presets
from engine.devices.base import Device
from engine.errors import ParameterError
from engine.tiles.periphery import IOParameters
from engine.tiles.update import UpdateParameters

PARTS = {"forward": IOParameters, "backward": IOParameters, "update": UpdateParameters}


@dataclass
class TileConfig:
    """Everything that defines a tile but its size and seeds.

    Parameters
    ----------
    device : Device or str
        A device, or the name of a preset.
    forward, backward : IOParameters
        Periphery of the product and of the transposed product.
    update : UpdateParameters
    """

    device: Device | str
    forward: IOParameters = field(default_factory=IOParameters)
    backward: IOParameters = field(default_factory=IOParameters)
    update: UpdateParameters = field(default_factory=UpdateParameters)

    def __post_init__(self) -> None:
        if isinstance(self.device, str):
            self.device = presets.load(self.device)
        if not isinstance(self.device, Device):
            raise ParameterError(
                f"TileConfig.device = {self.device!r}: must be a device (allowed: a Device or a preset's name). "
                "Use engine.presets.load(name) or a class of engine.devices."
            )
        for name, cls in PARTS.items():
            if not isinstance(getattr(self, name), cls):
                raise ParameterError(
                    f"TileConfig.{name} = {getattr(self, name)!r}: must be {cls.__name__} (allowed: an instance). "
                    f"Pass {name}={cls.__name__}(...)."
                )

    def copy(self) -> TileConfig:
        """Return an independent copy."""
        return TileConfig(self.device.copy(), self.forward.copy(), self.backward.copy(), self.update.copy())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, JSON-ready."""
        return self.device.to_dict() | {name: getattr(self, name).values() for name in PARTS}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> TileConfig:
        """Return the configuration of `to_dict`."""
        return TileConfig(Device.from_dict(data), **{name: cls(**data[name]) for name, cls in PARTS.items()})

    def differences(self, saved: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return ``field -> (saved, here)`` for all that differs from the saved dictionary."""
        here, there = _flat(self.to_dict()), _flat(saved)
        return {k: (there.get(k), here.get(k)) for k in sorted(here | there) if here.get(k) != there.get(k)}


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
