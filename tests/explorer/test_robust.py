# SPDX-License-Identifier: Apache-2.0
"""Networks fine-tuned for the hardware: trained once, kept, and mapped like any other."""

from __future__ import annotations

import pytest
import torch

from engine.errors import ParameterError
from explorer import networks
from explorer.experiments import Cancelled, robust
from explorer.experiments.drift_accuracy import DriftAccuracy
from explorer.experiments.quick import quick
from explorer.experiments.scenario import Scenario

AWARE = Scenario(title="HWA-trained", training="hardware_aware")
SMALL = {"n_chips": 2, "samples": 40, "times": [1.0]}


@pytest.fixture(autouse=True)
def _short(short_training, home):
    """Keep trainings short and apart."""


def test_weights_are_trained_once_and_kept():
    assert not robust.known("mlp-digits", "hardware_aware")
    told = []
    robust.train("mlp-digits", "hardware_aware", told.append)
    assert any("training for the hardware" in text for text in told)
    assert robust.known("mlp-digits", "hardware_aware")
    before = len(told)
    robust.train("mlp-digits", "hardware_aware", told.append)
    assert len(told) == before
    model = robust.weights("mlp-digits", "hardware_aware")
    assert not model.training
    shipped = networks.get("mlp-digits").trained()
    assert not torch.equal(model[0].weight, shipped[0].weight)
    assert networks.get("mlp-digits").score(model) > 0.9


def test_weights_not_trained_yet_are_refused_with_what_to_do():
    with pytest.raises(ParameterError, match="has not been trained so yet"):
        robust.weights("mlp-digits", "hardware_aware")


def test_run_trains_first_and_is_repeatable():
    scenarios = [Scenario(), AWARE]
    first = DriftAccuracy(**SMALL, scenarios=scenarios).run()
    again = DriftAccuracy(**SMALL, scenarios=scenarios).run()
    assert first.accuracy.equals(again.accuracy)
    assert not first.target_sample.sel(scenario="PCM").equals(first.target_sample.sel(scenario="HWA-trained"))


def test_training_stops_where_progress_says_so():
    def stop(text):
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        robust.train("mlp-digits", "hardware_aware", stop)
    assert not robust.known("mlp-digits", "hardware_aware")


def test_network_without_training_data_is_refused():
    with pytest.raises(ParameterError, match="has no training data"):
        robust.check("minilm-l6", "hardware_aware")
    robust.check("minilm-l6", "direct")


def test_estimate_waits_for_the_full_run_where_training_takes_long(monkeypatch):
    assert quick(DriftAccuracy(**SMALL), AWARE) is not None
    monkeypatch.setattr(robust, "SMALL", 1)
    assert quick(DriftAccuracy(**SMALL), AWARE) is None
