# SPDX-License-Identifier: Apache-2.0
"""What a tile is made of, as one value: device, periphery, update."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine import presets
from engine.devices.base import Device
from engine.errors import ParameterError
from engine.quantity import Model
from engine.tiles.input_range import InputRangeParameters
from engine.tiles.mapping import MappingParameters
from engine.tiles.periphery import IOParameters
from engine.tiles.update import UpdateParameters

PARTS: dict[str, type[Model]] = {
    "forward": IOParameters,
    "backward": IOParameters,
    "update": UpdateParameters,
    "mapping": MappingParameters,
    "input_range": InputRangeParameters,
}


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
    mapping : MappingParameters
        How a layer's weights are laid out on its tiles; a tile alone takes no notice.
    input_range : InputRangeParameters
        Range of the inputs of a layer's tiles; a tile alone takes no notice.
    """

    device: Device | str
    forward: IOParameters = field(default_factory=IOParameters)
    backward: IOParameters = field(default_factory=IOParameters)
    update: UpdateParameters = field(default_factory=UpdateParameters)
    mapping: MappingParameters = field(default_factory=MappingParameters)
    input_range: InputRangeParameters = field(default_factory=InputRangeParameters)

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
        return TileConfig(self.device.copy(), **{name: getattr(self, name).copy() for name in PARTS})

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, JSON-ready."""
        return self.device.to_dict() | {name: getattr(self, name).values() for name in PARTS}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> TileConfig:
        """Return the configuration of `to_dict`."""
        data = _completed(data)
        return TileConfig(Device.from_dict(data), **{name: cls(**data[name]) for name, cls in PARTS.items()})

    def differences(self, saved: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
        """Return ``field -> (saved, here)`` for all that differs from the saved dictionary."""
        here, there = _flat(self.to_dict()), _flat(_completed(saved))
        return {k: (there.get(k), here.get(k)) for k in sorted(here | there) if here.get(k) != there.get(k)}


def _completed(data: dict[str, Any]) -> dict[str, Any]:
    """Return saved values with the defaults of what did not exist when they were saved: those change nothing."""
    return data | {name: cls().values() | data.get(name, {}) for name, cls in PARTS.items()}


def _flat(data: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
