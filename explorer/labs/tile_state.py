# SPDX-License-Identifier: Apache-2.0
"""What a tile lab shows: parameters only, no widgets and no results."""

from __future__ import annotations

from typing import Any, ClassVar

import param

from engine.devices import Device
from engine.tiles import IOParameters, periphery_presets
from explorer.experiments.base import Experiment
from explorer.experiments.mvm_error import MvmError
from explorer.experiments.tile_map import TileMap
from explorer.experiments.wire_loss import WireLoss
from explorer.labs.history import EditedModel


class FlatProduct:
    """The experiment of a product as one list of parameters: its own, then those of the periphery.

    Never changed; `copy` makes another one. A panel of parameters edits it like any other model.

    Parameters
    ----------
    experiment : MvmError

    Examples
    --------
    >>> flat = FlatProduct(MvmError()).copy(out_noise=0.1, n_vectors=8)
    >>> flat.experiment.forward.out_noise, flat.n_vectors
    (0.1, 8)
    """

    def __init__(self, experiment: MvmError):
        self.experiment = experiment

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "experiment":
            raise AttributeError(name)
        return getattr(self.experiment.forward if name in IOParameters.fields() else self.experiment, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FlatProduct) and self.experiment == other.experiment

    __hash__ = None

    @staticmethod
    def fields() -> list[str]:
        """Return the names of all parameters: tile, test vectors with their seed, periphery."""
        return [*(n for n in MvmError.fields() if n != "seed"), "seed", *IOParameters.fields()]

    @staticmethod
    def describe(name: str) -> dict[str, Any]:
        """Return what the parameter's own class says about it."""
        return (IOParameters if name in IOParameters.fields() else MvmError).describe(name)

    def values(self) -> dict[str, Any]:
        """Return ``name -> value``, plain Python values."""
        return self.experiment.values() | self.experiment.forward.values()

    def copy(self, **changes: Any) -> FlatProduct:
        """Return another one with some values changed; raises `ParameterError` as the two classes do."""
        periphery = {n: v for n, v in changes.items() if n in IOParameters.fields()}
        own = {n: v for n, v in changes.items() if n not in periphery}
        if periphery:
            own["forward"] = self.experiment.forward.copy(**periphery)
        return FlatProduct(self.experiment.copy(**own))


class PartState(EditedModel):
    """An experiment of its own beside the product; a subclass names its class. Views watch ``revision``."""

    holds = "experiment"
    made_of: ClassVar[type[Experiment]]

    experiment: Experiment = param.ClassSelector(class_=Experiment, doc="The last valid one.")  # type: ignore[assignment]

    def __init__(self, **values):
        super().__init__(self.made_of(**values))

    def to_query(self) -> dict[str, Any]:
        """Return what differs from the defaults."""
        plain = self.made_of().values()
        return {n: v for n, v in self.experiment.values().items() if v != plain[n]}

    def from_query(self, query: dict[str, Any]) -> None:
        """Restore what `to_query` gave; raises `ParameterError` for a value that breaks its rule."""
        experiment = self.made_of(**query)
        self._begin("", self.made_of())
        self._show("", experiment)


class WireState(PartState):
    """The array whose wires are looked at."""

    noun, made_of = "array", WireLoss


class MapState(PartState):
    """The network that is laid out on tiles; device and periphery are those of the product."""

    noun, made_of = "network", TileMap


class TileState(EditedModel):
    """The product under study; views watch ``revision``.

    ``product`` is replaced, never mutated. ``preset`` names the periphery it started from.

    Attributes
    ----------
    parts : dict of PartState
        What the other tabs show: ``wires`` and ``network``.
    """

    holds = "product"
    noun = "tile"

    product: FlatProduct = param.ClassSelector(class_=FlatProduct, doc="The last valid product.")  # type: ignore[assignment]

    def __init__(self, preset: str = "default", **values):
        super().__init__(FlatProduct(MvmError(forward=periphery_presets.load(preset), **values)), preset)
        self.parts: dict[str, PartState] = {"wires": WireState(), "network": MapState()}

    @property
    def experiment(self) -> MvmError:
        """The experiment on show; a copy before it is changed."""
        return self.product.experiment

    def value_sources(self) -> dict[str, str]:
        """Return the source of the values that the preset sets."""
        known = periphery_presets.info(self.preset)
        return dict.fromkeys(known.values, known.source)

    def load_preset(self, name: str) -> None:
        """Show a periphery; tile, weights and test vectors stay."""
        self._begin(name, FlatProduct(self.experiment.copy(forward=periphery_presets.load(name))))

    def load_experiment(self, experiment: MvmError) -> None:
        """Show an experiment from elsewhere; its periphery counts as edited."""
        preset, periphery = self.preset, periphery_presets.load(self.preset)
        self._begin(preset, FlatProduct(experiment.copy(forward=periphery)))
        self._show(preset, FlatProduct(experiment))

    def to_query(self) -> dict[str, Any]:
        """Return the whole state as plain values, for a link."""
        base = MvmError(forward=periphery_presets.load(self.preset))
        start = FlatProduct(base).values()
        changed = {n: v for n, v in self.product.values().items() if v != start[n]}
        told: dict[str, Any] = {"preset": self.preset, "changed": changed}
        if self.experiment.matrix:
            told["matrix"] = self.experiment.matrix
        if self.experiment.device != base.device:
            told["device"] = self.experiment.device.to_dict()
        return told | {name: query for name, part in self.parts.items() if (query := part.to_query())}

    def from_query(self, query: dict[str, Any]) -> None:
        """Restore what `to_query` gave.

        Raises
        ------
        OhmscapeError
            If the link names an unknown preset or parameter, or a value out of bounds.
        """
        preset = query["preset"]
        others: dict[str, Any] = {"matrix": query["matrix"]} if "matrix" in query else {}
        if "device" in query:
            others["device"] = Device.from_dict(query["device"])
        start = FlatProduct(MvmError(forward=periphery_presets.load(preset)))
        changed = start.copy(**others, **query.get("changed", {}))
        for name, part in self.parts.items():
            part.from_query(query.get(name, {}))
        self._begin(preset, start)
        self._show(preset, changed)
