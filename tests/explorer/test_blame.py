# SPDX-License-Identifier: Apache-2.0
"""Blame: every cause off and on alone, on the same chips, as paired differences."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import ParameterError
from engine.inference import noise as noises
from engine.tiles import IOParameters, periphery_presets
from engine.tiles.faults import StuckFaults
from explorer.experiments.blame import CAUSES, Blame, causes_of, ideal, sentence
from explorer.experiments.scenario import Scenario
from explorer.experiments.spread import paired

EXACT = {"prog_noise_scale": 0.0, "read_noise_scale": 0.0, "drift_scale": 0.0}


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """Return a scenario with much noise of outputs, little else, and stuck devices."""
    forward = periphery_presets.load("pcm_read").copy(out_noise=1.0, inp_noise=0.01)
    return Scenario(noise=noises.get("pcm")(states=200), forward=forward, faults=StuckFaults(p_low=0.001))


@pytest.fixture(scope="module")
def ds(scenario):
    return Blame(scenario=scenario, n_chips=8, samples=200, seed=1).run()


def test_every_cause_of_a_scenario_is_found_and_can_be_switched_off(scenario):
    found = causes_of(scenario)
    assert {c.name for c in found} == {c.name for c in CAUSES} - {"input_range", "output_stage"}
    for cause in found:
        assert not cause.applies(cause.without(scenario)), cause.name
    assert causes_of(ideal(scenario)) == []


def test_only_a_cause_has_that_cause_alone(scenario):
    base = ideal(scenario)
    for cause in causes_of(scenario):
        left = {c.name for c in causes_of(cause.only(base, scenario))}
        assert left == ({"drift", "drift_spread"} if cause.name == "drift_spread" else {cause.name})


def test_adc_alone_keeps_its_step_without_its_bound(scenario):
    adc = next(c for c in CAUSES if c.name == "adc")
    io = adc.only(ideal(scenario), scenario).forward
    assert 2 * io.out_bound * io.out_res == pytest.approx(2 * scenario.forward.out_bound * scenario.forward.out_res)
    assert io.out_bound > 1000 * scenario.forward.out_bound


def test_without_anything_the_network_scores_as_in_floating_point(ds):
    assert (ds.accuracy_none == ds.digital_accuracy).all()


def test_costs_are_paired_differences_with_their_intervals(ds):
    for k in range(ds.sizes["cause"]):
        wanted = paired(ds.accuracy_without.values[k], ds.accuracy_all.values)
        assert float(ds.cost_removed[k]) == pytest.approx(wanted.value)
        assert float(ds.cost_removed_half_width[k]) == pytest.approx(wanted.half_width)
        alone = paired(ds.accuracy_none.values, ds.accuracy_only.values[k])
        assert float(ds.cost_alone[k]) == pytest.approx(alone.value)


def test_largest_cause_is_named_in_the_sentence(ds):
    """Output noise of 1 against outputs of about 1; the rest is small."""
    assert str(ds.cause.values[int(np.argmax(ds.cost_removed.values))]) == "output_noise"
    text = sentence(ds)
    assert "after 1 y" in text
    assert "Removing output noise" in text
    assert f"{100 * float(ds.cost_all):.2f} ±" in text


def test_sentence_claims_nothing_that_lies_within_its_interval():
    quiet = noises.get("pcm")(**EXACT | {"prog_noise_scale": 0.01})
    ds = Blame(scenario=Scenario(noise=quiet, forward=IOParameters(is_perfect=True)), n_chips=3, samples=60).run()
    assert "nothing that 3 chips could tell from zero" in sentence(ds)


def test_scenario_without_non_idealities_is_refused():
    perfect = Scenario(noise=noises.get("pcm")(**EXACT), forward=IOParameters(is_perfect=True))
    with pytest.raises(ParameterError, match="has no non-ideality"):
        Blame(scenario=perfect)
