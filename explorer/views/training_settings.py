# SPDX-License-Identifier: Apache-2.0
"""The choices of a training run, made from what the experiment says about its parameters."""

from __future__ import annotations

import param
from panel.viewable import Viewable, Viewer

from engine.devices import Device
from explorer.experiments.training import Training
from explorer.views import theme
from explorer.views.fields import explain
from explorer.views.number_box import NumberBox

# Counts name their unit themselves: no "Epochs (epochs)".
_BOXES = {"epochs": "Epochs", "lr": "Learning rate", "batch_size": "Samples per batch", "n_seeds": "Seeds"}
_WIDTH = 168


class TrainingSettings(Viewer):
    """Boxes for epochs, learning rate, batch size, seeds; the network where there is a choice.

    Attributes
    ----------
    problem : str
        What the boxes have refused, in one line; empty when all is well.
    """

    problem = param.String("", doc="What the boxes have refused.")

    def __init__(self) -> None:
        super().__init__()
        self.boxes = {
            name: NumberBox.of(Training, name, label, unit="1", width=_WIDTH, sizing_mode=None)
            for name, label in _BOXES.items()
        }
        about = Training.describe("network")
        self.network = theme.select("Network", options=about["objects"], value=about["default"], margin=0,
                                    description=explain(about, ""), width=_WIDTH, sizing_mode=None)  # fmt: skip
        for box in self.boxes.values():
            box.param.watch(self._collect, "problem")
        network = [self.network] if len(about["objects"]) > 1 else []
        self._view = theme.row(*network, *self.boxes.values(), align_items="start", margin=(12, 0, 0, 0))

    def __panel__(self) -> Viewable:
        return self._view

    def take(self, experiment: Training) -> None:
        """Set the boxes to those of a run."""
        for name, box in self.boxes.items():
            box.value = getattr(experiment, name)
        self.network.value = experiment.network

    def experiment(self, device: Device, seed: int) -> Training:
        """Return the experiment to run.

        Raises
        ------
        ParameterError
            If a value breaks a rule.
        """
        values = {name: box.value for name, box in self.boxes.items()}
        return Training(device=device, seed=seed, network=self.network.value, **values)

    def _collect(self, *events) -> None:
        self.problem = next((b.problem for b in self.boxes.values() if b.problem), "")


def describe(experiment: Training) -> str:
    """Word the choices of a run in one line."""
    seeds = f", {experiment.n_seeds} seeds" if experiment.n_seeds > 1 else ""
    return f"{experiment.epochs} epochs, lr {experiment.lr:g}, batch {experiment.batch_size}{seeds}"
